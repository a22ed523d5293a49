"""A search that learns from finished studies: what it takes from them, what it makes of it, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import betanas as bn
from betanas.cli.main import run
from betanas.errors import StudyError, UserError
from betanas.search.feasibility import Problem
from betanas.search.learning import learn, teaches
from betanas.search.lessons import LEAST_TRIALS, MOST_LESSONS, MOST_TRIALS, Lesson, lesson_of
from betanas.search.objectives import Pareto
from betanas.search.planning import plan_search, problem_of, strategy_of
from betanas.search.progress import SearchListener
from betanas.search.propose import Observation, get_strategy
from betanas.search.propose.gpei import Gpei
from betanas.search.propose.gpei.experience import Experience
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.strategy import INITIAL_WITH_LESSONS
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.settings import Limits, ProposalSettings, SearchSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.study import Study
from betanas.spaces import get_space
from betanas.training.budget import Budget
from betanas.training.result import TrialResult
from betanas.trust import check_trust

FIXED = dict.fromkeys(("Db", "WLa", "WLb", "WCa", "WCb"), 0.0)
SPACE = get_space("betanet3", "default", fixed=FIXED)
PROBLEM = Problem(SPACE, resolution=32, num_classes=10, in_channels=3, batch_size=32, limits=Limits(params=800_000))
OPTIONS = {"pool": 256}


def truth(vector: dict[str, float]) -> float:
    unit = dict(zip(SPACE.free, SPACE.to_unit(SPACE.to_array([vector]))[0], strict=True))
    return float(0.6 - 0.4 * (unit["k"] - 0.3) ** 2 - 0.3 * (unit["G0"] - 0.6) ** 2)


def taught(count: int = 24, *, sign: float = 1.0, problem: Problem = PROBLEM) -> Lesson:
    """What a search of other images found, where accuracies are half as large."""
    vectors = [one.vector for one in get_strategy("sobol")(problem, seed=7).ask(count)]
    lesson = lesson_of("others", [(vector, 0.1 + sign * truth(dict(vector)) / 2) for vector in vectors], problem.space)
    assert lesson is not None
    return lesson


def told(problem: Problem, count: int, *, seed: int = 0) -> Gpei:
    """A strategy that has made this number of its own suggestions."""
    strategy = Gpei(problem, seed=seed, options=OPTIONS)
    for index in range(count):
        (one,) = strategy.ask()
        strategy.tell(Observation(index, one.vector, one.origin, "completed", truth(dict(one.vector))))
    return strategy


# What a study teaches ------------------------------------------------------------------------------------------------


def test_a_lesson_is_kept_as_plain_data() -> None:
    lesson = taught()
    assert Lesson.from_document(json.loads(json.dumps(lesson.to_document()))) == lesson


@given(count=st.integers(LEAST_TRIALS, 3 * MOST_TRIALS), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_of_many_trials_the_best_are_kept_and_others_spread_evenly(count: int, seed: int) -> None:
    vector = {name: each.low for name, each in SPACE.parameters.items()}
    values = np.random.default_rng(seed).permutation(count).astype(float).tolist()
    lesson = lesson_of("many", [(vector, value) for value in values], SPACE)
    assert lesson is not None
    assert len(lesson.values) == min(count, MOST_TRIALS)
    assert set(sorted(values)[-MOST_TRIALS // 2 :]) <= set(lesson.values)
    places = [values.index(value) for value in lesson.values]
    assert places == sorted(places), "in the order of the study"
    assert np.diff(places).max() <= 4 * max(count / MOST_TRIALS, 1)


def test_what_the_space_cannot_construct_teaches_nothing() -> None:
    vector = {name: each.low for name, each in SPACE.parameters.items()}
    beyond = {**vector, "k": 1e6}
    few = [(vector, 0.1)] * (LEAST_TRIALS - 1)
    assert lesson_of("few", [*few, (beyond, 0.2), (vector, float("nan"))], SPACE) is None
    lesson = lesson_of("enough", [(vector, 0.1)] * LEAST_TRIALS + [(beyond, 0.2)], SPACE)
    assert lesson is not None
    assert lesson.vectors == (vector,) * LEAST_TRIALS


# What a strategy makes of it -----------------------------------------------------------------------------------------


def test_without_lessons_nothing_changes() -> None:
    first, second = told(PROBLEM, 2), Gpei(replace(PROBLEM, lessons=()), seed=0, options=OPTIONS)
    assert [one.vector for one in second.ask(2)] == [one.vector for one in first.observations]


def test_it_begins_with_what_the_other_study_would_have_tried_next() -> None:
    cold, warm = told(PROBLEM, 6), told(replace(PROBLEM, lessons=(taught(),)), 8)
    origins = [one.origin for one in warm.observations]
    assert origins[:INITIAL_WITH_LESSONS] == ["prior", "sobol"] * (INITIAL_WITH_LESSONS // 2)
    assert set(origins[INITIAL_WITH_LESSONS:]) == {"gpei"}
    advised = [one.objective or 0.0 for one in warm.observations if one.origin == "prior"]
    alone = [one.objective or 0.0 for one in cold.observations]
    assert np.mean(advised) > np.mean(alone)
    assert max(one.objective or 0.0 for one in warm.observations) > max(alone)


def test_the_same_lessons_and_results_give_the_same_suggestions() -> None:
    problem = replace(PROBLEM, lessons=(taught(), taught(12)))
    done = told(problem, 8)
    again = Gpei(problem, seed=0, options=OPTIONS)
    for seen in reversed(done.observations):
        again.tell(seen)
    assert [one.vector for one in again.ask(2)] == [one.vector for one in done.ask(2)]


def test_results_overrule_a_lesson_that_is_wrong() -> None:
    wrong, vectors = replace(PROBLEM, lessons=(taught(sign=-1.0),)), get_strategy("sobol")(PROBLEM, seed=3).ask(40)
    model = {"pool": 256, "initial": 2}
    found = {}
    for name, problem in (("wrong", wrong), ("none", PROBLEM)):
        strategy = Gpei(problem, seed=0, options=model)
        for index, one in enumerate(vectors):
            strategy.tell(Observation(index, one.vector, "sobol", "completed", truth(dict(one.vector))))
        best = strategy.predict_best()
        assert best is not None
        found[name] = truth(dict(best.vector))
    assert found["wrong"] > found["none"] - 0.01


def test_a_study_of_other_ranges_and_fixed_values_can_be_learned_from() -> None:
    wide = replace(PROBLEM, space=get_space("betanet3", "default"))
    narrow = replace(PROBLEM, space=SPACE.replace(ranges={"k": (2.0, 2.5)}), lessons=(taught(problem=wide),))
    (one,) = Gpei(narrow, seed=0, options=OPTIONS).ask()
    assert 2.0 <= one.vector["k"] <= 2.5
    assert one.origin == "prior"


def test_a_front_can_learn_too() -> None:
    problem = replace(PROBLEM, lessons=(taught(),), against="params")
    assert len(Gpei(problem, seed=0, options=OPTIONS).ask(INITIAL_WITH_LESSONS + 1)) == INITIAL_WITH_LESSONS + 1
    assert told(problem, INITIAL_WITH_LESSONS + 1).observations[-1].origin == "gpei"


def test_the_model_is_exported_with_lessons() -> None:
    strategy = told(replace(PROBLEM, lessons=(taught(),)), 7)
    document = strategy.export_surrogate()
    assert document is not None
    assert len(document["parameters"]) == len(SPACE.free)
    json.dumps(document)


def test_what_studies_expect_is_remembered_and_right_where_they_were() -> None:
    lesson = taught()
    rows = SPACE.from_unit(np.random.default_rng(0).random((64, len(SPACE.free))))
    view = NetworkView.over(PROBLEM, rows)
    experience = Experience.of(PROBLEM, (lesson, taught(10)), view)
    points = SPACE.to_unit(rows)
    before = experience(points)
    experience.keep(points[:32])
    assert experience(points) == pytest.approx(before)
    at = SPACE.to_unit(SPACE.to_array(lesson.vectors))
    assert np.corrcoef(experience(at)[:, 0], lesson.values)[0, 1] > 0.9


# Studies on disk -----------------------------------------------------------------------------------------------------

RESULT = TrialResult("completed", top1=0.5, training_seconds=1.0, wall_seconds=1.0, steps=2)


@pytest.fixture
def finished(tmp_path: Path, plan: StudyPlan, make_record: Callable[..., TrialRecord]) -> Callable[..., str]:
    """Makes a study with results, of the fixture's plan with some changes."""

    def make(name: str = "finished", *, trials: int = 8, state: str = "completed", **changes: object) -> str:
        place = tmp_path / name
        place.mkdir()
        blueprint = bn.get_space("betanet3").blueprint(
            bn.published("betanet3"), resolution=16, num_classes=10, in_channels=1
        )
        with closing(Store.create(StudyLocation.parse(place), plan.changed(**changes))) as store:
            for index, one in enumerate(get_strategy("sobol")(problem_of(plan), seed=1).ask(trials)):
                store.add_trial(make_record(index, vector=dict(one.vector)), blueprint)
                result = RESULT if state == "completed" else TrialResult("failed", cause="exception", reason="no")
                objective = 0.1 * one.vector["k"] if state == "completed" else None
                store.end_trial(index, 1, result, objective=objective)
        return str(place)

    return make


