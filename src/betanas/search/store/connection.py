"""Opening a store's database so that it survives what happens to machines."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from betanas.errors import MissingExtraError, StoreError, StudyError
from betanas.search.store.containment import READ_ONLY, unwritable
from betanas.search.store.integrity import guard
from betanas.search.store.location import StudyLocation

# How long a writer waits for another process's transaction; ours last milliseconds.
_BUSY_SECONDS = 30.0

# For a server to answer at all.
_CONNECT_SECONDS = 10

_WRITES = "betanas_writes"

# PostgreSQL's codes: connection exceptions, and a server that shuts down or starts.
_LOST_STATES = ("08", "57P")

# A stranger's file may bring triggers and views along; they are to call nothing but what cannot do harm.
_DISTRUST = "PRAGMA trusted_schema=OFF"


def connect(location: StudyLocation, *, read_only: bool = False) -> Engine:
    """An engine for a store's database.

    SQLite runs with a write-ahead log, so that readers (status, dashboard) never block the search, and with full
    synchronisation, so that a finished trial is on the disk before the search goes on.

    Args:
        location: the study's place.
        read_only: open an existing SQLite file without writing a byte; works in a read-only directory.
    """
    if location.database is None:
        try:
            return create_engine(location.url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS})
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise MissingExtraError("psycopg", extra="postgresql", purpose="A study in PostgreSQL") from error
    path = location.database.resolve()
    if read_only:
        engine = create_engine("sqlite://", creator=_ReadOnly(path), poolclass=NullPool)
    else:
        engine = create_engine(location.url, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _harden)
    event.listen(engine, "connect", lambda connection, _record: guard(connection))
    event.listen(engine, "begin", _begin)
    return engine


def connect_to_copy(location: StudyLocation) -> Engine:
    """An engine for a private copy of a store's file, which goes when the engine goes.

    For reading what an older version wrote: it is the copy that is brought to today's schema.
    """
    if location.database is None:
        raise ValueError("a database server has no file to copy")
    place = tempfile.TemporaryDirectory(prefix="betanas-")
    copy = Path(place.name, location.database.name)
    with closing(_ReadOnly(location.database.resolve())()) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    engine = connect(replace(location, url=location.url.set(database=str(copy))))
    weakref.finalize(engine, place.cleanup)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: it happened whole, tables that it made included, or it did not."""
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


def _begin(connection: Connection) -> None:
    # Python's sqlite3 begins transactions before some statements only (not before SELECT, CREATE or ALTER), so it is
    # told to begin none, and each of ours begins by itself. One that writes takes the right to at once: it could not
    # wait for it after it has read.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _harden(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(_DISTRUST)
    cursor.close()


class ConnectionLostError(StoreError):
    """A database server went away, or does not answer (yet)."""


class _ReadOnly:
    """Connects to a file that may be written by a search, or lie in a directory where nobody may write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copied: tempfile.TemporaryDirectory[str] | None = None

    def __call__(self) -> sqlite3.Connection:
        if self._copied is not None:
            return self._open(Path(self._copied.name, self._path.name), "mode=ro")
        try:
            return self._open(self._path, "mode=ro")
        except sqlite3.OperationalError:
            # Reading a write-ahead log takes a shared-memory file beside it, which a read-only directory refuses.
            # Nobody can write there, so the file does not change under us either.
            log = self._path.with_name(f"{self._path.name}-wal")
            if not log.exists() or log.stat().st_size == 0:
                return self._open(self._path, "immutable=1")
            # A search that crashed has left trials in the log.
            self._copied = tempfile.TemporaryDirectory(prefix="betanas-")
            for file in (self._path, log):
                shutil.copy(file, self._copied.name)
            return self()

    @staticmethod
    def _open(path: Path, how: str) -> sqlite3.Connection:
        uri = f"{path.as_uri()}?{how}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
        try:
            connection.execute(_DISTRUST)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@contextmanager
def explained(location: StudyLocation) -> Iterator[None]:
    """Turn a database's complaint into a sentence that says what to do.

    Raises:
        StoreError: the disk is full, the place is read-only, or the database cannot be reached.
        StudyError: the file is no database.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(error, location.text) from error
    except UnicodeDecodeError as error:  # in the database's own words, about what it found there
        raise StudyError(_DAMAGED, value=location.text) from error
    except DBAPIError as error:
        complaint = str(error.orig).splitlines()[0]
        where = location.text
        if "full" in complaint or "No space left" in complaint:
            raise StoreError(
                "The study cannot be written: the disk is full.",
                value=where,
                hint="Free some space, then type: betanas resume. Every completed trial is kept.",
            ) from error
        if "readonly" in complaint or "read-only" in complaint or "unable to open" in complaint:
            raise StoreError(
                f"The study cannot be written: {READ_ONLY}.",
                value=where,
                hint="Allow writing there, or choose another directory with --study.",
            ) from error
        if any(sign in complaint for sign in _SIGNS_OF_DAMAGE):
            raise StudyError(_DAMAGED, value=where) from error
        kind = ConnectionLostError if location.database is None and _is_lost(error) else StoreError
        raise kind(f"The study's database cannot be used: {complaint}.", value=where) from error


_DAMAGED = "The study's database file is damaged or is something else."
_SIGNS_OF_DAMAGE = ("not a database", "malformed", "no such table", "no such column", "too big", "unsupported file")


def _is_lost(error: DBAPIError) -> bool:
    """Whether a server's connection ended or was refused; not whether it answered that something is wrong."""
    state = getattr(error.orig, "sqlstate", None)
    if not isinstance(error, OperationalError):
        return error.connection_invalidated
    return state is None or state.startswith(_LOST_STATES)
