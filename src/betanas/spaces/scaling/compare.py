"""Scaling rules side by side: as curves over the resolution, and at equal cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from betanas.spaces.scaling.costs import CostTable, Measure, tabulate
from betanas.spaces.scaling.rules import ScalingRule
from betanas.spaces.scaling.solve import Solution, solve

# Of the attachment of kind `scaling` that betanas.analysis draws.
FORMAT_VERSION = 1

# The report's range (Figure 28).
CURVE_RESOLUTIONS = tuple(range(64, 1025, 32))


def at_equal_cost(tables: Iterable[CostTable], measure: Measure, target: int) -> tuple[Solution, ...]:
    """The largest network of each rule within the same cost.

    Raises:
        LimitError: the target is not positive.
    """
    return tuple(solve(table, measure, target) for table in tables)


def curve(
    rules: Sequence[ScalingRule],
    *,
    resolutions: Sequence[int] = CURVE_RESOLUTIONS,
    batch_size: int = 100,
    dtype: str = "float32",
) -> list[dict[str, str | int]]:
    """Costs from small to large images, rule by rule, as the rows of a scaling document."""
    tables = tabulate(rules, resolutions, batch_size=batch_size, dtype=dtype)
    return [
        {
            "rule": table.rule,
            "resolution": resolution,
            **{measure: int(costs[place]) for measure, costs in table.costs.items()},
        }
        for table in tables
        for place, resolution in enumerate(resolutions)
    ]


def scaling_document(title: str, rows: Sequence[dict[str, str | int]]) -> dict[str, Any]:
    """A comparison of scaling rules as `betanas.analysis.tables.scaling.parse_scaling` reads it."""
    return {"format": FORMAT_VERSION, "title": title, "rows": list(rows)}
