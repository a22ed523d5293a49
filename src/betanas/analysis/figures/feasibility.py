"""What infeasible candidates had in common."""

from __future__ import annotations

import plotly.graph_objects as go

from betanas.analysis.figures.palette import BLUE, VERMILLION
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import bars
from betanas.analysis.tables.infeasible import SeparationRow
from betanas.analysis.tables.table import Table


def bound_text(row: SeparationRow) -> str:
    """The bound in words: `G0 > 2.82`."""
    return f"{row.parameter} {'>' if row.above else '<'} {row.bound:.3g}"


def infeasible_bounds(table: Table[SeparationRow], *, most: int = 8) -> go.Figure:
    """The bounds that tell infeasible candidates best from the others: shares infeasible beyond and before each."""
    rows = table.rows[:most][::-1]
    names, separations = [plain(bound_text(row)) for row in rows], [row.separation for row in rows]
    before, beyond = [100 * row.infeasible_before for row in rows], [100 * row.infeasible_beyond for row in rows]
    hover = "%{y}: %{x:.0f}% infeasible (separation %{customdata:.2f})"
    figure = go.Figure(
        [
            bars(before, names, "otherwise", BLUE, "", hover=hover, customdata=separations),
            bars(beyond, names, "beyond the bound", VERMILLION, "/", hover=hover, customdata=separations),
        ]
    )
    first = table.rows[0]
    return finish(
        figure,
        title="What infeasible candidates share",
        caption="For each parameter, the bound that tells infeasible candidates best from the others. The strongest: "
        f"with {plain(bound_text(first))}, {100 * first.infeasible_beyond:.0f}% of the candidates are infeasible, and "
        f"{100 * first.infeasible_before:.0f}% otherwise.",
        alt=f"Bar chart of the share of infeasible candidates on both sides of {len(rows)} bounds.",
        x="Infeasible candidates (%)",
        y="Bound",
        height=150 + 42 * len(rows),
        barmode="group",
        xaxis_range=[0, 100],
        yaxis_type="category",
        legend={"y": -62 / (42 * len(rows)), "traceorder": "reversed"},
    )
