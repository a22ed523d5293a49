"""From schema 2 to 3: a trial says what was trained (resolution, budget, recipe), which only the plan said before."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import JSON, Connection, Integer, String, column, insert, select, table, text, update

_STUDIES = table("studies", column("id", Integer), column("plan", JSON))
_TRIALS = table(
    "trials",
    column("study_id", Integer),
    column("resolution", Integer),
    column("budget", String),
    column("recipe", String),
)
_RECIPES = table("recipes", column("study_id", Integer), column("digest", String), column("settings", JSON))

COLUMNS = {
    "purpose": "VARCHAR(20) NOT NULL DEFAULT 'search'",
    "name": "VARCHAR(300) NOT NULL DEFAULT ''",
    "role": "VARCHAR(20) NOT NULL DEFAULT ''",
    "job_key": "VARCHAR(16) NOT NULL DEFAULT ''",
    "job": "JSON",
    "resolution": "INTEGER NOT NULL DEFAULT 0",
    "budget": "VARCHAR(40) NOT NULL DEFAULT ''",
    "recipe": "VARCHAR(16) NOT NULL DEFAULT ''",
    "test_top1": "FLOAT",
    "test_top5": "FLOAT",
    "ending": "VARCHAR(20) NOT NULL DEFAULT ''",
    "steps": "INTEGER",
    "epochs": "FLOAT",
    "best_step": "INTEGER",
    "preparation_seconds": "FLOAT",
    "stepping": "VARCHAR(200) NOT NULL DEFAULT ''",
    "shared_by": "INTEGER NOT NULL DEFAULT 1",
}
_RECIPES_TABLE = """
CREATE TABLE recipes (
    study_id INTEGER NOT NULL REFERENCES studies (id),
    digest VARCHAR(16) NOT NULL,
    settings JSON NOT NULL,
    PRIMARY KEY (study_id, digest)
)
"""


def migrate(connection: Connection) -> None:
    """Add the columns, and fill them from each study's plan."""
    for name, kind in COLUMNS.items():
        connection.execute(text(f"ALTER TABLE trials ADD COLUMN {name} {kind}"))
    connection.execute(text(_RECIPES_TABLE))
    for number, plan in connection.execute(select(_STUDIES.c.id, _STUDIES.c.plan)).all():
        settings: dict[str, Any] = {**plan["recipe_settings"], "batch_size": plan["batch_size"]}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        connection.execute(insert(_RECIPES).values(study_id=number, digest=digest, settings=settings))
        connection.execute(
            update(_TRIALS)
            .where(_TRIALS.c.study_id == number)
            .values(resolution=plan["resolution"], budget=plan["budget"], recipe=digest)
        )
