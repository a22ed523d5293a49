"""Trials that had a part of the search's budget: what is trained, kept, stopped, counted, compared and confirmed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.history import history, totals
from betanas.analysis.tables.noise import noise
from betanas.analysis.wording import summary
from betanas.blueprint import Blueprint
from betanas.cli.reporting.reporters import trial_line
from betanas.cli.reporting.tally import Tally
from betanas.errors import QuantityError, StrategyError, StudyError
from betanas.search.bounds import LEAST_TRIALS, crowded_bounds
from betanas.search.chance import guessing
from betanas.search.comparable import comparable, leader, partly_trained
from betanas.search.front import pareto_front
from betanas.search.learning import learn
from betanas.search.planning import job_of
from betanas.search.propose import Observation, ScreenedStrategy, Suggestion, get_strategy, register_strategy
from betanas.search.records import StudyPlan, TrialRecord, with_job
from betanas.search.run import resume, search
from betanas.search.settings import ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.studies.confirmation import confirm
from betanas.search.study import Study
from betanas.spaces import Range, get_space
from betanas.training.budget import Budget

Make = Callable[..., TrialRecord]


@pytest.fixture
def ended(make_record: Make) -> Callable[[int, float, float], TrialRecord]:
    """A completed trial: its index, share and accuracy."""
    return lambda index, share, top1: make_record(index, state="completed", share=share, top1=top1, objective=top1)


@pytest.mark.parametrize(
    ("budget", "share", "part"),
    [("20s", 0.125, "2.5s"), ("20epochs", 0.125, "2.5epochs"), ("20steps", 0.13, "3steps"), ("4steps", 0.01, "1steps")],
)
def test_a_budget_of_every_unit_has_parts(budget: str, share: float, part: str) -> None:
    assert str(Budget.parse(budget).part(share)) == part
    assert Budget.parse(budget).part(1.0) == Budget.parse(budget)


def test_no_budget_has_a_part_of_nothing() -> None:
    with pytest.raises(QuantityError, match="positive"):
        Budget.parse("20s").part(0.0)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_a_suggestion_of_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(StrategyError, match="above 0 and of at most 1"):
        Suggestion({}, "mine", share)


def test_the_store_keeps_a_share_and_reads_older_trials_as_whole(
    store: Store, plan: StudyPlan, make_record: Make, digits_blueprint: Blueprint
) -> None:
    part = job_of(plan, digits_blueprint.to_dict(), seed=1, share=0.5)
    store.add_trial(with_job(make_record(0, share=0.5), part), part)
    whole = job_of(plan, digits_blueprint.to_dict(), seed=2)
    store.add_trial(with_job(make_record(1), whole), whole)
    store.add_trial(make_record(2), digits_blueprint)  # as before schema 3: without a job
    assert [record.share for record in store.trials()] == [0.5, 1.0, 1.0]
    assert store.trial(0).share == 0.5
    assert store.job(0) == part
    assert (str(store.trial(0).budget), str(store.trial(1).budget)) == ("1steps", "2steps")


@pytest.mark.parametrize("share", ["2", "0", '"half"', "null", "true", "NaN"])
def test_an_impossible_share_in_a_file_is_damage(
    store: Store, plan: StudyPlan, make_record: Make, digits_blueprint: Blueprint, share: str
) -> None:
    job = job_of(plan, digits_blueprint.to_dict(), seed=1, share=0.5)
    store.add_trial(with_job(make_record(0, share=0.5), job), job)
    with closing(sqlite3.connect(store.location.directory / "study.sqlite")) as connection, connection:
        connection.execute("UPDATE trials SET job = replace(job, '\"share\": 0.5', ?)", (f'"share": {share}',))
    with closing(Store.open(StudyLocation.parse(store.location.text), read_only=True)) as opened:
        assert opened.damage == ("trials 0: job",)


def test_whole_trainings_lead_where_there_are_some(ended: Callable[..., TrialRecord]) -> None:
    records = [ended(0, 0.25, 0.5), ended(1, 0.5, 0.4), ended(2, 0.5, 0.45)]
    assert [record.index for record in comparable(records)] == [1, 2]
    best = leader(records)
    assert best is records[2]
    assert "trial 2, the best so far, had 0.5 of it" in partly_trained(best)
    records.append(ended(3, 1.0, 0.1))
    best = leader(records)
    assert best is records[3]
    assert partly_trained(best) == ""
    assert leader([]) is None
    assert partly_trained(None) == ""
    assert [record.index for record in pareto_front(records, "params")] == [3]


def test_part_trainings_are_no_evidence_of_guessing_or_of_a_narrow_range(
    plan: StudyPlan, ended: Callable[..., TrialRecord]
) -> None:
    parts = [ended(index, 0.25, 0.1) for index in range(4)]
    assert guessing(plan, parts) == ""
    assert guessing(plan, [replace(one, share=1.0) for one in parts])
    crowding = [replace(ended(index, 1.0, 0.1), vector={"a": 0.0}) for index in range(LEAST_TRIALS)]
    assert crowded_bounds({"a": Range(0.0, 1.0)}, None, crowding)
    assert not crowded_bounds({"a": Range(0.0, 1.0)}, None, [replace(one, share=0.5) for one in crowding])


def test_the_console_and_the_report_tell_parts_from_wholes(plan: StudyPlan, ended: Callable[..., TrialRecord]) -> None:
    records = [ended(0, 0.25, 0.5), ended(1, 0.25, 0.6), ended(2, 1.0, 0.4), ended(3, 1.0, 0.3)]
    assert "60.00% (0.25 of the budget)" in trial_line(records[1])
    tally = Tally(plan)
    tally.begin(records, 1)
    assert tally.best is records[2]
    assert (tally.accuracies, tally.done) == ([0.4, 0.3], 4)
    snapshot = StudySnapshot("study", plan, tuple(records))
    assert snapshot.best is records[2]
    counted = totals(snapshot)
    assert (counted.usable, counted.partly, counted.best) == (2, 2, 0.4)
    assert history(snapshot).column("running_best") == [None, None, 0.4, 0.4]
    assert "2 were trained for less of the budget" in " ".join(summary(snapshot))
    early = StudySnapshot("study", plan, tuple(records[:2]))
    assert "No network has been trained for the whole budget yet" in " ".join(summary(early))


def test_the_noise_of_training_is_that_of_equal_trainings(plan: StudyPlan, ended: Callable[..., TrialRecord]) -> None:
    same = [
        replace(ended(place, share, top1), blueprint_key="one")
        for place, (share, top1) in enumerate([(0.5, 0.3), (0.5, 0.4), (1.0, 0.6)])
    ]
    assert [row.trials for row in noise(StudySnapshot("study", plan, tuple(same))).repeats] == [(0, 1)]


class Halves(ScreenedStrategy):
    """Every candidate for half of the budget, then the whole."""

    name: ClassVar[str] = "halves"
    least_share = 0.5

    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        if observations and observations[-1].share < 1.0:
            return Suggestion(dict(observations[-1].vector), "promoted")
        sobol = get_strategy("sobol")(self.problem, seed=self.seed)
        for seen in observations:
            sobol.tell(seen)
        return replace(sobol.ask()[0], share=0.5)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three trials on digits: half, whole, half."""
    place = tmp_path_factory.mktemp("halves") / "study"
    register_strategy(Halves)
    search(**_asked(place), trials=3)
    return place


