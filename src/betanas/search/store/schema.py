"""The tables of a store (SQLite or PostgreSQL). Changing them means a new `SCHEMA_VERSION` and a migration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

# The first half of the advisory locks' keys in PostgreSQL; the second is a study's number, or 0 for the schema.
LOCK_SPACE = 0x6265_7461

SCHEMA_VERSION = 3

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Store in UTC."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read back as UTC."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


schema_info = Table("schema_info", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("plan", JSON, nullable=False),
    Column("trials_planned", Integer, nullable=False),
    Column("request", String(10), nullable=False),  # what a person asks of the search: run, pause or stop
    Column("created", UtcDateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("seen", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("ending", String(20), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("command", Text, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("hardware", JSON, nullable=False),
    UniqueConstraint("study_id", "number"),
)

trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("purpose", String(20), nullable=False),  # what its training is for: a search, a confirmation, ...
    Column("name", String(300), nullable=False),  # of its network, where it has one beside its number
    Column("role", String(20), nullable=False),
    Column("vector", JSON, nullable=False),
    Column("blueprint", Text, nullable=False),  # or another architecture
    Column("blueprint_key", String(64), nullable=False, index=True),
    Column("origin", String(50), nullable=False),
    Column("job_key", String(16), nullable=False),
    Column("job", JSON),  # what its job is beside the columns; none for trials of before schema 3
    Column("resolution", Integer, nullable=False),
    Column("budget", String(40), nullable=False),
    Column("recipe", String(16), nullable=False),  # digest of its settings, which are in the table of recipes
    Column("state", String(20), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("repeat_of", Integer),
    Column("session", Integer, nullable=False),
    Column("top1", Float),
    Column("top5", Float),
    Column("test_top1", Float),
    Column("test_top5", Float),
    Column("objective", Float),
    Column("ending", String(20), nullable=False),
    Column("steps", Integer),
    Column("epochs", Float),
    Column("best_step", Integer),
    Column("training_seconds", Float),
    Column("wall_seconds", Float),
    Column("preparation_seconds", Float),
    Column("peak_memory", BigInteger),
    Column("params", BigInteger, nullable=False),
    Column("macs", BigInteger, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("images_per_second", Float),
    Column("device", String(200), nullable=False),
    Column("stepping", String(200), nullable=False),
    Column("shared_by", Integer, nullable=False),
    Column("started", UtcDateTime),
    Column("ended", UtcDateTime),
    UniqueConstraint("study_id", "number"),
)

recipes = Table(
    "recipes",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("digest", String(16), primary_key=True),
    Column("settings", JSON, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("session", Integer, nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("cause", String(20), nullable=False),
    Column("reason", Text, nullable=False),
)

curve_points = Table(
    "curve_points",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("epoch", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("loss", Float, nullable=False),
    Column("accuracy", Float, nullable=False),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False),
    Column("kind", String(50), nullable=False),
    Column("name", String(200), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("document", JSON, nullable=False),
    UniqueConstraint("study_id", "kind", "name"),
)
