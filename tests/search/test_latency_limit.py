"""A search within a predicted latency: what is trained, what the plan keeps, what is shown, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import betanas as bn
from betanas.blueprint import BlueprintBatch
from betanas.cli.main import run
from betanas.cost.latency import LatencyModel
from betanas.errors import LimitError, QuantityError, StrategyError, StudyError
from betanas.search.feasibility import Problem, survey
from betanas.search.planning import plan_search
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.settings import Limits

GOLDEN = Path(__file__).parents[1] / "golden" / "latency.json"
LIMIT = 35e-6
QUICK = {"data": "digits", "resolution": 16, "budget": "1steps", "executor": "inline", "devices": ("cpu",)}


@pytest.fixture(scope="module")
def model() -> LatencyModel:
    return LatencyModel.load(GOLDEN)


def problem(**limits: object) -> Problem:
    return Problem(bn.get_space("betanet3"), 16, 10, 1, 64, Limits(**limits))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search whose table is gone by the end of it."""
    place = tmp_path_factory.mktemp("quick")
    table = shutil.copy(GOLDEN, place / "table.json")
    bn.search(
        **QUICK, study=str(place / "s"), trials=4, strategy="random", max_latency="35us", latency_table=table
    ).close()
    table.unlink()
    return place / "s"


def test_no_candidate_beyond_the_limit_is_trained(study: Path, model: LatencyModel) -> None:
    with bn.Study.open(study) as opened:
        records = opened.trials()
        predicted = model.predict(BlueprintBatch.of([opened.blueprint(record.index) for record in records]))
        assert opened.latencies(records) == pytest.approx(
            {record.index: seconds for record, seconds in zip(records, predicted, strict=True)}
        )
    assert len(records) == 4
    assert {record.state for record in records} == {"completed"}
    assert predicted.max() <= LIMIT
    # Without the limit such networks would have been among the first.
    rows = problem().space.from_unit(np.random.default_rng(0).random((64, len(problem().space.free))))
    assert (problem(latency=LIMIT, latency_table=GOLDEN).feasible(rows)).mean() < 0.7


def test_a_plan_holds_the_table_and_not_its_file(study: Path, model: LatencyModel) -> None:
    with bn.Study.open(study) as opened:
        plan = opened.plan
    assert plan.limits.latency_table == model
    assert plan.limits.latency == pytest.approx(LIMIT)
    document = json.loads(json.dumps(plan.to_document()))
    assert StudyPlan.from_document(document) == plan
    assert "measurements" not in document["limits"]["latency_table"]


def test_a_study_goes_on_without_the_file(study: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(study, moved)
    assert run(["resume", str(moved), "--trials", "5"]) == 0
    with bn.Study.open(moved) as opened:
        assert max(opened.latencies(opened.trials()).values()) <= LIMIT
        assert len(opened.trials()) == 5


def test_the_prediction_is_shown(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["status", str(study), "--json"]) == 0
    best = json.loads(capfd.readouterr().out)["best"]
    assert 0 < best["latency"] <= LIMIT
    assert run(["best", str(study), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["latency"] == pytest.approx(best["latency"])
    assert run(["status", str(study)]) == 0
    assert "an answer predicted" in capfd.readouterr().out
    assert run(["best", str(study)]) == 0
    assert "onnxruntime, 1 thread, 1 image, made up for tests" in " ".join(capfd.readouterr().out.split())


def test_limits_and_prices_of_vectors_are_those_of_their_networks(model: LatencyModel) -> None:
    asked = problem(latency=LIMIT, latency_table=model)
    rows = asked.space.from_unit(np.random.default_rng(1).random((32, len(asked.space.free))))
    alone = [float(model.predict(BlueprintBatch.of([asked.blueprint(row)]))[0]) for row in rows]
    assert asked.price(rows).latency == pytest.approx(alone)
    assert asked.feasible(rows).tolist() == [seconds <= LIMIT for seconds in alone]
    assert problem().price(rows).latency is None


def test_a_front_of_accuracy_and_latency(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = {**QUICK, "strategy": "sobol", "trials": 3, "objective": "pareto", "cost": "latency"}
    with bn.search(**settings, study=str(tmp_path / "s"), latency_table=GOLDEN) as opened:
        front = opened.front()
        latencies = opened.latencies(opened.trials())
    seconds = [latencies[record.index] for record in front]
    assert seconds == sorted(seconds)
    assert seconds[0] == min(latencies.values())
    assert run(["status", str(tmp_path / "s"), "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)["front"]
    assert [one["latency"] for one in shown] == pytest.approx(seconds)


def test_a_compound_objective_weighs_by_the_predicted_latency(tmp_path: Path, model: LatencyModel) -> None:
    settings = {**QUICK, "strategy": "sobol", "trials": 1, "objective": "compound", "cost": "latency"}
    with bn.search(
        **settings, cost_target="100us", cost_exponent=-0.5, study=str(tmp_path / "s"), latency_table=model
    ) as opened:
        (record,) = opened.trials()
        (seconds,) = opened.latencies([record]).values()
    assert record.objective == pytest.approx(record.top1 * (seconds / 100e-6) ** -0.5)


def test_a_limit_below_every_network_names_the_smallest_reachable() -> None:
    with pytest.raises(LimitError, match=r"at most 1 us an answer: the cheapest found needs [\d.]+ us, [\d.]+ times"):
        survey(problem(latency=1e-6, latency_table=GOLDEN), points=512).require()


def test_plain_networks_that_are_too_slow_are_no_baselines(tmp_path: Path, model: LatencyModel) -> None:
    class Quiet(SearchListener):
        pass

    asked = {**QUICK, "study": str(tmp_path / "s"), "trials": 20, "strategy": "sobol", "latency_table": model}
    limits = [
        plan_search(bn.SearchSettings(**asked, max_latency=latency), Quiet()).plan.search.baselines
        for latency in ("1s", "40us")
    ]
    assert limits[0] == ("plain4", "plain6")
    assert "plain6" not in limits[1]


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"max_latency": "3ms"}, StudyError, "--calibrate"),
        ({"objective": "pareto", "cost": "latency"}, StudyError, "--latency-table latency.json"),
        ({"max_latency": "3", "latency_table": GOLDEN}, StudyError, "--max-latency 3ms"),
        ({"max_latency": "soon", "latency_table": GOLDEN}, StudyError, "us, ms or s"),
        ({"max_latency": -1.0, "latency_table": GOLDEN}, StudyError, "us, ms or s"),
        ({"max_latency": "3ms", "latency_table": "nowhere.json"}, LimitError, "nowhere.json"),
        ({"max_latency": "3ms", "latency_table": 5}, (StudyError, LimitError), "latency"),
        ({"max_latency": "1us", "latency_table": GOLDEN, "strategy": "sobol"}, LimitError, "cheapest found needs"),
    ],
)
def test_wrong_limits_are_refused_before_anything_is_written(
    settings: dict[str, object], error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        bn.search(**QUICK, study=str(tmp_path / "s"), trials=1, **settings)
    assert not (tmp_path / "s").exists()
    assert not issubclass(QuantityError, StrategyError)


def test_limits_are_read_as_they_are_written() -> None:
    limits = Limits(latency="3ms", latency_table=str(GOLDEN))
    assert limits.latency == pytest.approx(0.003)
    assert Limits(**json.loads(json.dumps(limits.to_document()))) == limits
    assert replace(limits, latency="250us").latency == pytest.approx(0.00025)
