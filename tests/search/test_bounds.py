"""Ends of ranges where the best trials crowd: what is said, and a search that widens them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loop import loop_over, suggestions

import betanas as bn
from betanas.cli.main import run
from betanas.cost import count_params
from betanas.errors import StudyError
from betanas.search.bounds import (
    EDGE,
    LEAST_TRIALS,
    LOOKS_EVERY,
    MOST_AT_ONCE,
    crowded_bounds,
    end_met,
    in_words,
    next_widenings,
    widenings_in_words,
)
from betanas.search.executors.base import Assignment, WorkerSetup
from betanas.search.feasibility import LEAST_SHARE, SURVEY_POINTS, Problem, _sample, survey
from betanas.search.planning import problem_of, strategy_of
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan, TrialRecord, Widening
from betanas.search.settings import Limits
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.study import Study
from betanas.spaces import Range, get_space
from betanas.training.result import TrialResult

RANGES = {"a": Range(0.0, 1.0), "b": Range(-2.0, 2.0), "fixed": Range(3.0, 3.0)}
DOMAIN = {"a": Range(0.0, 1.0), "b": Range(-10.0, 2.5), "fixed": Range(0.0, 5.0)}


def trial(index: int, objective: float | None, state: str = "completed", **vector: float) -> TrialRecord:
    return TrialRecord(index, vector, str(index), "sobol", state, objective=objective)  # type: ignore[arg-type]


def trials_at(b: Sequence[float], a: float = 0.5) -> list[TrialRecord]:
    """Trials in falling order of their objective."""
    return [trial(index, 1.0 - index / 1000, a=a, b=value, fixed=3.0) for index, value in enumerate(b)]


# What is crowded -----------------------------------------------------------------------------------------------------


def test_leaders_at_an_end_crowd_it() -> None:
    (found,) = crowded_bounds(RANGES, DOMAIN, trials_at([2.0, 1.95, 0.0, 1.9, -1.0] + [0.0] * 10))
    assert (found.parameter, found.end, found.value, found.leaders, found.of) == ("b", "upper", 2.0, 3, 5)
    assert found.wider == Range(-2.0, 2.5), "half as long again, as far as the space goes"


def test_an_end_of_the_space_is_none_that_a_search_could_pass() -> None:
    trials = trials_at([0.0] * 15, a=1.0)
    assert crowded_bounds(RANGES, DOMAIN, trials) == ()
    (found,) = crowded_bounds(RANGES, None, trials)
    assert found.wider == Range(0.0, 1.5), "of a space that is not known"


def test_few_trials_have_no_leaders() -> None:
    trials = trials_at([2.0] * LEAST_TRIALS)
    assert crowded_bounds(RANGES, DOMAIN, trials)
    assert not crowded_bounds(RANGES, DOMAIN, trials[:-1])


def test_what_is_no_result_of_the_space_does_not_count() -> None:
    inside = trials_at([0.0] * LEAST_TRIALS)
    others = [
        trial(100, None, "failed", a=0.5, b=2.0, fixed=3.0),
        trial(101, float("nan"), a=0.5, b=2.0, fixed=3.0),
        replace(trial(102, 2.0, a=0.5, b=2.0, fixed=3.0), repeat_of=1),
        trial(103, 2.0),
    ]
    assert crowded_bounds(RANGES, DOMAIN, [*inside, *others]) == ()


@given(
    values=st.lists(st.tuples(st.floats(0, 1), st.floats(-2, 2), st.floats(0, 1)), min_size=0, max_size=40),
    known=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_said_is_so_whatever_the_trials(values: list[tuple[float, float, float]], known: bool) -> None:
    trials = [trial(index, top, a=a, b=b, fixed=3.0) for index, (a, b, top) in enumerate(values)]
    found = crowded_bounds(RANGES, DOMAIN if known else None, trials)
    assert found == crowded_bounds(RANGES, DOMAIN if known else None, trials[::-1]), "in whatever order"
    for bound in found:
        before = RANGES[bound.parameter]
        assert 2 * bound.leaders >= bound.of
        assert bound.value == (before.low if bound.end == "lower" else before.high)
        assert bound.wider.low <= before.low
        assert bound.wider.high >= before.high
        assert bound.wider.span > before.span
        assert not known or (bound.wider.low in DOMAIN[bound.parameter] and bound.wider.high in DOMAIN[bound.parameter])


@given(low=st.floats(-5, 5), span=st.floats(0.01, 10), share=st.floats(0, 1))
def test_an_end_is_the_outer_part_of_a_range(low: float, span: float, share: float) -> None:
    searched = Range(low, low + span)
    met = end_met(searched, low + share * span)
    if share < 0.99 * EDGE:
        assert met == "lower"
    elif share > 1 - 0.99 * EDGE:
        assert met == "upper"
    elif 1.01 * EDGE < share < 1 - 1.01 * EDGE:
        assert met is None
    assert end_met(Range(low, low), low) is None


def test_the_words_say_what_to_type() -> None:
    found = crowded_bounds(RANGES, DOMAIN, trials_at([2.0] * 15))
    assert in_words(found, widens=False, study="runs/a") == (
        "The best trials crowd the upper end of b (2; 5 of 5): a better network may lie beyond. Go on with betanas "
        "resume runs/a --widen --trials N, or search again with, for example, --range b=-2:2.5."
    )
    assert "--range" not in in_words(found, widens=True)
    assert in_words((), widens=False) == ""
    ranges, at_ends = {name: Range(0.0, 1.0) for name in "abcde"}, dict.fromkeys("abcde", 0.0)
    many = crowded_bounds(ranges, None, [trial(index, 1.0, **at_ends) for index in range(15)])
    assert "and 2 more" in in_words(many, widens=False)


# What a search widens ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(get_space("betanet3"), 32, 10, 3, 32)


def at_the_end(problem: Problem, names: Sequence[str], count: int = LEAST_TRIALS) -> list[TrialRecord]:
    space = problem.space
    middle = {name: searched.middle.low for name, searched in space.parameters.items()}
    vector = middle | {name: space.parameters[name].high for name in names}
    return [trial(index, 1.0 - index / 100, **vector) for index in range(count)]


def test_a_range_grows_by_half_of_its_length_within_the_domain(problem: Problem) -> None:
    (found,) = next_widenings(problem, at_the_end(problem, ["G0"]), ())
    assert found == Widening("G0", 1.0, 5.5, 14, 5, 5)
    wider = replace(problem, space=problem.space.replace(ranges={"G0": (found.low, found.high)}))
    assert next_widenings(wider, at_the_end(problem, ["G0"]), (found,)) == ()


def test_it_looks_again_after_five_results_and_waits_for_the_first_that_has_not_ended(problem: Problem) -> None:
    trials = at_the_end(problem, ["G0"], count=24)
    found = [bool(next_widenings(problem, trials[:count], ())) for count in range(25)]
    assert found == [count >= LEAST_TRIALS for count in range(25)]
    first = next_widenings(problem, trials[:19], ())
    assert first == next_widenings(problem, trials[:15], ()), "between two looks nothing changes"
    assert next_widenings(problem, trials[:20], ())[0].trial == 15 + LOOKS_EVERY - 1
    trials[3] = replace(trials[3], state="running", objective=None)
    assert next_widenings(problem, trials, ()) == ()
    trials[3] = replace(trials[3], state="failed")
    assert next_widenings(problem, trials, ())[0].trial == 20, "a failed one has ended, without a result"


def test_a_few_ranges_at_once(problem: Problem) -> None:
    found = next_widenings(problem, at_the_end(problem, ["k", "G0", "G1", "E0", "B"]), ())
    assert [one.parameter for one in found] == ["k", "G0", "G1"][:MOST_AT_ONCE]


def test_what_would_leave_nothing_feasible_is_not_widened(problem: Problem) -> None:
    params = np.sort(count_params(problem.blueprints(_sample(problem, SURVEY_POINTS, seed=0))))
    tight = replace(problem, limits=Limits(params=int(params[math.ceil(LEAST_SHARE * SURVEY_POINTS)])))
    assert survey(tight).share >= LEAST_SHARE, "as it is, just enough is feasible"
    trials = at_the_end(problem, ["G0", "K"])
    assert [one.parameter for one in next_widenings(problem, trials, ())] == ["K", "G0"]
    assert next_widenings(tight, trials, ()) == ()


# In a study ----------------------------------------------------------------------------------------------------------


def wider_is_better(job: Assignment) -> TrialResult:
    network = bn.Blueprint.from_dict(dict(job.job.network))
    top1 = min(network.layers[-1].out_channels / 1000 + network.num_params / 1e9, 1.0)
    return TrialResult("completed", top1=top1, training_seconds=1.0, wall_seconds=1.0)


@pytest.fixture
def growing(tmp_path: Path, plan: StudyPlan) -> Callable[[str, int], Store]:
    """Makes studies whose best networks are the widest, which lie at the upper end of G0."""
    space = get_space("betanet3", ranges={"G0": (1.0, 1.5)})
    ranges = {name: (searched.low, searched.high) for name, searched in space.parameters.items()}

    def make(name: str, trials: int) -> Store:
        (tmp_path / name).mkdir()
        settings = {"ranges": ranges, "strategy": "local", "strategy_options": {"initial": 6}, "widen": True}
        return Store.create(StudyLocation.parse(tmp_path / name), plan.changed(**settings, trials=trials))

    return make


TRIALS = 34


def test_a_search_widens_and_goes_beyond(growing: Callable[[str, int], Store], digits_setup: WorkerSetup) -> None:
    notes: list[str] = []

    class Notes(SearchListener):
        def on_note(self, text: str) -> None:
            notes.append(text)

    with closing(growing("study", TRIALS)) as store:
        assert loop_over(store, digits_setup, wider_is_better, listener=Notes())[0].run() == "finished"
        plan, records = store.plan(), store.trials()
        first = plan.widenings[0]
        assert "G0" in {one.parameter for one in plan.widenings}
        assert plan.search.ranges["G0"] == (1.0, 1.5), "what was asked for stays"
        assert plan.ranges["G0"][1] > 1.5
        for record in records:
            at_the_time = {**plan.search.ranges}
            at_the_time |= {one.parameter: (one.low, one.high) for one in plan.widenings if one.trial < record.index}
            for name, (low, high) in at_the_time.items():
                assert low <= record.vector[name] <= high, f"trial {record.index}, {name}"
        assert any(record.vector["G0"] > 1.5 for record in records if record.index > first.trial)
        assert notes[0] == widenings_in_words(plan.widenings[: notes[0].count(" to ")])
        assert problem_of(plan).space.parameters["G0"] == Range(*plan.ranges["G0"])
        assert strategy_of(plan, records).ask(), "what goes on from the study knows the ranges"


@pytest.mark.parametrize("cut", [14, 16])
def test_resumed_anywhere_it_widens_at_the_same_trial(
    growing: Callable[[str, int], Store], digits_setup: WorkerSetup, cut: int
) -> None:
    with closing(growing("whole", TRIALS)) as whole, closing(growing("cut", cut)) as parted:
        loop_over(whole, digits_setup, wider_is_better)[0].run()
        loop_over(parted, digits_setup, wider_is_better)[0].run()
        parted.set_trials_planned(TRIALS)
        loop_over(parted, digits_setup, wider_is_better)[0].run()
        assert whole.plan().widenings
        assert parted.plan().widenings == whole.plan().widenings
        assert suggestions(parted.trials()) == suggestions(whole.trials())


def test_a_machine_follows_what_another_has_widened(
    growing: Callable[[str, int], Store], digits_setup: WorkerSetup, server: str
) -> None:
    with closing(growing("alone", TRIALS)) as alone:
        loop_over(alone, digits_setup, wider_is_better)[0].run()
        expected, widenings, plan = suggestions(alone.trials()), alone.plan().widenings, alone.plan()
    shared = Store.create(StudyLocation.parse(f"{server}?study=widened"), replace(plan, widenings=()))
    with closing(shared) as first, closing(Store.open(StudyLocation.parse(f"{server}?study=widened"))) as second:
        waiting = loop_over(second, digits_setup, wider_is_better)[0]
        first.set_trials_planned(widenings[0].trial + 2)
        loop_over(first, digits_setup, wider_is_better)[0].run()
        assert first.plan().widenings
        second.set_trials_planned(TRIALS)
        waiting.run()
        assert second.plan().widenings == widenings
        assert suggestions(second.trials()) == expected


def test_a_search_that_is_not_to_widen_does_not(
    growing: Callable[[str, int], Store], digits_setup: WorkerSetup
) -> None:
    with closing(growing("study", TRIALS)) as store:
        store.extend({"widen": False})
        loop_over(store, digits_setup, wider_is_better)[0].run()
        assert store.plan().widenings == ()
        assert max(record.vector["G0"] for record in store.trials()) <= 1.5
        place = store.location.text
    with Study.open(place) as study:
        status = study.status()
        assert {one["parameter"] for one in status["crowded"]} >= {"G0"}
        assert f"betanas resume {place} --widen" in status["bounds"]
        assert study.on_bounds() == status["bounds"]
        json.dumps(status)


def test_several_workers_and_failures_keep_the_study_whole(
    growing: Callable[[str, int], Store], digits_setup: WorkerSetup
) -> None:
    def sometimes(job: Assignment) -> TrialResult:
        return TrialResult("failed", cause="other", reason="no") if job.index % 5 == 4 else wider_is_better(job)

    with closing(growing("study", TRIALS)) as store:
        assert loop_over(store, digits_setup, sometimes, capacity=3)[0].run() == "finished"
        assert store.plan().widenings


def test_a_plan_keeps_its_widenings_and_older_ones_have_none(plan: StudyPlan) -> None:
    widened = replace(plan, widenings=(Widening("G0", 1.0, 5.5, 14, 5, 5),))
    assert StudyPlan.from_document(json.loads(json.dumps(widened.to_document()))) == widened
    assert widened.ranges == {**plan.search.ranges, "G0": (1.0, 5.5)}
    document = plan.to_document()
    del document["widenings"], document["search"]["widen"]
    assert StudyPlan.from_document(document) == plan


@pytest.mark.parametrize(
    "damage",
    [5, [5], [{"parameter": "G0"}], [{"parameter": "Q", "low": 1, "high": 2, "trial": 1, "leaders": 1, "of": 1}],
     [{"parameter": "G0", "low": 2, "high": 1, "trial": 1, "leaders": 1, "of": 1}],
     [{"parameter": "G0", "low": "x", "high": 1, "trial": 1, "leaders": 1, "of": 1}]],
)  # fmt: skip
def test_damaged_widenings_are_a_damaged_plan(store: Store, damage: object) -> None:
    from sqlalchemy import update

    from betanas.search.store.schema import studies

    with store._writing() as connection:
        document = {**store.plan().to_document(), "widenings": damage}
        connection.execute(update(studies).values(plan=document))
    with pytest.raises(StudyError, match="plan is damaged"):
        store.plan()


def test_on_the_command_line_a_finished_search_goes_on_with_wider_ranges(
    growing: Callable[[str, int], Store], digits_setup: WorkerSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(growing("study", TRIALS)) as store:
        store.extend({"widen": False})
        loop_over(store, digits_setup, wider_is_better)[0].run()
        store.end_session(0, "finished")
        place = store.location.text

    def printed(*arguments: str) -> str:
        assert run(list(arguments)) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "of G0 (1.5; " in printed("status", place)
    assert "--widen --trials N" in printed("best", place)
    assert "of G0 (1.5; " in json.loads(printed("best", place, "--json"))["bounds"]
    text = printed("resume", place, "--widen", "--trials", str(TRIALS + 1))
    with Study.open(place) as study:
        plan = study.plan
    assert plan.search.widen
    assert plan.ranges["G0"] == (1.0, 1.75)
    assert f"note: {widenings_in_words(plan.widenings)}" in text
    assert widenings_in_words(plan.widenings) in printed("status", place)
    assert json.loads(printed("status", place, "--json"))["widened"][0]["trial"] == plan.widenings[0].trial
