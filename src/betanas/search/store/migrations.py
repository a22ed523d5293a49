"""Bringing an older store up to today's schema, one version at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Engine, func, inspect, select, update

from betanas.errors import StudyError
from betanas.search.store import jobs_as_data, objectives_as_data
from betanas.search.store.connection import writing
from betanas.search.store.schema import LOCK_SPACE, SCHEMA_VERSION, schema_info

# From the version in the key to the next one. A migration changes tables with plain SQL of its own, never through
# today's table definitions, since those change after it was written. Each is a module of its own.
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {
    1: objectives_as_data.migrate,
    2: jobs_as_data.migrate,
}


def lock_schema(connection: Connection) -> None:
    """Until the end of a transaction that writes, be the one that makes or changes tables."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(select(func.pg_advisory_xact_lock(LOCK_SPACE, 0)))


def has_store(connection: Connection) -> bool:
    """Whether a database holds a store."""
    return inspect(connection).has_table(schema_info.name)


def schema_version(engine: Engine) -> int:
    """The schema version a database was written with; 0 where it holds no store.

    Raises:
        StudyError: it says none, or several.
    """
    with engine.connect() as connection:
        if not has_store(connection):
            return 0
        # Two searches that began at once could write the same version twice, before they waited for each other.
        found = set(connection.execute(select(schema_info.c.version)).scalars())
    version = next(iter(found)) if len(found) == 1 else None
    if not isinstance(version, int):
        raise StudyError("The study's database must say which schema it has.", value=sorted(map(str, found)))
    return version


def migrate(engine: Engine, migrations: Mapping[int, Callable[[Connection], None]] = MIGRATIONS) -> None:
    """Bring the store to `SCHEMA_VERSION`, each step in a transaction of its own.

    Raises:
        StudyError: the store was written by a newer version, or there is no way from its version to today's.
    """
    version = schema_version(engine)
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"This version of BetaNAS reads studies of schema {SCHEMA_VERSION} and older.",
            value=version,
            hint="Install the newer BetaNAS that wrote it.",
        )
    while version < SCHEMA_VERSION:
        if version not in migrations:
            raise StudyError(f"There is no migration from schema {version}.", value=version)
        with writing(engine) as connection:
            lock_schema(connection)
            if connection.execute(select(schema_info.c.version)).scalars().first() == version:
                migrations[version](connection)
                connection.execute(update(schema_info).values(version=version + 1))
        version = schema_version(engine)  # another process may have been faster