def _asked(place: Path) -> dict[str, Any]:
    return {
        "data": "digits",
        "study": str(place),
        "space": "betanet3",
        "resolution": 16,
        "budget": "4steps",
        "batch_size": 16,
        "strategy": "halves",
        "max_params": 500_000,
        "executor": "inline",
        "devices": "cpu",
        "baselines": "none",
    }


def test_a_search_trains_parts_and_wholes_of_one_network(halves: Path) -> None:
    with Study.open(halves) as study:
        first, second, third = study.trials()
        assert [trial.share for trial in (first, second, third)] == [0.5, 1.0, 0.5]
        assert [trial.steps for trial in (first, second, third)] == [2, 4, 2]
        assert first.blueprint_key == second.blueprint_key, "the same network, longer"
        assert second.repeat_of is None, "a training of another length is no repeat"
        assert study.best().trial == 1
        assert study.status()["best"]["share"] == 1.0
        assert str(study.job(0).budget) == "2steps"


def test_a_search_that_goes_on_knows_the_shares_of_its_trials(halves: Path, tmp_path: Path) -> None:
    shutil.copytree(halves, tmp_path / "copy")
    with resume(str(tmp_path / "copy"), ResumeSettings(trials=4)) as study:
        third, fourth = study.trials()[2:]
        assert (fourth.share, fourth.origin, fourth.blueprint_key) == (1.0, "promoted", third.blueprint_key)


def test_another_search_learns_from_the_longest_trainings_alone(halves: Path) -> None:
    with Study.open(halves) as study:
        search_settings = study.plan.search
    with pytest.raises(StudyError, match="needs 3 completed"):  # as many have a result
        learn([str(halves)], search_settings, get_space("betanet3"))


def test_a_confirmation_trains_for_the_whole_budget(halves: Path) -> None:
    found = confirm(halves, top=1, seeds=1)
    assert [one.trial for one in found] == [1]
    with Study.open(halves) as study:
        (again,) = study._store.trials(apart="confirmation")
        assert (str(again.budget), again.share, again.steps) == ("4steps", 1.0, 4)
