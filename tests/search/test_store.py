from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from older_plans import flat_document
from sqlalchemy import text

from betanas.blueprint import Blueprint
from betanas.errors import DeviceError, StoreError, StudyError
from betanas.search.executors.base import WorkerSetup
from betanas.search.executors.registry import make_executor
from betanas.search.objectives import Accuracy, Compound, ObjectiveSettings, OwnFunction, Pareto, Scaling
from betanas.search.planning import executor_settings
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.store import connection, jobs_as_data, migrations
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import StudyLock, is_locked
from betanas.search.store.schema import SCHEMA_VERSION
from betanas.search.store.store import Store
from betanas.training.result import CurvePoint, TrialResult

RESULT = TrialResult(
    outcome="completed",
    top1=0.5,
    top5=0.9,
    curve=(CurvePoint(1.0, 10, 0.5, 2.0, 0.3), CurvePoint(2.0, 20, 1.0, 1.0, 0.5)),
    training_seconds=2.0,
    wall_seconds=3.0,
    steps=20,
    device="cpu",
)


def test_plan_survives_the_database(store: Store, plan: StudyPlan) -> None:
    assert store.plan() == plan
    again = Store.open(store.location)
    assert again.plan() == plan
    again.close()


def test_a_trial_from_start_to_end(
    store: Store, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    store.add_trial(make_record(0), digits_blueprint)
    store.add_point(0, 1, RESULT.curve[0])
    assert store.trial(0).curve == RESULT.curve[:1]
    assert store.end_trial(0, 1, RESULT, objective=0.5)
    record = store.trial(0)
    assert (record.state, record.top1, record.top5, record.objective) == ("completed", 0.5, 0.9, 0.5)
    assert record.curve == RESULT.curve
    assert store.trials()[0].curve == ()
    assert store.trials(curves=True)[0].curve == RESULT.curve
    assert store.blueprint(0) == digits_blueprint


def test_a_trial_ends_once(store: Store, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint) -> None:
    store.add_trial(make_record(0), digits_blueprint)
    assert store.end_trial(0, 1, RESULT, objective=0.5)
    late = TrialResult(outcome="failed", cause="timeout", reason="late")
    assert not store.end_trial(0, 1, late, objective=None)
    assert store.trial(0).state == "completed"


def test_an_older_attempts_word_does_not_count(
    store: Store, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    store.add_trial(make_record(0), digits_blueprint)
    store.add_point(0, 1, RESULT.curve[0])
    assert store.begin_attempt(0, session=1, seen=1)
    assert not store.begin_attempt(0, session=2, seen=1), "another search was faster"
    assert store.trial(0).curve == (), "the curve is the last attempt's"
    assert not store.end_trial(0, 1, RESULT, objective=0.5)
    assert store.trial(0).state == "running"
    assert store.end_trial(0, 2, RESULT, objective=0.5)
    assert [attempt["session"] for attempt in store.attempts(0)] == [0, 1]


def test_unknown_trial_is_refused(store: Store) -> None:
    with pytest.raises(StudyError, match="must have that trial"):
        store.trial(7)


def test_attachments_replace_their_namesakes(store: Store) -> None:
    store.attach("surrogate", "gpei", {"version": 1})
    store.attach("comparison", "a", {})
    store.attach("surrogate", "gpei", {"version": 2})
    assert [dict(found.document) for found in store.attachments("surrogate")] == [{"version": 2}]
    assert len(store.attachments()) == 2


def test_sessions_and_requests(store: Store) -> None:
    number = store.begin_session(host="here", pid=1, command="betanas search", versions={}, hardware={})
    store.set_request("pause")
    assert store.request() == "pause"
    store.end_session(number, "interrupted")
    assert store.begin_session(host="here", pid=2, command="", versions={}, hardware={}) == 1
    assert store.request() == "run", "a new session starts running whatever the last one was asked"
    first, second = store.sessions()
    assert first.ending == "interrupted"
    assert first.ended is not None
    assert first.ended.tzinfo is not None
    assert second.ended is None


def test_second_study_in_the_same_place_is_refused(store: Store, plan: StudyPlan) -> None:
    with pytest.raises(StudyError, match="betanas resume"):
        Store.create(store.location, plan)


def test_missing_study(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="must exist"):
        Store.open(StudyLocation.parse(tmp_path / "nothing"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_bytes(b"these are holiday notes, " * 100)
    with pytest.raises(StudyError, match="damaged or is something else"):
        Store.open(StudyLocation.parse(tmp_path))


def test_a_database_that_is_no_study(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "study.sqlite").execute("CREATE TABLE cats (name TEXT)").connection.commit()
    with pytest.raises(StudyError, match="must hold a BetaNAS study"):
        Store.open(StudyLocation.parse(tmp_path))


def test_a_renamed_directory_still_opens(store: Store, plan: StudyPlan, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "study").rename(tmp_path / "renamed")
    moved = Store.open(StudyLocation.parse(tmp_path / "renamed"))
    assert moved.plan() == plan
    moved.close()


def test_a_study_opened_for_reading_is_not_written(store: Store) -> None:
    reading = Store.open(store.location, read_only=True)
    assert reading.trials() == ()
    with pytest.raises(StoreError, match="cannot be written"):
        reading.set_request("stop")
    reading.close()


def test_a_read_only_disk_is_explained_and_can_be_read(
    small_disk: Path, plan: StudyPlan, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    store = Store.create(StudyLocation.parse(small_disk), plan)
    store.add_trial(make_record(0), digits_blueprint)
    store.close()
    (small_disk / "other").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="read-only"):
        Store.create(StudyLocation.parse(small_disk / "other"), plan)
    with pytest.raises(StoreError, match="cannot be written"):
        StudyLock(small_disk).__enter__()
    readable = Store.open(StudyLocation.parse(small_disk), read_only=True)
    assert len(readable.trials()) == 1
    assert not is_locked(small_disk)
    readable.close()


def test_a_full_disk_is_explained_and_loses_nothing(
    small_disk: Path, plan: StudyPlan, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    store = Store.create(StudyLocation.parse(small_disk), plan)
    written = []

    def fill() -> None:
        for index in range(10_000):
            store.add_trial(make_record(index), digits_blueprint)
            store.end_trial(index, 1, RESULT, objective=0.5)
            written.append(index)

    with pytest.raises(StoreError, match="disk is full"):
        fill()
    store.close()
    assert len(written) > 10
    again = Store.open(StudyLocation.parse(small_disk), read_only=True)
    assert len([record for record in again.trials() if record.state == "completed"]) == len(written)
    again.close()


def test_a_torn_write_ahead_log_loses_no_completed_trial(
    store: Store, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint, tmp_path: Path
) -> None:
    for index in range(3):
        store.add_trial(make_record(index), digits_blueprint)
        store.end_trial(index, 1, RESULT, objective=0.5)
    directory = store.location.directory
    assert directory is not None
    # A power cut in the middle of the next transaction: its first pages are in the log, the rest is not.
    log = directory / "study.sqlite-wal"
    before = log.stat().st_size
    store.add_trial(make_record(3), digits_blueprint)
    after = log.stat().st_size
    assert after > before
    copy = tmp_path / "after-the-cut"
    copy.mkdir()
    (copy / "study.sqlite").write_bytes((directory / "study.sqlite").read_bytes())
    (copy / "study.sqlite-wal").write_bytes(log.read_bytes()[: (before + after) // 2])
    survived = Store.open(StudyLocation.parse(copy))
    assert [record.state for record in survived.trials()] == ["completed"] * 3
    survived.close()


def test_newer_schema_is_refused(store: Store) -> None:
    with store._engine.begin() as opened:
        opened.execute(text("UPDATE schema_info SET version = :version"), {"version": SCHEMA_VERSION + 1})
    with pytest.raises(StudyError, match="newer BetaNAS"):
        Store.open(store.location)


def test_an_older_schema_is_migrated_step_by_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    with store._engine.begin() as opened:
        opened.execute(text("UPDATE schema_info SET version = -1"))
    table = {version: lambda _, version=version: steps.append(version) for version in range(-1, SCHEMA_VERSION)}
    migrations.migrate(store._engine, table)
    assert steps == list(range(-1, SCHEMA_VERSION))
    assert migrations.schema_version(store._engine) == SCHEMA_VERSION


def test_a_missing_migration_is_refused(store: Store) -> None:
    with store._engine.begin() as opened:
        opened.execute(text("UPDATE schema_info SET version = -1"))
    with pytest.raises(StudyError, match="no migration"):
        migrations.migrate(store._engine, {})


@pytest.mark.parametrize(
    ("text_of_schema_1", "options", "expected"),
    [
        ("accuracy", {}, Accuracy()),
        ("accuracy*params/5M", {}, Compound("params", 5e6)),
        ("accuracy*macs/300M^-0.1", {}, Compound("macs", 3e8, -0.1)),
        ("accuracy*latency/10ms", {}, Compound("latency", 0.01)),
        ("accuracy*seconds/20^-1", {}, Compound("seconds", 20.0, -1.0)),
        ("accuracy*scaling/384:3", {}, Scaling(384, 3.0)),
        ("/home/mine.py", {}, OwnFunction("/home/mine.py")),
        ("accuracy", {"against": "params"}, Pareto("params")),
    ],
)
def test_the_objective_of_a_schema_1_study_is_read(
    store: Store, plan: StudyPlan, text_of_schema_1: str, options: dict[str, str], expected: ObjectiveSettings
) -> None:
    with store._engine.begin() as opened:
        kept = flat_document(plan) | {"objective": text_of_schema_1}
        kept["options"]["strategy"] = {"initial": 5, **options}
        opened.execute(text("UPDATE studies SET plan = :plan"), {"plan": json.dumps(kept)})
        opened.execute(text("UPDATE schema_info SET version = 1"))
        opened.execute(text("DROP TABLE recipes"))
        for column in jobs_as_data.COLUMNS:
            opened.execute(text(f"ALTER TABLE trials DROP COLUMN {column}"))
    expected_plan = plan.changed(objective=expected, strategy_options={"initial": 5})
    read = Store.open(store.location, read_only=True)
    assert read.plan() == expected_plan
    read.close()
    assert migrations.schema_version(store._engine) == 1, "reading it has changed nothing"
    opened_to_write = Store.open(store.location)
    assert opened_to_write.plan() == expected_plan
    opened_to_write.close()
    assert migrations.schema_version(store._engine) == SCHEMA_VERSION


def test_the_lock_keeps_a_second_search_out(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with StudyLock(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(StudyError, match=f"process {os.getpid()}"), StudyLock(tmp_path):
            pass
    assert not is_locked(tmp_path)


def test_where_only_taking_a_lock_tells_a_held_one_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, which has no fcntl."""
    monkeypatch.setattr("betanas.search.store.lock.fcntl", None)
    assert not is_locked(tmp_path)
    with StudyLock(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_worker_processes_are_refused_on_windows(
    plan: StudyPlan, digits_setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = executor_settings(plan, StudyLocation.parse("study"))
    monkeypatch.setattr("platform.system", lambda: "Windows")
    with pytest.raises(DeviceError, match="WSL 2"):
        make_executor("local", digits_setup, settings)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "must be a directory"),
        ("mysql://host/db?study=a", "PostgreSQL URL"),
        ("postgresql://host/db", "names it"),
        ("post gres://", "directory or a PostgreSQL URL"),
    ],
)
def test_bad_locations(location: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        StudyLocation.parse(location)


def test_a_file_is_no_location(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="must be a directory"):
        StudyLocation.parse(tmp_path / "file")


def test_a_database_url_hides_its_password() -> None:
    location = StudyLocation.parse("postgresql://me:secret@host/db?study=first")
    assert "secret" not in location.text
    assert location.name == "first"
    assert location.url.password == "secret"
    assert "study" not in location.url.query


def test_sqlite_is_hardened(store: Store) -> None:
    with store._engine.connect() as opened:
        assert opened.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert opened.execute(text("PRAGMA synchronous")).scalar() == 2
    assert connection._BUSY_SECONDS >= 10


@pytest.mark.parametrize("start", [None, "random"])
def test_a_plan_of_before_random_weights_were_the_only_start_reads_on(plan: StudyPlan, start: str | None) -> None:
    document = plan.to_document()
    assert StudyPlan.from_document({**document, "training": {**document["training"], "start": start}}) == plan


def test_a_plan_whose_networks_began_with_other_weights_is_refused(plan: StudyPlan) -> None:
    document = plan.to_document()
    with pytest.raises(StudyError, match=r"must begin with random weights.*tf_efficientnet_lite0"):
        StudyPlan.from_document({**document, "training": {**document["training"], "start": "tf_efficientnet_lite0"}})
