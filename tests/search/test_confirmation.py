from __future__ import annotations

import math
from pathlib import Path

import pytest

import betanas as bn
from betanas.cli.main import run
from betanas.errors import StudyError
from betanas.intervals import mean_interval
from betanas.search.studies.confirmation import confirm
from betanas.search.study import Study


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("confirm") / "study"
    bn.search(
        data="digits", study=str(place), resolution=16, budget="4steps", trials=4, strategy="gpei", executor="inline"
    ).close()
    return place


def test_leaders_are_retrained_and_best_reports_them(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {one.blueprint.key: one for one in confirm(searched, top=2, seeds=2)}
    assert len(found) == 3, "two leaders and the model's maximum"
    assert sum(one.trial is None for one in found.values()) == 1
    assert all(len(one.runs) == 2 for one in found.values())
    seeds = {run.seed for one in found.values() for run in one.runs}
    assert len(seeds) == 2, "the same fresh seeds for all"
    with Study.open(searched) as study:
        assert not seeds & {record.seed for record in study.trials()}
        best = study.best()
        assert best.by == "confirmed"
        assert best.interval is not None
        assert best.accuracy == max(one.interval.mean for one in found.values() if one.interval)
        assert study.best("observed").by == "observed"
        assert not study.attachments("confirmation"), "its trainings are trials, kept apart from the search's"
        assert len(study.trials()) == 4
        assert study.confirmations() == tuple(found.values())
    assert run(["best", str(searched)]) == 0
    assert "too few for an interval" in capsys.readouterr().out


def test_an_extended_confirmation_repeats_nothing(searched: Path) -> None:
    before = {one.blueprint.key: one.runs for one in confirm(searched, top=2, seeds=2)}
    after = {one.blueprint.key: one.runs for one in confirm(searched, top=2, seeds=3)}
    assert all(after[key][:2] == runs for key, runs in before.items())
    assert all(len(runs) == 3 for runs in after.values())


def test_no_training_is_begun_that_cannot_end_in_time(tmp_path: Path) -> None:
    place = tmp_path / "study"
    bn.search(
        data="digits", study=str(place), resolution=16, budget="4steps", trials=2, strategy="sobol", executor="inline"
    ).close()
    assert [one.runs for one in confirm(place, top=2, seeds=1, seconds=-1.0)] == [(), ()]
    later = confirm(place, top=2, seeds=1)
    assert [len(one.runs) for one in later] == [1, 1], "what had to wait is trained when there is time"


def test_nothing_to_confirm(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="at least one network"):
        confirm(tmp_path, top=0)
    with pytest.raises(StudyError, match="must exist"):
        confirm(tmp_path / "none")


def test_intervals_by_hand() -> None:
    # t(0.975, 2) = 4.302653, deviation 1, so the reach is 4.302653 / sqrt(3).
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.deviation == pytest.approx(1.0)
    assert interval.high - interval.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    assert math.isinf(mean_interval([1.0]).high)
