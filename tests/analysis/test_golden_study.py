"""A real study, made once and kept: today's version must open it, count it and draw it."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from betanas.analysis.report import build_report
from betanas.analysis.snapshot import StudySnapshot
from betanas.search.objectives import Accuracy, Pareto
from betanas.search.run import resume
from betanas.search.settings import ResumeSettings
from betanas.search.study import Study

GOLDEN = Path(__file__).parents[1] / "golden" / "study"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A copy: opening a database may leave files beside it."""
    shutil.copytree(GOLDEN, tmp_path / "golden")
    return Study.open(tmp_path / "golden")


def test_it_opens_with_everything_in_it(study: Study) -> None:
    status = study.status()
    assert status["trials"]["completed"] == status["trials"]["planned"] == 30
    assert (status["state"], status["sessions"]) == ("finished", 2)
    assert [session.ending for session in study.sessions()] == ["", "finished"]
    trials = study.trials(curves=True)
    assert [trial.origin for trial in trials] == ["sobol"] * 16 + ["gpei"] * 14
    assert all(trial.curve and trial.params <= 200_000 for trial in trials)
    assert max(trial.attempts for trial in trials) == 2, "the trial that the kill cut off was started again"
    assert all(study.blueprint(trial.index).key == trial.blueprint_key for trial in trials)
    assert {kept.kind for kept in study.attachments()} == {"surrogate", "confirmation"}


def test_the_confirmed_network_is_its_best(study: Study) -> None:
    best = study.best()
    assert (best.by, best.trial) == ("confirmed", 29)
    assert best.interval is not None
    assert best.interval.n == 2
    assert best.accuracy == pytest.approx(0.8862, abs=1e-4)
    assert study.best("observed").accuracy == pytest.approx(0.8828, abs=1e-4)


def test_it_can_be_resumed(study: Study, tmp_path: Path) -> None:
    """Its objective, a text in schema 1, is data by now."""
    study.close()
    changes = ResumeSettings(trials=31, executor="inline", devices=("cpu",))
    with resume(tmp_path / "golden", changes) as resumed:
        assert resumed.plan.search.objective == Accuracy()
        assert resumed.state == "finished"
        assert resumed.trial(30).state == "completed"
        assert resumed.trial(30).objective == resumed.trial(30).top1


def test_the_study_of_a_front_opens_with_its_front(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN.with_name("study_2"), tmp_path / "golden")
    with Study.open(tmp_path / "golden") as study:
        assert study.plan.search.objective == Pareto("params")
        status, trials = study.status(), study.trials()
        assert [record.origin for record in trials] == ["sobol"] * 16 + ["gpei"] * 8
        front = study.front()
        assert [record.index for record in front] == [one["trial"] for one in status["front"]]
        # Fewer parameters first, each with more accuracy than the one before; the best trial is the last.
        assert all(a.params < b.params and a.top1 < b.top1 for a, b in pairwise(front))
        assert front[-1].top1 == max(record.top1 for record in trials)
        assert not build_report(StudySnapshot.of(study, curves=True)).failed


def test_its_report_has_every_figure_that_a_search_can_fill(study: Study) -> None:
    report = build_report(StudySnapshot.of(study, curves=True))
    assert not report.failed
    for title in ("Trial history", "Parameters of all trials"):
        assert title in report.html
    assert "restart" in report.html
