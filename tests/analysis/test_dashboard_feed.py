"""Following a study: nothing is read twice, nothing is missed, nobody is blocked."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from betanas.analysis.dashboard.feed import StudyFeed
from betanas.errors import StudyError
from betanas.search.records import TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import StudyLock
from betanas.search.store.store import Store
from betanas.search.study import Study
from betanas.training.result import CurvePoint, TrialResult


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(stored_study: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "digits"
    shutil.copytree(stored_study, copied)
    return copied


@pytest.fixture
def feed(directory: Path, clock: Clock) -> Iterator[StudyFeed]:
    feed = StudyFeed(str(directory), interval=1.0, clock=clock)
    yield feed
    feed.close()


def running(store: Store, index: int) -> TrialRecord:
    template = next(trial for trial in store.trials() if trial.state == "completed")
    record = replace(template, index=index, state="running", objective=None, top1=None, repeat_of=None, ended=None)
    store.add_trial(record, store.blueprint(template.index))
    return record


def test_it_sees_what_a_plain_read_sees(feed: StudyFeed, directory: Path) -> None:
    with Study.open(directory) as study:
        assert feed.look().snapshot.trials == study.trials(curves=True)
        assert feed.look().snapshot.state == study.state
        assert feed.look().snapshot.plan == study.plan


def test_an_unchanged_study_is_read_once(feed: StudyFeed, clock: Clock) -> None:
    first = feed.look()
    for _ in range(5):
        clock.now += 10
        assert feed.look() == first
    assert feed.reads == 1


def test_many_visitors_cost_one_read_an_interval(feed: StudyFeed, directory: Path, clock: Clock) -> None:
    store = Store.open(StudyLocation.parse(directory))
    running(store, 40)
    assert len(feed.look().snapshot.trials) == 40, "within the interval nothing is read"
    clock.now += 1.5
    visitors = [threading.Thread(target=feed.look) for _ in range(12)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert feed.reads == 2
    assert len(feed.look().snapshot.trials) == 41
    store.close()


def test_a_running_trial_grows_and_ends(feed: StudyFeed, directory: Path, clock: Clock) -> None:
    store = Store.open(StudyLocation.parse(directory))
    running(store, 40)
    point = CurvePoint(1.0, 10, 0.1, 2.0, 0.3)
    versions = [feed.look().version]
    for act in (
        lambda: store.add_point(40, 1, point),
        lambda: store.end_trial(40, 1, TrialResult("completed", top1=0.9, curve=(point, point)[:1]), objective=0.9),
    ):
        act()
        clock.now += 2
        versions.append(feed.look().version)
    assert versions == sorted(set(versions)), "each change is a new version"
    seen = feed.look().snapshot
    assert seen.trials[40].curve == (point,)
    assert seen.best is not None
    assert seen.best.index == 40
    assert seen.trials == store.trials(curves=True)
    store.close()


def test_a_search_that_dies_is_noticed_without_a_change_in_the_store(
    feed: StudyFeed, directory: Path, clock: Clock
) -> None:
    store = Store.open(StudyLocation.parse(directory))
    with StudyLock(directory):
        store.begin_session(host="here", pid=1, command="", versions={}, hardware={})
        clock.now += 2
        assert feed.look().snapshot.state == "running"
    clock.now += 2
    assert feed.look().snapshot.state == "interrupted"
    store.close()


def test_reading_does_not_block_a_writer_nor_a_writer_a_reader(feed: StudyFeed, directory: Path, clock: Clock) -> None:
    store = Store.open(StudyLocation.parse(directory))
    with store._engine.begin() as connection:  # a transaction that stays open
        connection.exec_driver_sql("UPDATE studies SET trials_planned = 77")
        clock.now += 2
        before = feed.look().snapshot.plan.search.trials
        assert before == 40
    clock.now += 2
    assert feed.look().snapshot.plan.search.trials == 77
    store.close()


def test_a_store_that_cannot_be_read_is_explained_and_the_last_good_state_stays(
    feed: StudyFeed, directory: Path, clock: Clock
) -> None:
    database = directory / "study.sqlite"
    kept = database.read_bytes()
    database.write_bytes(b"not a database, but long enough to look like one" * 100)
    clock.now += 2
    broken = feed.look()
    assert "damaged" in broken.problem
    assert len(broken.snapshot.trials) == 40
    clock.now += 2
    assert feed.look().version == broken.version, "the same problem is no news"
    database.write_bytes(kept)
    clock.now += 2
    assert feed.look().problem == ""


def test_requests_reach_the_store_at_once(feed: StudyFeed, directory: Path) -> None:
    feed.request("pause")
    feed.set_trials_planned(55)
    assert feed.look().snapshot.plan.search.trials == 55
    store = Store.open(StudyLocation.parse(directory), read_only=True)
    assert store.request() == "pause"
    for fewer_than_there_are in (0, 3):
        with pytest.raises(StudyError, match="trained already too"):
            feed.set_trials_planned(fewer_than_there_are)


def test_details_hold_the_log_and_a_missing_trial_is_refused(feed: StudyFeed, directory: Path) -> None:
    (directory / "logs").mkdir(exist_ok=True)
    (directory / "logs" / "trial-00003.log").write_text("x" * 30_000 + "the end", encoding="utf-8")
    details = feed.details(3)
    assert details.log.endswith("the end")
    assert len(details.log) == 20_000
    assert details.blueprint.key == details.record.blueprint_key
    with pytest.raises(StudyError, match="must have that trial"):
        feed.details(400)


def test_curves_of_a_huge_study_are_read_for_the_leaders_alone(
    directory: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("betanas.analysis.dashboard.feed.MOST_CURVES", 10)
    monkeypatch.setattr("betanas.analysis.dashboard.feed.LEADING_CURVES", 5)
    feed = StudyFeed(str(directory), clock=clock)
    snapshot = feed.look().snapshot
    assert {trial.index for trial in snapshot.trials if trial.curve} == {trial.index for trial in snapshot.ranked[:5]}
    feed.close()
