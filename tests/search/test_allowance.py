"""The time of a whole search: what may still begin, and what earlier sessions have used."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

import betanas as bn
from betanas.errors import StudyError
from betanas.search.allowance import Allowance, seconds_before
from betanas.search.records import SessionRecord, StudyPlan, TrialRecord
from betanas.search.settings import ResumeSettings
from betanas.search.study import Study
from betanas.training.budget import Budget

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def session(start: float, end: float | None, seen: float = 0.0) -> SessionRecord:
    ended = None if end is None else NOON + timedelta(seconds=end)
    last = NOON + timedelta(seconds=seen if end is None else end)
    return SessionRecord(0, NOON + timedelta(seconds=start), last, ended, "", "here", 1, "", {}, {})


def trial(training: float | None, wall: float | None = None, state: str = "completed") -> TrialRecord:
    return TrialRecord(0, {}, "key", "sobol", state, training_seconds=training, wall_seconds=wall)  # type: ignore[arg-type]


def allowance(budget: str, *, elapsed: float = 0.0, **limits: float | None) -> Allowance:
    return Allowance(
        limits.get("time"), limits.get("training_time"), Budget.parse(budget), before=elapsed, began=time.monotonic()
    )


class TestWallClock:
    @pytest.mark.parametrize(
        ("sessions", "expected"),
        [
            ([], 0.0),
            ([session(0, 10), session(20, 25)], 15.0),
            ([session(0, 10), session(5, 12)], 12.0),  # two machines at the same time
            ([session(5, 12), session(0, 30)], 30.0),
            ([session(0, None, seen=8)], 8.0),  # one that crashed
            ([session(90, 130)], 10.0),  # what lies after the moment is this session's own
        ],
    )
    def test_what_earlier_sessions_took(self, sessions: list[SessionRecord], expected: float) -> None:
        assert seconds_before(sessions, NOON + timedelta(seconds=100)) == expected

    def test_a_part_of_the_budget_takes_a_part_of_its_time(self) -> None:
        ended = [trial(10.0, 12.0), replace(trial(5.0, 8.0), share=0.5)]
        assert allowance("10s", elapsed=51.5, time=60.0).allows_another(ended, share=0.5)
        assert not allowance("10s", elapsed=52.5, time=60.0).allows_another(ended, share=0.5), "5 s, and 3 s on top"
        assert allowance("20steps", elapsed=51.5, time=60.0).allows_another(ended, share=0.5)
        assert not allowance("20steps", elapsed=52.5, time=60.0).allows_another(ended, share=0.5)
        running = replace(trial(None, state="running"), share=0.5)
        for budget in ("10s", "20steps"):
            assert allowance(budget, training_time=22.5).allows_another([*ended, running], share=0.5)
            assert not allowance(budget, training_time=22.0).allows_another([*ended, running], share=0.5)

    def test_a_trial_begins_if_its_budget_and_what_comes_on_top_fit(self) -> None:
        ended = [trial(10.0, 12.0), trial(10.0, 13.0)]
        assert allowance("10s", elapsed=46.0, time=60.0).allows_another(ended)
        assert not allowance("10s", elapsed=48.0, time=60.0).allows_another(ended), "the slowest took 3 s on top"
        assert not allowance("10s", elapsed=46.0, time=60.0).allows_another(ended, thinking=2.0)
        assert allowance("10s", elapsed=46.0, time=60.0).allows_another([]), "nothing is known of what comes on top"

    def test_a_trial_of_steps_takes_as_long_as_the_longest_of_late(self) -> None:
        ended = [trial(50.0, 55.0), *[trial(1.0, 2.0)] * 20]
        assert allowance("10steps", elapsed=57.0, time=60.0).allows_another(ended)
        assert not allowance("10steps", elapsed=59.0, time=60.0).allows_another(ended)
        assert allowance("10steps", elapsed=59.0, time=60.0).allows_another([]), "only a trial can tell"

    def test_the_promise_is_three_percent(self) -> None:
        left = allowance("10s", elapsed=100.5, time=100.0).seconds_left()
        assert 0.0 < left <= 2.0
        assert allowance("10s", elapsed=102.5, time=100.0).seconds_left() < 0.0
        assert allowance("10s", elapsed=98.0, time=100.0).seconds_left(thinking=5.0) < 0.0
        assert allowance("10s", elapsed=1e9).seconds_left() == math.inf


class TestTrainingSeconds:
    def test_seconds_make_whole_trials(self) -> None:
        limited = allowance("10s", training_time=100.0)
        assert limited.allows_another([trial(10.0)] * 9)
        assert not limited.allows_another([trial(10.0)] * 10)
        assert limited.allows_another([trial(10.02)] * 9), "a step more does not cost a trial"

    def test_trials_in_progress_count(self) -> None:
        running = trial(None, state="running")
        limited = allowance("10s", training_time=100.0)
        assert limited.allows_another([trial(10.0)] * 8 + [running])
        assert not limited.allows_another([trial(10.0)] * 8 + [running] * 2)

    def test_failures_and_repeats_cost_what_they_took(self) -> None:
        limited = allowance("10s", training_time=100.0)
        assert limited.allows_another([trial(None, state="failed")] * 50 + [trial(0.0)] * 50)

    def test_epochs_are_reckoned_by_their_mean(self) -> None:
        limited = allowance("1epochs", training_time=100.0)
        assert limited.allows_another([])
        assert limited.allows_another([trial(30.0), trial(20.0), trial(25.0)])
        assert not limited.allows_another([trial(30.0), trial(20.0), trial(40.0)])


def test_a_plans_allowance(plan: StudyPlan) -> None:
    limited = plan.changed(time="2m", training_time="90s", budget="5s")
    began = time.monotonic() - 20
    found = Allowance.of(limited, [session(0, 30)], NOON + timedelta(seconds=100), began=began)
    assert (found.time, found.training_time, found.before) == (120.0, 90.0, 30.0)
    assert 50.0 <= found.elapsed < 80.0
    without = Allowance.of(plan, [], NOON, began=began)
    assert without.allows_another([trial(1e6, 1e6)] * 3)


class TestSearches:
    common: ClassVar[dict[str, object]] = {
        "data": "digits",
        "resolution": 16,
        "strategy": "sobol",
        "executor": "inline",
        "devices": "cpu",
        "max_params": 200_000,
    }

    def test_a_total_of_training_seconds_is_met_and_can_be_extended(self, tmp_path: Path) -> None:
        study = str(tmp_path / "study")
        with bn.search(**self.common, study=study, budget="0.2s", training_time="0.6s") as first:
            status = first.status()
            over = sum(max((each.training_seconds or 0.0) - 0.2, 0.0) for each in first.trials())
            assert status["state"] == "finished"
            assert status["trials"]["planned"] is None
            assert 0.5 - over <= status["training_seconds"] <= 0.7 + over
            assert first.sessions()[-1].ending == "out_of_time"
        with bn.resume(study, ResumeSettings(training_time="1.2s")) as second:
            assert second.plan.search.training_time == Budget(1.2, "seconds")
            assert second.status()["training_seconds"] >= 1.0 - over
            assert len(second.trials()) > sum(
                status["trials"][state] for state in ("completed", "failed", "infeasible")
            )
        with Study.open(study) as kept:
            assert kept.plan.search.training_time == Budget(1.2, "seconds")

    def test_wall_clock_ends_a_search_that_has_trials_left(self, tmp_path: Path) -> None:
        study = str(tmp_path / "study")
        with bn.search(**self.common, study=study, budget="1steps", time="6s") as found:
            assert found.state == "finished"
            assert found.plan.search.time == Budget(6, "seconds")
            (session,) = found.sessions()
            assert session.ending == "out_of_time"
            trials = len(found.trials())
        # Its time is used up: going on without more of it trains nothing.
        with bn.resume(study) as again:
            assert len(again.trials()) == trials
            assert again.sessions()[-1].ending == "out_of_time"

    def test_a_confirmation_leaves_a_search_whose_time_was_used_up_as_it_was(self, tmp_path: Path) -> None:
        study = str(tmp_path / "study")
        bn.search(**self.common, study=study, budget="2steps", training_time="0.1s").close()
        assert bn.confirm(study, top=1, seeds=1)
        with Study.open(study) as kept:
            assert len(kept.sessions()) == 2
            assert kept.state == "finished"

    def test_planned_trials_end_it_where_they_come_first(self, tmp_path: Path) -> None:
        with bn.search(**self.common, study=str(tmp_path / "s"), budget="1steps", time="1h", trials=2) as found:
            assert found.status()["trials"]["planned"] == 2
            assert found.sessions()[-1].ending == "finished"

    @pytest.mark.parametrize("option", ["time", "training_time"])
    def test_a_time_that_holds_no_trial_is_refused(self, tmp_path: Path, option: str) -> None:
        with pytest.raises(StudyError, match="must hold at least one trial"):
            bn.search(**self.common, study=str(tmp_path / "study"), budget="60s", **{option: "30s"})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.soak
    @pytest.mark.parametrize("budget", ["5s", "1000000steps"])
    def test_the_promise_of_time_is_kept(self, tmp_path: Path, budget: str) -> None:
        """Within 3%, all included; a trial that nobody could know the length of is ended, and begins again later."""
        begun, study = time.monotonic(), str(tmp_path / "study")
        given = {**self.common, "executor": "local", "baselines": "none"}
        with bn.search(**given, study=study, budget=budget, time="60s") as found:
            assert time.monotonic() - begun <= 60 * 1.03
            assert found.status()["state"] == "finished"
            assert found.status()["trials"]["cut_off"] == (budget != "5s")
