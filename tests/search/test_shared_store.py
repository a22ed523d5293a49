"""Several searches on one study in a real PostgreSQL, started here and killed here."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from betanas.blueprint import Blueprint
from betanas.cli.main import run
from betanas.errors import StoreError, StudyError
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import SILENCE_SECONDS, Store
from betanas.search.study import Study


def betanas(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "betanas", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.1)


def completed(url: str) -> int:
    try:
        with Study.open(url) as study:
            return sum(record.state == "completed" for record in study.trials())
    except StudyError:
        return 0


def test_records_survive_a_server_too(
    server: str, plan: StudyPlan, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    store = Store.create(StudyLocation.parse(f"{server}?study=records"), plan)
    store.add_trial(make_record(0), digits_blueprint)
    store.attach("comparison", "a", {"b": [1, None]})
    again = Store.open(StudyLocation.parse(f"{server}?study=records"))
    assert again.plan() == plan
    assert again.trials() == store.trials()
    assert again.blueprint(0) == digits_blueprint
    assert again.attachments()[0].document == {"b": [1, None]}
    with pytest.raises(StudyError, match="place of its own"):
        Store.create(StudyLocation.parse(f"{server}?study=records"), plan)
    with pytest.raises(StudyError, match="no study of that name"):
        Store.open(StudyLocation.parse(f"{server}?study=other"))


def test_only_one_search_has_the_turn(server: str, plan: StudyPlan) -> None:
    location = StudyLocation.parse(f"{server}?study=turns")
    first = Store.create(location, plan)
    second = Store.open(location)
    with first.turn(), second._engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            connection.execute(text(f"SELECT pg_advisory_xact_lock({0x62657461}, {second._study_id})"))
    with second.turn():
        pass


def test_two_machines_share_a_study_and_a_dead_ones_trials_are_taken_back(server: str) -> None:
    url = f"{server}?study=shared"
    first = betanas(
        "search", "--data", "digits", "--study", url, "--resolution", "16", "--budget", "20steps", "--trials", "10000",
        "--strategy", "sobol", "--devices", "cpu", "--max-params", "500K",
    )  # fmt: skip
    wait_for(lambda: completed(url) >= 1, first)
    # Stopped (Ctrl-Z) and later killed, it holds the trial that it has begun.
    first.send_signal(signal.SIGSTOP)
    store = Store.open(StudyLocation.parse(url))
    planned = completed(url) + 4
    store.set_trials_planned(planned)
    second = betanas("join", url)
    wait_for(lambda: len({record.session for record in store.trials()}) == 2, second)
    first.send_signal(signal.SIGKILL)
    first.wait()
    # A minute of silence, without waiting for it.
    with store._engine.begin() as connection:
        silence = f"UPDATE sessions SET seen = seen - interval '{SILENCE_SECONDS + 1} seconds' WHERE number = 0"
        connection.execute(text(silence))
    output, _ = second.communicate(timeout=600)
    assert second.returncode == 0, output
    records = store.trials()
    assert [record.index for record in records] == list(range(planned))
    assert all(record.state == "completed" for record in records)
    assert len({record.blueprint_key for record in records}) == planned
    with Study.open(url) as study:
        assert study.state == "finished"
    store.close()


def test_join_needs_a_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["join", str(tmp_path)]) == 2
    assert "betanas resume" in capsys.readouterr().err


def test_a_server_that_is_not_there(plan: StudyPlan) -> None:
    location = StudyLocation.parse("postgresql://nobody@127.0.0.1:1/none?study=a")
    with pytest.raises(StoreError, match="cannot be used"):
        Store.create(location, plan.changed(trials=1))
