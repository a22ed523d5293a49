from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import betanas as bn
from betanas.cli.main import app
from betanas.errors import BetanasError, QuantityError, UserError
from betanas.profiling import Conditions, Subject, Timing, find_counter, measure_inference, measure_training, time_calls
from betanas.profiling.energy import joules_a_call
from betanas.training.recipe import load_recipe

CPU = torch.device("cpu")
QUICK = ("--repeats", "2", "--warm-up", "1", "--no-energy", "--device", "cpu")
EAGER = ("--runtime", "eager", "--no-training")


@pytest.fixture(scope="module")
def subject() -> Subject:
    blueprint = bn.get_space("betanet3").blueprint(bn.published("betanet3"), resolution=32, num_classes=7)
    return Subject.of_blueprint("small", blueprint)


@pytest.fixture(scope="module")
def tiny() -> Subject:
    """One layer: what compiles or exports it has little to do."""
    layer = bn.Layer("CNA", 3, 8, 2, 0, 0, 1.0, 1.0, 0.0, 4)
    return Subject.of_blueprint("tiny", bn.Blueprint(8, 3, 2, (layer,), latent=8))


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["profile", *map(str, arguments)], env={"COLUMNS": "160"})
    if isinstance(result.exception, BetanasError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_timing_is_the_median_with_quartiles() -> None:
    timing = Timing.of([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (timing.calls, timing.median, timing.q1, timing.q3, timing.least, timing.most) == (
        5,
        3.0,
        2.0,
        4.0,
        1.0,
        5.0,
    )
    assert Timing.of([2.0]) == Timing(1, 2.0, 2.0, 2.0, 2.0, 2.0)


def test_calls_are_warmed_up_counted_and_bounded() -> None:
    calls = []
    timing = time_calls(lambda: calls.append(time.sleep(0.002)), Conditions(CPU, warm_up=3, repeats=4))
    assert (len(calls), timing.calls) == (7, 4)
    assert timing.least >= 0.002
    calls.clear()
    assert time_calls(lambda: calls.append(1), Conditions(CPU, warm_up=3, repeats=4, at_most=0.0)).calls == 1
    assert len(calls) == 2  # one to warm up, one that counts


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"warm_up": -1}, {"threads": 0}])
def test_conditions_that_measure_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(QuantityError, match="at least"):
        Conditions(CPU, **wrong)


def test_answers_and_steps_are_measured_and_torch_is_left_as_it_was(subject: Subject) -> None:
    conditions = Conditions(CPU, threads=1, warm_up=1, repeats=3, energy_seconds=0.0)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    answer = measure_inference(subject, conditions, batch_size=2)
    step = measure_training(subject, conditions, load_recipe("fast"), batch_size=4)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert (answer.what, answer.device, answer.threads, answer.timing.calls) == ("inference", "cpu (1 thread)", 1, 3)
    assert answer.images_per_second == pytest.approx(2 / answer.timing.median)
    assert answer.memory is None
    assert (step.what, step.batch_size, step.params) == ("training step", 4, subject.params)
    assert step.timing.least > 0
    assert step.memory is not None


def test_a_network_that_does_not_fit_is_a_row_with_a_reason(subject: Subject) -> None:
    conditions = Conditions(CPU, warm_up=0, repeats=1, energy_seconds=0.0)
    row = measure_inference(subject, conditions, batch_size=2**40)
    assert row.timing is None
    assert row.images_per_second is None
    assert "memory" in row.reason


def test_without_a_compiler_the_row_says_so(tiny: Subject) -> None:
    import torch._inductor.config as inductor

    conditions = Conditions(CPU, warm_up=0, repeats=1, energy_seconds=0.0)
    with inductor.patch({"cpp.cxx": (None, "/nowhere/c++"), "force_disable_caches": True}):
        row = measure_inference(tiny, conditions, runtime="compiled")
    assert row.timing is None
    assert row.reason.startswith("torch.compile does not work here")


def test_onnxruntime_runs_what_export_writes(tiny: Subject) -> None:
    row = measure_inference(
        tiny, Conditions(CPU, warm_up=0, repeats=2, energy_seconds=0.0), runtime="onnxruntime", batch_size=3
    )
    assert row.reason == ""
    assert row.timing.calls == 2


