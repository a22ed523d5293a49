"""Hypothesis 2: regret over trainings, and how much less of it one strategy has than the others."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.palette import BLUE, SeriesStyle, series_style
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import GUIDE, band, series, spread
from betanas.analysis.tables.experiment_search import DifferenceRow, RegretCurve
from betanas.analysis.tables.table import Table


def strategies(curves: Sequence[RegretCurve], differences: Table[DifferenceRow]) -> go.Figure:
    """Left, median regret with its quartiles; right, mean paired differences with their intervals."""
    left, right = {"row": 1, "col": 1}, {"row": 1, "col": 2}
    titles = ["Regret", "Less regret than"]
    figure = make_subplots(rows=1, cols=2, column_widths=[0.6, 0.4], horizontal_spacing=0.16, subplot_titles=titles)
    for place, curve in enumerate(curves):
        style, group = series_style(place), plain(curve.strategy)
        around = band(
            curve.trainings, curve.low, curve.high, curve.strategy, style.colour, 0.12,
            legendgroup=group, showlegend=False,
        )  # fmt: skip
        hover, width = "after %{x}: %{y:.2f} points", 2.5 if place == 0 else 1.5
        line = series(curve.trainings, curve.median, curve.strategy, style, hover=hover, width=width, legendgroup=group)
        figure.add_traces([around, line], rows=1, cols=1)
    rows = [row for row in differences.rows[::-1] if row.points is not None]
    points = [row.points or 0.0 for row in rows]
    dots = series(
        points, [plain(row.other) for row in rows], "difference", SeriesStyle(BLUE), "markers", size=10,
        hover="%{y}: %{x:.2f} points over %{customdata[0]} pairs, better in %{customdata[1]:.0f}%",
        error_x=spread(points, [row.low for row in rows], [row.high for row in rows]), showlegend=False,
        customdata=[[row.searches, 100 * row.better] for row in rows],
    )  # fmt: skip
    figure.add_trace(dots, **right)
    figure.add_vline(x=0, line=GUIDE, **right)
    figure.update_xaxes(title_text="Trainings", **left)
    figure.update_yaxes(title_text="Regret (points)", rangemode="tozero", **left)
    figure.update_xaxes(title_text="Difference (points)", **right)
    figure.update_yaxes(title_text="Other strategy", type="category", **right)
    name = plain(curves[0].strategy)
    confidence = 100 * differences.rows[0].confidence
    return finish(
        figure,
        title=f"{name} against other strategies",
        caption="Left: regret of the network that a search holds for the best, median over seeds with quartiles. "
        f"Right: how much less of it {name} has at the end, mean over pairs with the same seed, with {confidence:.3g}% "
        "intervals, so that all of them hold together at 95%. Right of zero it is better.",
        alt=f"Regret of {len(curves)} strategies over their trainings, and {len(rows)} paired differences.",
        min_width=560,
        margin={"t": 84},
    )
