"""Bringing an older store up to today's schema, one version at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Engine, inspect, select, update

from betanas.errors import StudyError
from betanas.search.store import objectives_as_data
from betanas.search.store.schema import SCHEMA_VERSION, schema_info

# From the version in the key to the next one. A migration changes tables with plain SQL of its own, never through
# today's table definitions, since those change after it was written. Each is a module of its own.
MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {1: objectives_as_data.migrate}


def schema_version(engine: Engine) -> int:
    """The schema version a database was written with; 0 where it holds no store."""
    if not inspect(engine).has_table(schema_info.name):
        return 0
    with engine.connect() as connection:
        return int(connection.execute(select(schema_info.c.version)).scalar_one())


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
        with engine.begin() as connection:
            migrations[version](connection)
            version += 1
            connection.execute(update(schema_info).values(version=version))
