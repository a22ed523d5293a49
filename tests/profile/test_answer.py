"""A network's latency at the end of a search: measured where the table's machine is at hand, beside the prediction."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import betanas as bn
from betanas.blueprint import BlueprintBatch
from betanas.cli.answer import show_answer, warn_of_drift
from betanas.cli.main import run
from betanas.cli.output import console
from betanas.cost.latency import LatencyModel
from betanas.profiling.calibration import measure
from betanas.profiling.calibration.answer import answer, machine_drift
from betanas.search.settings import Limits

pytest.importorskip("onnxruntime")

GOLDEN = LatencyModel.load(Path(__file__).parents[1] / "golden" / "latency.json")
HERE = replace(GOLDEN, processor=measure.processor(), reference=1e-3)


@pytest.fixture(scope="module")
def network() -> bn.Blueprint:
    return bn.get_space("betanet3").blueprint(bn.published("betanet3"), resolution=16, num_classes=10)


@pytest.mark.parametrize("runtime", ["onnxruntime", "eager"])
def test_it_is_measured_where_the_table_is_of_this_machine(network: bn.Blueprint, runtime: str) -> None:
    found = answer(network, replace(HERE, runtime=runtime))
    assert found.predicted == pytest.approx(float(GOLDEN.predict(BlueprintBatch.of([network]))[0]))
    assert found.measured is not None
    assert 1e-5 < found.measured < 1.0
    assert found.drift is not None
    assert found.drift > 0
    assert not found.unmeasured


def test_another_machine_s_network_is_not_measured(network: bn.Blueprint) -> None:
    found = answer(network, GOLDEN)
    assert (found.measured, found.drift) == (None, None)
    assert "another processor (made up for tests)" in found.unmeasured
    assert machine_drift(GOLDEN) is None


def test_a_table_without_a_reference_knows_no_drift(network: bn.Blueprint) -> None:
    assert machine_drift(replace(HERE, reference=None)) is None
    assert answer(network, replace(HERE, reference=None)).drift is None


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_winner_above_the_limit_is_named(network: bn.Blueprint, capsys: pytest.CaptureFixture[str]) -> None:
    show_answer(console(), network, Limits(latency=1e-6, latency_table=HERE))
    words = told(capsys)
    assert "Predicted:" in words
    assert "Measured here:" in words
    assert "above the limit of 1 us" in words
    assert "--max-latency" in words
    show_answer(console(), network, Limits(latency=10.0, latency_table=HERE))
    assert "above the limit" not in told(capsys)


def test_a_network_that_cannot_be_measured_says_why(network: bn.Blueprint, capsys: pytest.CaptureFixture[str]) -> None:
    show_answer(console(), network, Limits(latency_table=GOLDEN))
    assert "Not measured. The table is of another processor" in told(capsys)
    show_answer(console(), network, Limits())
    assert told(capsys) == ""


def test_a_machine_that_has_changed_is_noticed_before_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    slow = replace(HERE, reference=1e-7)
    assert (machine_drift(slow) or 0) > 10
    warn_of_drift(console(), Limits(latency=1.0, latency_table=slow))
    assert "times as long as when its latency table was made" in told(capsys)
    for quiet in (Limits(latency_table=slow), Limits(), Limits(latency=1.0, latency_table=GOLDEN)):
        warn_of_drift(console(), quiet)
        assert told(capsys) == ""


def test_a_search_ends_with_the_measurement(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here.json").write_text(json.dumps(HERE.to_document()))
    study = str(tmp_path / "s")
    asked = [
        "search",
        "--data",
        "digits",
        "--study",
        study,
        "--resolution",
        "16",
        "--budget",
        "1steps",
        "--trials",
        "1",
    ]
    asked += ["--space", "betanet3", "--strategy", "sobol", "--executor", "inline", "--devices", "cpu"]
    assert run([*asked, "--latency-table", str(tmp_path / "here.json"), "--max-latency", "1s", "--json"]) == 0
    best = json.loads(capfd.readouterr().out)["best"]
    assert best["latency"] > 0
    assert best["latency_measured"] > 0
    assert run(["best", study]) == 0
    assert "Measured here:" in capfd.readouterr().out
    assert run(["best", study, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["latency"] == pytest.approx(best["latency"])
    assert found["latency_measured"] > 0