def test_a_processors_counters_are_read_and_wrap(tmp_path: Path) -> None:
    for zone, name in (("0", "package-0"), ("1", "package-1"), ("0:0", "core"), ("2", "psys")):
        folder = tmp_path / f"intel-rapl:{zone}"
        folder.mkdir()
        for file, text in (("name", name), ("energy_uj", "1000000"), ("max_energy_range_uj", "10000000")):
            (folder / file).write_text(text, encoding="ascii")
    counter = find_counter(CPU, powercap=tmp_path)
    assert not isinstance(counter, str)
    assert counter.name == "RAPL, 2 packages"
    before = counter.read()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3000000", encoding="ascii")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("500000", encoding="ascii")  # past its end
    assert counter.between(before, counter.read()) == pytest.approx(2.0 + 9.5)

    def call() -> None:
        path = tmp_path / "intel-rapl:0" / "energy_uj"
        path.write_text(str(int(path.read_text(encoding="ascii")) + 250_000), encoding="ascii")
        time.sleep(0.001)

    assert joules_a_call(call, counter, CPU, 0.02) == pytest.approx(0.25)


def test_without_counters_the_reason_is_said(tmp_path: Path) -> None:
    assert "no power domain" in str(find_counter(CPU, powercap=tmp_path))
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    (zone / "name").write_text("package-0", encoding="ascii")
    assert "administrator" in str(find_counter(CPU, powercap=tmp_path))
    assert "mps" in str(find_counter(torch.device("mps"), powercap=tmp_path))


def test_the_command_measures_whatever_names_a_network(tmp_path: Path) -> None:
    vector, blueprint = tmp_path / "vector.json", tmp_path / "network.json"
    vector.write_text(json.dumps({"vector": bn.published("betanet2")}), encoding="utf-8")
    found = bn.get_space("betanet3").blueprint(bn.published("betanet3"), resolution=24, num_classes=5, in_channels=1)
    blueprint.write_text(found.to_json(), encoding="utf-8")
    names = ["betanet3", vector, blueprint, "betanet2_digits_r16", "mobilenet_v2"]
    document = json.loads(run(*names, "--resolution", 32, "--classes", 10, *QUICK, *EAGER, "--json"))
    rows = document["rows"]
    assert [row["network"] for row in rows] == ["betanet3", "vector", "network", "betanet2_digits_r16", "mobilenet_v2"]
    assert [row["resolution"] for row in rows] == [32, 32, 24, 32, 32]
    assert rows[2]["params"] == found.num_params
    assert all(row["timing"]["calls"] == 2 and row["images_per_second"] > 0 for row in rows)
    assert document["hardware"]["processor"]


def test_the_command_measures_a_studys_leaders(tmp_path: Path) -> None:
    place = tmp_path / "s"
    bn.search(
        data="digits",
        study=str(place),
        resolution=16,
        budget="1steps",
        trials=2,
        strategy="sobol",
        executor="inline",
    ).close()
    with bn.Study.open(str(place)) as study:
        best = study.best("observed")
    rows = json.loads(run(place, "--leaders", 2, *QUICK, *EAGER, "--json"))["rows"]
    assert len(rows) == 2
    assert (rows[0]["network"], rows[0]["params"]) == (f"s, trial {best.trial}", best.blueprint.num_params)


def test_the_command_prints_a_table_for_each_network() -> None:
    text = run("betanet2_digits_r16", "--runtime", "eager", "--training-batch", 4, *QUICK)
    assert "betanet2_digits_r16: 16 pixels, 16.3k parameters" in text
    assert "training step" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["zebra"], "zebra.*betanet2_r224"),
        (["betanet3", "--device", "tpu"], "auto, cpu"),
        (["betanet3", "--repeats", "0"], "at least 1"),
        (["betanet3", "--recipe", "slow"], "recipe"),
        (["."], "study"),
    ],
)
def test_wrong_input_is_refused_in_one_message(tmp_path: Path, monkeypatch, arguments: list[str], says: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says) as caught:
        run(*arguments)
    assert caught.value.exit_code == 2


def test_seconds_are_never_negative_or_infinite(subject: Subject) -> None:
    row = measure_inference(subject, Conditions(CPU, warm_up=0, repeats=1, energy_seconds=0.01))
    assert 0 < row.timing.median < math.inf
    assert row.energy_from