def asked(tmp_path: Path, *studies: str, **given: object) -> SearchSettings:
    usual = {
        "data": "digits",
        "study": str(tmp_path / "new"),
        "resolution": 16,
        "budget": "2steps",
        "trials": 3,
        "max_memory": 2**30,
        "executor": "inline",
        "devices": "cpu",
        "strategy_options": {"pool": 64},
        "prior": studies,
    }
    return SearchSettings(**{**usual, **given})


def test_what_was_learned_is_kept_in_the_plan_and_the_study_is_not_needed_again(
    tmp_path: Path, finished: Callable[..., str]
) -> None:
    place, notes = finished(budget="1epochs", resolution=32, max_params=1_000_000), []

    class Notes(SearchListener):
        def on_note(self, text: str) -> None:
            notes.append(text)

    plan = plan_search(asked(tmp_path, place), Notes()).plan
    shutil.rmtree(place)
    assert plan.search.prior == ()
    (lesson,) = plan.lessons
    assert lesson.title == "digits at 32 pixels, 1epochs a trial"
    assert len(lesson.values) == 8
    assert "Learns from 8 trials of digits at 32 pixels, 1epochs a trial." in notes
    again = StudyPlan.from_document(json.loads(json.dumps(plan.to_document())))
    assert again == plan
    (first,), (second,) = strategy_of(plan, ()).ask(), strategy_of(again, ()).ask()
    assert first == second
    assert first.origin == "prior"


