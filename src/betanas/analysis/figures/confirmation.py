"""The leaders trained again: mean and interval beside what the search saw."""

from __future__ import annotations

import plotly.graph_objects as go

from betanas.analysis.figures.palette import BLUE, VERMILLION
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.tables.confirmation import ConfirmationRow
from betanas.analysis.tables.table import Table


def confirmed_leaders(table: Table[ConfirmationRow]) -> go.Figure:
    """Mean accuracy of each candidate's fresh trainings with its 95% interval, and its accuracy in the search."""
    rows = [row for row in table.rows[::-1] if row.mean is not None]
    names = [plain(row.candidate) for row in rows]
    means = [100 * (row.mean or 0.0) for row in rows]
    searched = [row for row in rows if row.searched is not None]
    figure = go.Figure(
        [
            go.Scatter(
                x=means,
                y=names,
                error_x={
                    "array": [0 if r.high is None else 100 * r.high - m for r, m in zip(rows, means, strict=True)],
                    "arrayminus": [0 if r.low is None else m - 100 * r.low for r, m in zip(rows, means, strict=True)],
                    "thickness": 2,
                },
                customdata=[row.runs for row in rows],
                mode="markers",
                name="trained again (mean, 95% interval)",
                marker={"color": BLUE, "size": 11, "symbol": "circle"},
                hovertemplate="%{y}: %{x:.2f}% over %{customdata} trainings<extra></extra>",
            ),
            go.Scatter(
                x=[100 * (row.searched or 0.0) for row in searched],
                y=[plain(row.candidate) for row in searched],
                mode="markers",
                name="in the search",
                marker={"color": VERMILLION, "size": 10, "symbol": "diamond-open", "line": {"width": 2}},
                hovertemplate="%{y}: %{x:.2f}% in the search<extra></extra>",
            ),
        ]
    )
    best = table.rows[0]
    return finish(
        figure,
        title="Leaders trained again",
        caption="The leaders, and the model's best where it was trained, with fresh seeds. "
        f"{plain(best.candidate).capitalize()} "
        "has the best mean. The best of many single trainings is partly lucky, so the search's own values "
        "tend to be higher.",
        alt=f"Dot plot of {len(rows)} candidates with intervals beside their accuracy in the search.",
        height=190 + 40 * len(rows),
        xaxis={"title": {"text": "Validation top-1 accuracy (%)"}},
        yaxis={"title": {"text": "Candidate"}, "type": "category"},
        legend={"y": -58 / (40 * len(rows) + 60)},
    )
