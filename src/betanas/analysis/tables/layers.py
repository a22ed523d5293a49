"""A network's layers as Tables A1 to A4 of the report print them."""

from __future__ import annotations

from typing import Any

from betanas.blueprint import Blueprint, TableRow

# The report's headings, and the side of the output, which it leaves out.
LAYER_COLUMNS = {
    "Layer": "kind",
    "In channels": "in_channels",
    "Out channels": "out_channels",
    "Expansion ratio": "expansion",
    "Stride": "stride",
    "SE Bottleneck ratio": "se_ratio",
    "Repeats": "repeats",
    "Output side": "resolution",
}


def layer_table(blueprint: Blueprint) -> list[dict[str, Any]]:
    """The layers under the report's headings; equal neighbours are one row, ratios are means to two decimals.

    A network without squeeze-excitation has no column of its ratio, and layers say their activation where it is not the
    report's.
    """
    rows = blueprint.table()
    squeezes = any(row.squeezes for row in rows)
    columns = {heading: field for heading, field in LAYER_COLUMNS.items() if squeezes or field != "se_ratio"}

    def cell(row: TableRow, field: str) -> Any:
        if field == "kind":
            return row.cells[0]
        value = getattr(row, field)
        return round(value, 2) if isinstance(value, float) else value

    return [{heading: cell(row, field) for heading, field in columns.items()} for row in rows]
