"""The leaders trained again: mean and interval beside what the search saw."""

from __future__ import annotations

import plotly.graph_objects as go

from betanas.analysis.figures.palette import BLUE, VERMILLION, SeriesStyle
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import series, spread
from betanas.analysis.tables.confirmation import ConfirmationRow
from betanas.analysis.tables.table import Table


def confirmed_leaders(table: Table[ConfirmationRow]) -> go.Figure:
    """Mean accuracy of each candidate's fresh trainings with its 95% interval, and its accuracy in the search."""
    rows = [row for row in table.rows[::-1] if row.mean is not None]
    names = {row.candidate: plain(row.candidate) for row in rows}
    means = [100 * (row.mean or 0.0) for row in rows]
    searched = {names[row.candidate]: 100 * row.searched for row in rows if row.searched is not None}
    again = series(
        means, list(names.values()), "trained again (mean, 95% interval)", SeriesStyle(BLUE), "markers", size=11,
        hover="%{y}: %{x:.2f}% over %{customdata} trainings", customdata=[row.runs for row in rows],
        error_x=spread(means, [row.low for row in rows], [row.high for row in rows], 100),
    )  # fmt: skip
    before = series(
        list(searched.values()), list(searched), "in the search", SeriesStyle(VERMILLION, "diamond-open"), "markers",
        size=10, hover="%{y}: %{x:.2f}%", marker_line_width=2,
    )  # fmt: skip
    return finish(
        go.Figure([again, before]),
        title="Leaders trained again",
        caption="The leaders, and the model's best where it was trained, with fresh seeds. "
        f"{plain(table.rows[0].candidate).capitalize()} has the best mean. The best of many single trainings is partly "
        "lucky, so the search's own values tend to be higher.",
        alt=f"Dot plot of {len(rows)} candidates with intervals beside their accuracy in the search.",
        x="Validation top-1 accuracy (%)",
        y="Candidate",
        height=190 + 40 * len(rows),
        yaxis_type="category",
        legend_y=-58 / (40 * len(rows) + 60),
    )
