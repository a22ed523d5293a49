"""What the store promises of its transactions, its connections and its signs of life."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from betanas.blueprint import Blueprint
from betanas.errors import StoreError, StudyError
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.store import heartbeat
from betanas.search.store.connection import writing
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.training.result import CurvePoint


def test_a_transaction_that_fails_leaves_no_table_behind(store: Store) -> None:
    """On SQLite too, where Python begins no transaction before CREATE."""
    with suppress(ZeroDivisionError), writing(store._engine) as connection:
        connection.execute(text("CREATE TABLE half (made INTEGER)"))
        raise ZeroDivisionError
    with store._engine.connect() as connection:
        assert not connection.execute(text("SELECT name FROM sqlite_master WHERE name = 'half'")).all()


def test_what_one_reading_sees_is_of_one_moment(store: Store) -> None:
    other = Store.open(store.location)
    with store._engine.connect() as connection:
        before = connection.execute(text("SELECT request FROM studies")).scalar_one()
        other.set_request("pause")
        assert connection.execute(text("SELECT request FROM studies")).scalar_one() == before
    assert store.request() == "pause"
    other.close()


def test_signs_of_life_are_given_while_the_search_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, the thread that waited for a suggestion was the one to give them."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    number = store.begin_session(host="here", pid=1, command="", versions={}, hardware={})
    begun = store.sessions()[number].seen
    with store.beating(number):
        deadline = time.monotonic() + 60
        while (seen := store.sessions()[number].seen) == begun and time.monotonic() < deadline:
            time.sleep(0.01)
        assert seen > begun
    assert not [thread for thread in threading.enumerate() if thread.name == "betanas-heartbeat"]


def test_a_study_that_is_deleted_while_it_is_searched_is_noticed(store: Store) -> None:
    directory = store.location.directory
    assert directory is not None
    shutil.rmtree(directory)
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.set_request("pause")
    with store.beating(0):
        time.sleep(0.1)
    assert not directory.exists(), "no sign of life makes a new database in its place"


def test_a_study_that_is_replaced_while_it_is_searched_is_noticed(store: Store, tmp_path: Path) -> None:
    database = store.location.database
    assert database is not None
    shutil.copy(database, tmp_path / "copy")
    (tmp_path / "copy").replace(database)
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.set_request("pause")


# A server ------------------------------------------------------------------------------------------------------------


def on_server(server: str, name: str) -> StudyLocation:
    return StudyLocation.parse(f"{server}?study={name}")


def new_database(server: str, name: str) -> str:
    """The URL of another, empty database of the server."""
    from sqlalchemy import create_engine

    engine = create_engine(server.replace("postgresql", "postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server.rpartition('/')[0]}/{name}"


def test_many_searches_begin_at_once_on_an_empty_server(server: str, plan: StudyPlan) -> None:
    """Before, one failed, or the version stood there twice and nobody could open a study again."""
    url = new_database(server, "at_once")
    context = multiprocessing.get_context("fork")
    at_once = context.Barrier(6)

    def run(number: int) -> None:
        location = on_server(url, f"study{number}")
        at_once.wait()
        try:
            Store.create(location, plan)
        except BaseException:
            os._exit(1)
        os._exit(0)

    processes = [context.Process(target=run, args=(number,)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 6
    store = Store.open(on_server(url, "study3"))
    with store._engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM schema_info")).scalar_one() == 1
    store.close()


def test_a_version_that_was_written_twice_is_read(server: str, plan: StudyPlan) -> None:
    """What earlier versions did to a server when two searches began at once."""
    url = new_database(server, "twice")
    store = Store.create(on_server(url, "a"), plan)
    with writing(store._engine) as connection:
        connection.execute(text("ALTER TABLE schema_info DROP CONSTRAINT schema_info_pkey"))
        connection.execute(text("INSERT INTO schema_info SELECT version FROM schema_info"))
    Store.open(on_server(url, "a")).close()
    with writing(store._engine) as connection:
        connection.execute(text("INSERT INTO schema_info VALUES (0)"))
    with pytest.raises(StudyError, match="which schema"):
        Store.open(on_server(url, "a"))
    store.close()


def test_looking_at_a_study_does_not_migrate_the_server(server: str, plan: StudyPlan) -> None:
    url = new_database(server, "older")
    store = Store.create(on_server(url, "a"), plan)
    with writing(store._engine) as connection:
        connection.execute(text("UPDATE schema_info SET version = 1"))
    with pytest.raises(StudyError, match="betanas resume"):
        Store.open(on_server(url, "a"), read_only=True)
    with store._engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM schema_info")).scalar_one() == 1
    store.close()


def test_errors_of_what_is_done_with_the_turn_stay_what_they_are(server: str, plan: StudyPlan) -> None:
    store = Store.create(on_server(server, "turn errors"), plan)
    with pytest.raises(OSError, match="of the strategy"), store.turn():
        raise OSError("of the strategy")
    with store.turn(), store._engine.connect() as connection:
        open_transactions = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        assert connection.execute(text(open_transactions)).scalar_one() == 0
    store.close()


def test_curves_are_those_of_the_study(
    server: str, plan: StudyPlan, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> None:
    first, second = (Store.create(on_server(server, name), plan) for name in ("curves a", "curves b"))
    for store in (first, second):
        for index in range(2):
            store.add_trial(make_record(index), digits_blueprint)
            store.add_point(index, 1, CurvePoint(1.0, 10, 0.5, 2.0, 0.3))
    statements: list[str] = []
    with first._engine.connect() as connection:
        planned = connection.execute(text("SELECT count(*) FROM curve_points")).scalar_one()
    assert planned >= 4
    from sqlalchemy import event

    event.listen(first._engine, "before_cursor_execute", lambda *given: statements.append(str(given[2])))
    assert [len(record.curve) for record in first.trials(curves=True)] == [1, 1]
    assert all("study_id" in statement for statement in statements if "curve_points" in statement)
    first.close()
    second.close()


def test_a_server_that_restarts_is_waited_for(server: str, plan: StudyPlan) -> None:
    """A search goes on when the server is back; one that only looks says so at once."""
    location = on_server(server, "restarted")
    store = Store.create(location, plan)
    looking = Store.open(location, read_only=True)
    with store._engine.connect() as connection:
        folder, port, socket = (
            connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("data_directory", "port", "unix_socket_directories")
        )
    pg_ctl = shutil.which("pg_ctl") or str(max(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))
    command = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command += [pg_ctl, "-D", folder, "-w", "-o", f"-c listen_addresses=127.0.0.1 -p {port} -k {socket}"]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    number = store.begin_session(host="here", pid=1, command="", versions={}, hardware={})
    with store.beating(number), store.turn():
        subprocess.run([*command, "stop", "-m", "immediate"], **quiet)  # type: ignore[call-overload]
        with pytest.raises(StoreError, match="cannot be used"):
            looking.request()
        back = threading.Timer(0.5, lambda: subprocess.run([*command, "start"], **quiet))  # type: ignore[call-overload]
        back.start()
        store.set_request("pause")
    back.join()
    assert store.request() == looking.request() == "pause"
    looking.close()
    store.close()
