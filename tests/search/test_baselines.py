"""The plain networks that a search trains first, and by how much it beats them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import betanas as bn
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.wording import summary
from betanas.cli.main import run
from betanas.errors import BlueprintError
from betanas.search.beaten import beside_baselines
from betanas.search.executors.base import ExecutorEvent, TrialEnded
from betanas.search.executors.inline import InlineExecutor
from betanas.search.planning import plan_search
from betanas.search.progress import SearchListener
from betanas.search.records import FIRST_BASELINE, StudyPlan, TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.studies.baselines import baseline_proposer
from betanas.training.result import TrialResult

QUICK = {"data": "digits", "resolution": 16, "budget": "2steps", "strategy": "sobol", "executor": "inline"}


def planned(tmp_path: Path, **given: object) -> tuple[str, ...] | None:
    settings = bn.SearchSettings(**{**QUICK, "study": str(tmp_path / "study"), **given})
    return plan_search(settings, SearchListener()).plan.search.baselines


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("baselines") / "study")
    bn.search(**QUICK, study=place, trials=2, baselines="plain4,resnet20").close()
    return place


def test_a_search_trains_them_first_and_keeps_them_apart(study: str) -> None:
    with bn.Study.open(study) as opened:
        baselines, trials = opened.baselines(), opened.trials()
        assert [one.index for one in trials] == [0, 1]
        assert [(one.name, one.state, one.index) for one in baselines] == [
            ("plain4", "completed", FIRST_BASELINE),
            ("resnet20", "completed", FIRST_BASELINE + 1),
        ]
        assert {(one.resolution, str(one.budget), one.recipe) for one in (*baselines, *trials)} == {
            (16, "2steps", trials[0].recipe)
        }
        assert all(one.started and trials[0].started and one.started < trials[0].started for one in baselines)
        assert {one["name"] for one in opened.status()["baselines"]} == {"plain4", "resnet20"}
        text = " ".join(summary(StudySnapshot.of(opened)))
    assert "Trained alike for comparison: plain4" in text


def test_going_on_trains_none_again(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    with bn.Study.open(study) as opened:
        before = opened.baselines()
    assert run(["resume", study, "--trials", "3"]) == 0
    assert "Trained alike for comparison: plain4" in " ".join(capsys.readouterr().out.split())
    with bn.Study.open(study) as opened:
        assert opened.baselines() == before
        assert len(opened.trials()) == 3
    assert run(["status", study]) == 0
    assert "for comparison: plain4" in capsys.readouterr().out


def test_one_that_was_cut_off_is_trained_when_the_search_goes_on(tmp_path: Path, plan: StudyPlan) -> None:
    place = tmp_path / "study"
    place.mkdir()
    plan = replace(plan, search=replace(plan.search, trials=1, baselines=("plain4", "plain6")))
    with closing(Store.create(StudyLocation.parse(place), plan)) as store:
        assert baseline_proposer(store, plan) is not None
        session = store.begin_session(host="gone", pid=1, command="", versions={}, hardware={}, ago=0.0)
        assert store.begin_attempt(FIRST_BASELINE, session, seen=0)
        store.end_session(session, "interrupted")
    with bn.resume(place) as resumed:
        assert [(one.state, one.attempts) for one in resumed.baselines()] == [("completed", 2), ("completed", 1)]


class Endless(InlineExecutor):
    """Trains no baseline to its end, and whatever else in no time."""

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        if self._jobs and self._jobs[0].index >= FIRST_BASELINE:
            time.sleep(timeout)
            return []
        jobs, result = list(self._jobs), TrialResult("completed", top1=0.5, training_seconds=0.1, wall_seconds=0.1)
        self._jobs.clear()
        return [TrialEnded(job.index, job.attempt, result) for job in jobs]


def test_one_without_end_leaves_half_of_the_time_to_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "betanas.search.studies.conduct.make_executor", lambda _, setup, settings: Endless(setup, settings)
    )
    settings = {**QUICK, "budget": "1000000steps", "trials": 3, "time": "5s", "baselines": "plain4,plain6"}
    with bn.search(**settings, study=str(tmp_path / "study")) as found:
        assert [(one.name, one.ended) for one in found.baselines()] == [("plain4", None), ("plain6", None)]
        assert found.state == "finished"
        if found.sessions()[-1].ending == "finished":  # a busy machine may take five seconds for the rest
            assert [one.state for one in found.trials()] == ["completed"] * 3


def test_without_a_word_they_take_a_tenth_of_the_trials_at_most(tmp_path: Path) -> None:
    assert planned(tmp_path) == ("plain4", "plain6")
    assert planned(tmp_path, trials=20) == ("plain4", "plain6")
    assert planned(tmp_path, trials=19) == ()
    assert planned(tmp_path, budget="10s", time="199s") == ()
    assert planned(tmp_path, budget="10s", time="200s") == ("plain4", "plain6")
    assert planned(tmp_path, max_params="150k") == ("plain4",)
    assert planned(tmp_path, baselines="none") == ()
    assert planned(tmp_path, baselines=[]) == ()
    assert planned(tmp_path, trials=1, baselines=["resnet20"]) == ("resnet20",)


def test_a_plan_of_before_there_were_any_has_none(plan: StudyPlan) -> None:
    document = json.loads(json.dumps(plan.to_document()))
    del document["search"]["baselines"]
    assert StudyPlan.from_document(document).search.baselines is None


@pytest.mark.parametrize("asked", ["plain5", "plain4,resnet200"])
def test_a_wrong_name_is_refused(asked: str, tmp_path: Path) -> None:
    with pytest.raises(BlueprintError, match=r"benchmark networks.*Did you mean (plain6|resnet20)"):
        planned(tmp_path, baselines=asked)
    assert not (tmp_path / "study").exists()


def test_the_sentence_says_who_is_better(make_record: Callable[..., TrialRecord]) -> None:
    plain = make_record(0, purpose="baseline", name="plain4", state="completed", top1=0.8, params=100_000)
    other = make_record(1, purpose="baseline", name="plain6", state="completed", top1=0.7, params=300_000)
    failed = make_record(2, purpose="baseline", name="resnet20", state="failed", top1=None)
    above = beside_baselines(0.825, 50_000, [plain, other, failed])
    assert "2.50 points above the best of them, with 0.5 times its parameters" in above
    assert "resnet20" not in above
    below = beside_baselines(0.75, 50_000, [plain, other])
    assert "5.00 points below plain4: take that one (betanas train plain4)" in below
    assert beside_baselines(0.75, 50_000, [failed]) == ""
