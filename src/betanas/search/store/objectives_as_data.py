"""From schema 1 to 2: a plan's objective was a text (`accuracy*params/5M^-0.1`) and becomes a mapping."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import JSON, Connection, Integer, column, select, table, update

_STUDIES = table("studies", column("id", Integer), column("plan", JSON))

_TEXT = re.compile(
    r"accuracy\*(?P<cost>[a-z]+)/(?:(?P<at>\d+):)?(?P<target>[\d.]+)\s*(?P<unit>[a-zA-Z]*)(?:\^(?P<exponent>.+))?"
)
_UNITS = {"": 1, "s": 1, "ms": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_EXPONENT = -0.07


def migrate(connection: Connection) -> None:
    """Rewrite every plan."""
    for number, plan in connection.execute(select(_STUDIES.c.id, _STUDIES.c.plan)).all():
        connection.execute(update(_STUDIES).where(_STUDIES.c.id == number).values(plan=_rewritten(plan)))


def _rewritten(plan: dict[str, Any]) -> dict[str, Any]:
    options = dict(plan["options"])
    # A front was an option of the strategy.
    strategy = dict(options.get("strategy", {}))
    against = strategy.pop("against", "")
    if "strategy" in options:
        options["strategy"] = strategy
    objective = {"kind": "pareto", "cost": against} if against else _as_mapping(plan["objective"])
    return {**plan, "options": options, "objective": objective}


def _as_mapping(text: str) -> dict[str, Any]:
    found = _TEXT.fullmatch(text)
    if text.endswith(".py"):
        return {"kind": "function", "file": text}
    if found is None:  # schema 1 knew nothing else
        return {"kind": "accuracy"}
    trade = {
        "target": float(found["target"]) * _UNITS[found["unit"]],
        "exponent": float(found["exponent"]) if found["exponent"] else _EXPONENT,
    }
    if found["cost"] == "scaling":
        return {"kind": "scaling", "resolution": int(found["at"]), **trade}
    return {"kind": "compound", "cost": found["cost"], **trade}
