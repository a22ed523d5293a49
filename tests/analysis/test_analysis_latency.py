"""Predicted latencies where a study has a latency table: columns, numbers, the front, and nothing of it elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import betanas as bn
from betanas.analysis import wording
from betanas.analysis.catalogue import figure_named, table_named
from betanas.analysis.dashboard.feed import StudyFeed
from betanas.analysis.dashboard.parts import trial_list
from betanas.analysis.dashboard.views import pareto_view
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.history import leaders
from betanas.analysis.tables.pareto import pareto, traded_cost
from betanas.cost.latency import LatencyModel
from betanas.search.objectives import Pareto

GOLDEN = Path(__file__).parents[1] / "golden" / "latency.json"


@pytest.fixture
def predicted(snapshot: StudySnapshot) -> StudySnapshot:
    """A study with a table: the larger a network, the longer it takes."""
    return replace(snapshot, latencies={trial.index: 1e-8 * trial.params for trial in snapshot.trials})


def test_the_best_networks_have_a_column_and_a_number(predicted: StudySnapshot) -> None:
    best = predicted.best
    assert best is not None
    assert all(row.latency == pytest.approx(1e-8 * row.params) for row in leaders(predicted))
    assert "Answer (predicted)" in wording.leader_grid(predicted).headings
    assert "Answer (predicted)" in dict(wording.key_numbers(predicted))
    assert dict(wording.trial_facts(best, 0.0031))["Answer (predicted)"] == "3.1 ms"
    assert any("predicted to answer in" in sentence for sentence in wording.summary(predicted))
    assert {row["latency"] for row in table_named("trials").build(predicted)} == set(predicted.latencies.values())
    assert "Answer (predicted)" in str(trial_list("Best", "place", 0, predicted.ranked[:2], predicted))


def test_without_a_table_nothing_speaks_of_it(snapshot: StudySnapshot) -> None:
    assert "Answer (predicted)" not in wording.leader_grid(snapshot).headings
    assert "Answer (predicted)" not in dict(wording.key_numbers(snapshot))
    assert not any("predicted to answer" in sentence for sentence in wording.summary(snapshot))
    assert "Answer (predicted)" not in str(trial_list("Best", "place", 0, snapshot.ranked[:2], snapshot))
    assert all(row.latency is None for row in leaders(snapshot))


def test_accuracy_is_drawn_against_the_latency(predicted: StudySnapshot, snapshot: StudySnapshot) -> None:
    assert traded_cost(predicted) == "latency"
    for figure in (figure_named("pareto").build(predicted), pareto_view(predicted)):
        assert figure.layout.title.text == "Accuracy against predicted time of an answer"
        assert figure.layout.xaxis.title.text in (
            "Predicted time of an answer (ms)",
            "Predicted time of an answer (us)",
        )
    assert figure_named("pareto").build(snapshot).layout.title.text == "Accuracy against parameters"


def test_a_front_is_drawn_against_its_own_cost(predicted: StudySnapshot) -> None:
    search = replace(predicted.plan.search, objective=Pareto(cost="macs"))
    assert traded_cost(replace(predicted, plan=replace(predicted.plan, search=search))) == "macs"


def test_a_trial_without_a_prediction_is_left_out_of_the_front(predicted: StudySnapshot) -> None:
    (some, *_) = predicted.usable
    rest = {index: seconds for index, seconds in predicted.latencies.items() if index != some.index}
    table = pareto(replace(predicted, latencies=rest), "latency")
    assert some.index not in table.column("index")
    assert len(table) == len(predicted.usable) - 1


def test_a_study_s_table_reaches_its_report_and_the_dashboard(tmp_path: Path) -> None:
    model = LatencyModel.load(GOLDEN)
    settings = {"data": "digits", "resolution": 16, "budget": "1steps", "executor": "inline", "devices": ("cpu",)}
    with bn.search(**settings, study=str(tmp_path / "s"), trials=2, strategy="sobol", latency_table=model) as study:
        expected = study.latencies(study.trials())
        assert len(expected) == 2
        assert StudySnapshot.of(study).latencies == expected
    feed = StudyFeed(str(tmp_path / "s"))
    assert feed.look().snapshot.latencies == expected
    assert feed.details(0).latency == pytest.approx(expected[0])
    feed.close()
