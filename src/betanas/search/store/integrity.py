"""Looking through a SQLite file before it is read: it may be damaged, or made by somebody to do harm.

SQLite puts any value into any column. Each value is looked at once, here, against its column; what the rest of the
package reads is of the types it expects. One damaged trial does not hide the others: where a study is only looked at,
its damaged rows are left out and named.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, Float, Integer, Table

from betanas.errors import StudyError
from betanas.search.records import STATES
from betanas.search.store.schema import UtcDateTime, metadata

# Of one value. A surrogate of the largest studies takes a few MiB.
_LARGEST_BYTES = 64 * 2**20

# Tables of whole trials and what belongs to one: a trial with a damaged part is left out as a whole.
_PARTS_OF_TRIALS = ("attempts", "curve_points")
_HIDDEN = ("trials", "sessions", "attachments", *_PARTS_OF_TRIALS)


# What the types do not say. Numbers beyond these are nobody's measurements.
_SECONDS = "BETWEEN 0 AND 1e12"
_RULES = {
    ("studies", "trials_planned"): "BETWEEN 0 AND 1000000000000",
    ("trials", "state"): f"IN ({', '.join(repr(state) for state in STATES)})",
    ("trials", "top1"): "BETWEEN 0 AND 1",
    ("trials", "top5"): "BETWEEN 0 AND 1",
    ("trials", "number"): ">= 0",
    ("trials", "params"): ">= 0",
    ("trials", "macs"): ">= 0",
    ("trials", "training_seconds"): _SECONDS,
    ("trials", "wall_seconds"): _SECONDS,
}
_REQUIRED = {("trials", "top1"): "state <> 'completed'"}  # unless


@dataclass
class Damage:
    """What cannot be read.

    Attributes:
        rows: by table, the ids of damaged rows.
        messages: each in words, such as `trial 3: top1, started`.
    """

    rows: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    messages: list[str] = field(default_factory=list)

    def hide(self, connection: sqlite3.Connection) -> None:
        """Let a connection see whole rows only: a temporary view of a table's name stands before the table."""
        for table, rows in self.rows.items():
            key = "trial_id" if table in _PARTS_OF_TRIALS else "id"
            whole = f"SELECT * FROM main.{table} WHERE {key} NOT IN ({', '.join(map(str, sorted(rows)))})"  # noqa: S608
            connection.execute(f"CREATE TEMP VIEW {table} AS {whole}")


def guard(connection: sqlite3.Connection) -> None:
    """Bound what a connection reads, and give it the functions that look at values."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_BYTES)
    connection.text_factory = lambda found: found.decode("utf-8", "backslashreplace")
    connection.create_function("is_document", 2, _is_document, deterministic=True)
    connection.create_function("is_moment", 1, _is_moment, deterministic=True)


def refuse_foreign_objects(connection: Connection) -> None:
    """Refuse a database in which anything stands but tables and their indices.

    Raises:
        StudyError: it has a view, a trigger or a virtual table.
    """
    query = "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
    if found := connection.exec_driver_sql(query).scalars().first():
        raise StudyError(
            "A study's database must hold tables alone; this one brings a view, a trigger or a virtual table along.",
            value=found,
        )


def find_damage(connection: Connection) -> Damage:
    """Look at every value of every table.

    Raises:
        StudyError: a table or a column is missing, or the study's own row is damaged.
    """
    found = Damage()
    for table in metadata.sorted_tables:
        there = {row[1] for row in connection.exec_driver_sql(f"PRAGMA main.table_info({table.name})")}
        missing = [column.name for column in table.c if column.name not in there]
        if missing:
            raise StudyError(
                "The study's database is damaged: a table lacks columns.", value=f"{table.name}: {', '.join(missing)}"
            )
        _look_at(connection, table, found)
    for part in _PARTS_OF_TRIALS:
        found.rows["trials"] |= found.rows.pop(part, set())
    if found.rows["trials"]:
        for part in _PARTS_OF_TRIALS:
            found.rows[part] = found.rows["trials"]
    found.rows = {table: rows for table, rows in found.rows.items() if rows}
    return found


def _look_at(connection: Connection, table: Table, found: Damage) -> None:
    checks = {column.name: _check_of(column) for column in table.c}
    key = "trial_id" if table.name in _PARTS_OF_TRIALS else "id" if "id" in table.c else "rowid"
    label = next((name for name in ("number", "trial_id", "name") if name in table.c), "rowid")
    flags = ", ".join(f"NOT ({check})" for check in checks.values())
    whole = " AND ".join(f"({check})" for check in checks.values())
    query = f"SELECT {key}, {label}, {flags} FROM main.{table.name} WHERE NOT ({whole})"  # noqa: S608 - our own names
    for key_value, label_value, *wrong in connection.exec_driver_sql(query):
        fields = ", ".join(name for name, damaged in zip(checks, wrong, strict=True) if damaged)
        message = f"{table.name} {label_value}: {fields}"
        if table.name not in _HIDDEN or not isinstance(key_value, int):
            raise StudyError("The study's database is damaged.", value=message)
        found.rows[table.name].add(key_value)
        found.messages.append(message)


def _check_of(column: Column[Any]) -> str:
    """An SQL expression: whether a value is one of the column's type. Never NULL."""
    name, kind = column.name, column.type
    if isinstance(kind, JSON):
        check = f"is_document(CAST({name} AS BLOB), '{name}')"
    elif isinstance(kind, UtcDateTime):
        check = f"typeof({name}) = 'text' AND is_moment(CAST({name} AS BLOB))"
    elif isinstance(kind, Integer) or column.foreign_keys:
        check = f"typeof({name}) = 'integer'"
    elif isinstance(kind, Float):
        check = f"typeof({name}) IN ('real', 'integer') AND abs({name}) < 9e307"
    else:
        check = f"typeof({name}) = 'text'"
    place = (column.table.name, name)
    if place in _RULES:
        check = f"{check} AND {name} {_RULES[place]}"
    if not column.nullable:
        return f"{name} IS NOT NULL AND {check}"
    return f"{name} IS NULL AND {_REQUIRED.get(place, '1')} OR {name} IS NOT NULL AND {check}"


def _is_document(found: bytes | None, name: str) -> bool:
    if found is None:
        return False
    try:
        document = json.loads(found)
        if name == "vector":
            return isinstance(document, Mapping) and all(
                isinstance(value, (int, float)) and math.isfinite(value) for value in document.values()
            )
        if name == "job" and isinstance(document, Mapping) and "share" in document:
            share = document["share"]
            return type(share) in (int, float) and 0 < share <= 1
    except (ValueError, RecursionError, OverflowError):
        return False
    return document is None or isinstance(document, Mapping)


def _is_moment(found: bytes | None) -> bool:
    if found is None:
        return False
    try:
        moment = datetime.fromisoformat(found.decode())
        moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return False
    return True
