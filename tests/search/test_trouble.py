"""A full or read-only disk, a crash's remains, a clock that is put back: what a person sees, and what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import betanas as bn
from betanas.blueprint import Blueprint
from betanas.errors import StoreError
from betanas.search import wall_clock
from betanas.search.failures import failing_steadily
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.settings import ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.search.study import Study
from betanas.search.wall_clock import WallClock
from betanas.training.result import TrialResult

RESULT = TrialResult("completed", top1=0.5, training_seconds=1.0, wall_seconds=1.0)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    return ballast


def test_a_disk_that_fills_up_under_a_search_ends_it_with_one_message(small_disk: Path) -> None:
    """One message and exit code 1; with space again every completed trial is there, and the search goes on."""
    study = small_disk / "study"
    command = [sys.executable, "-m", "betanas", "search", "--data", "digits", "--study", str(study), "--devices", "cpu"]
    command += ["--resolution", "16", "--budget", "2steps", "--trials", "10000", "--strategy", "sobol"]
    command += ["--executor", "inline", "--max-params", "500K"]
    search = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (seen := completed(study)):
        assert search.poll() is None
        time.sleep(0.1)
    fill(small_disk)
    _, said = search.communicate()
    assert search.returncode == 1
    assert "the disk is full" in said
    assert "betanas resume" in said
    assert "Traceback" not in said
    kept = completed(study)
    assert kept >= seen
    with pytest.raises(StoreError, match="the disk is full"):
        bn.resume(study)
    # The write-ahead log may have had room for a trial more.
    assert completed(study) >= kept
    kept = completed(study)
    (small_disk / "ballast").unlink()
    with bn.resume(study, ResumeSettings(trials=kept + 1)) as again:
        assert again.state == "finished"
    assert completed(study) == kept + 1


def completed(place: Path) -> int:
    if not (place / "study.sqlite").exists():
        return 0
    with Study.open(place) as study:
        return sum(record.state == "completed" for record in study.trials())


@pytest.mark.parametrize("index_is_there", [True, False])
def test_what_a_crash_left_is_read_on_a_disk_that_became_read_only(
    small_disk: Path,
    plan: StudyPlan,
    make_record: Callable[..., TrialRecord],
    digits_blueprint: Blueprint,
    index_is_there: bool,
) -> None:
    """As Linux makes a disk read-only at its first error: the trials in the write-ahead log are there all the same."""
    crashed = small_disk / "crashed"
    crashed.mkdir()
    Store.create(StudyLocation.parse(crashed), plan).close()
    child = os.fork()
    if child == 0:
        store = Store.open(StudyLocation.parse(crashed))
        for index in range(3):
            store.add_trial(make_record(index), digits_blueprint)
            store.end_trial(index, 1, RESULT, objective=0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (crashed / "study.sqlite-wal").stat().st_size > 0
    if not index_is_there:  # after a power cut, or in a copy
        (crashed / "study.sqlite-shm").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Study.open(crashed) as study:
        assert [record.state for record in study.trials()] == ["completed"] * 3
        assert study.status()["trials"]["completed"] == 3


def test_resuming_on_a_read_only_disk_says_so(
    small_disk: Path, plan: StudyPlan, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    (small_disk / "study").mkdir()
    store = Store.create(StudyLocation.parse(small_disk / "study"), plan)
    store.add_trial(make_record(0), digits_blueprint)
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "betanas", "resume", str(small_disk / "study")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "read-only" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_write_ahead_log_cut_anywhere_keeps_what_had_completed(
    store: Store, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint, tmp_path: Path
) -> None:
    """A power cut at any byte of the last transaction."""
    directory = store.location.directory
    assert directory is not None
    for index in range(2):
        store.add_trial(make_record(index), digits_blueprint)
        store.end_trial(index, 1, RESULT, objective=0.5)
    log = directory / "study.sqlite-wal"
    before = log.stat().st_size
    store.add_trial(make_record(2), digits_blueprint)
    whole, database = log.read_bytes(), (directory / "study.sqlite").read_bytes()
    for place, cut in enumerate({before, before + 1, before + 24, (before + len(whole)) // 2, len(whole) - 1}):
        copy = tmp_path / f"cut-{place}"
        copy.mkdir()
        (copy / "study.sqlite").write_bytes(database)
        (copy / "study.sqlite-wal").write_bytes(whole[:cut])
        survived = Store.open(StudyLocation.parse(copy))
        assert [record.state for record in survived.trials()] == ["completed"] * 2
        survived.add_trial(make_record(2), digits_blueprint)  # and it goes on
        survived.close()
        shutil.rmtree(copy)


# A clock that jumps ---------------------------------------------------------------------------------------------------


class JumpingClock(datetime):
    """The system's time, put back by an hour at its second reading."""

    readings = 0

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        cls.readings += 1
        return datetime(2026, 3, 29, 12, tzinfo=UTC) - timedelta(hours=cls.readings > 1)


def test_records_go_by_the_seconds_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall_clock, "datetime", JumpingClock)
    monkeypatch.setattr(JumpingClock, "readings", 0)
    clock = WallClock()
    first = clock.now()
    time.sleep(0.02)
    assert timedelta(seconds=0.02) <= clock.now() - first < timedelta(minutes=30)
    assert first - datetime(2026, 3, 29, 12, tzinfo=UTC) < timedelta(minutes=30)


def test_a_clock_that_is_put_back_upsets_no_duration(tmp_path: Path) -> None:
    """A whole search, in whose process every later reading of the time of day is an hour before the first."""
    script = tmp_path / "search.py"
    script.write_text(
        f"""
import datetime, json, sys, time
first = time.time()
system = time.time
def put_back():
    now = system()
    return now if now - first < 0.5 else now - 3600
time.time = put_back
class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(put_back(), tz)
from betanas.search import wall_clock
wall_clock.datetime = Clock
import betanas as bn
with bn.search(data="digits", study={str(tmp_path / "study")!r}, resolution=16, budget="0.3s", trials=3,
               strategy="sobol", max_params=200_000, devices=("cpu",), executor="inline") as study:
    print(json.dumps(study.status()))
"""
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    status = json.loads(done.stdout.splitlines()[-1])
    assert status["state"] == "finished"
    assert 0.9 <= status["wall_seconds"] <= took
    with Study.open(tmp_path / "study") as study:
        times = [moment for record in study.trials() for moment in (record.started, record.ended) if moment]
        assert len(times) == 6
        assert times == sorted(times), "one worker: each trial starts after the last one's end"
        for record in study.trials():
            assert record.wall_seconds is not None
            assert record.training_seconds is not None
            assert 0.1 <= record.training_seconds <= record.wall_seconds <= took


def test_failures_in_a_row_are_those_that_ended_last(make_record: Callable[..., TrialRecord]) -> None:
    late, early = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    failures = [make_record(index, state="failed", reason="broken", ended=late) for index in range(4)]
    successes = [make_record(index, state="completed", ended=early) for index in range(4, 8)]
    assert failing_steadily([*failures, *successes, replace(failures[0], index=8, ended=late)]) == ""
    assert "broken" in failing_steadily([*successes, *failures, replace(failures[0], index=8, ended=early)])