def test_a_search_learns_and_goes_on_without_the_other_study(
    tmp_path: Path, finished: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    place, new = finished(), str(tmp_path / "new")
    (tmp_path / "gpei.toml").write_text("strategy_options = { pool = 64 }\n", encoding="utf-8")
    settings = ["--config", str(tmp_path / "gpei.toml"), "--data", "digits", "--study", new, "--prior", place]
    settings += ["--resolution", "16", "--budget", "2steps", "--executor", "inline", "--devices", "cpu"]
    assert run(["search", *settings, "--trials", "2", "--baselines", "none"]) == 0
    assert "Learns from 8 trials of digits" in " ".join(capsys.readouterr().out.split())
    shutil.rmtree(place)
    assert run(["resume", new, "--trials", "3"]) == 0
    capsys.readouterr()
    assert run(["status", new]) == 0
    assert "learned from: 8 trials of digits at 16 pixels, 2steps a trial" in " ".join(capsys.readouterr().out.split())
    with Study.open(new) as study:
        assert [one.origin for one in study.trials()] == ["prior", "sobol", "prior"]
        assert study.status()["lessons"] == [{"title": "digits at 16 pixels, 2steps a trial", "trials": 8}]


@pytest.mark.parametrize(
    ("study", "given", "said"),
    [
        ({"space": "betanet2", "ranges": {}}, {}, "searched betanet2"),
        ({"blocks": "lite"}, {}, "--blocks lite"),
        ({"trials": LEAST_TRIALS - 1}, {}, "betanas resume"),
        ({"state": "failed"}, {}, "has 0"),
        ({"objective": "compound", "cost": "params", "cost_target": "1M"}, {}, "maximised compound"),
        ({}, {"strategy": "tpe"}, "gpei"),
    ],
)
def test_a_study_that_teaches_nothing_here_is_refused_and_nothing_written(
    tmp_path: Path, finished: Callable[..., str], study: dict[str, Any], given: dict[str, Any], said: str
) -> None:
    place = finished(**study)
    with pytest.raises(UserError, match=said):
        plan_search(asked(tmp_path, place, **given), SearchListener())
    assert not (tmp_path / "new").exists()


def test_on_the_command_line_a_missing_study_is_an_error_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--data", "digits", "--study", str(tmp_path / "new"), "--prior", str(tmp_path / "none")]
    assert run(["search", *settings, "--resolution", "16", "--budget", "2steps"]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err.replace("\n", "")
    assert not (tmp_path / "new").exists()


def test_only_results_that_compare_teach(plan: StudyPlan, make_record: Callable[..., TrialRecord]) -> None:
    whole = make_record(0, objective=0.5, budget=plan.training.budget)
    assert teaches(whole, plan)
    assert teaches(replace(whole, budget=None), plan), "of an early version"
    for change in ({"objective": None}, {"repeat_of": 3}, {"budget": Budget(1, "steps")}):
        assert not teaches(replace(whole, **change), plan)


def test_too_many_studies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"{MOST_LESSONS} finished studies"):
        learn([str(tmp_path)] * (MOST_LESSONS + 1), ProposalSettings(), SPACE)


def test_a_search_of_a_front_learns_from_accuracies(tmp_path: Path, finished: Callable[..., str]) -> None:
    search = ProposalSettings(objective=Pareto("params"))
    assert len(learn([finished()], search, get_space("betanet3"))) == 1


def test_older_plans_have_learned_nothing(plan: StudyPlan) -> None:
    document = plan.to_document()
    del document["lessons"], document["search"]["prior"]
    assert StudyPlan.from_document(document) == plan


def lessons_of(plan: StudyPlan, **changes: object) -> list[dict[str, Any]]:
    lesson = lesson_of("others", [(bn.published("betanet3"), 0.1 * index) for index in range(9)], get_space("betanet3"))
    assert lesson is not None
    return [{**lesson.to_document(), **changes}]


@pytest.mark.parametrize(
    "changes",
    [{"values": [1.0]}, {"values": [float("nan")] * 9}, {"vectors": [[1.0]] * 9}, {"parameters": ["k"]},
     {"title": None}, {"vectors": [["x"] * 15] * 9}],
)  # fmt: skip
def test_a_strangers_lesson_that_is_damaged_is_refused(plan: StudyPlan, changes: dict[str, Any]) -> None:
    assert StudyPlan.from_document({**plan.to_document(), "lessons": lessons_of(plan)}).lessons
    with pytest.raises((TypeError, ValueError, KeyError)):
        StudyPlan.from_document({**plan.to_document(), "lessons": lessons_of(plan, **changes)})


def test_a_strangers_plan_cannot_bring_more_lessons_than_a_search_takes(plan: StudyPlan) -> None:
    with pytest.raises(ValueError, match="lessons"):
        StudyPlan.from_document({**plan.to_document(), "lessons": lessons_of(plan) * (MOST_LESSONS + 1)})


def test_the_words_of_a_lesson_name_nothing_that_is_opened(plan: StudyPlan) -> None:
    lesson = lesson_of("http://else.where", [(bn.published("betanet3"), 0.1)] * 9, get_space("betanet3"))
    assert lesson is not None
    check_trust(replace(plan, lessons=(lesson,)), trusted=False)
