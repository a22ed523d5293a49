"""Hypothesis 2: regret over trainings, and how much less of it one strategy has than the others."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.palette import BLUE, GREY, series_style, translucent
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.tables.experiment_search import DifferenceRow, RegretCurve
from betanas.analysis.tables.table import Table


def strategies(curves: Sequence[RegretCurve], differences: Table[DifferenceRow]) -> go.Figure:
    """Left, median regret with its quartiles; right, mean paired differences with their intervals."""
    figure = make_subplots(
        rows=1,
        cols=2,
        column_widths=[0.6, 0.4],
        horizontal_spacing=0.16,
        subplot_titles=["Regret", "Less regret than"],
    )
    for place, curve in enumerate(curves):
        style, name = series_style(place), plain(curve.strategy)
        for end, fill in ((curve.high, None), (curve.low, "tonexty")):
            figure.add_trace(
                go.Scatter(
                    x=compact(curve.trainings), y=compact(end), mode="lines", line={"width": 0}, fill=fill,
                    fillcolor=translucent(style.colour, 0.12), legendgroup=name, showlegend=False, hoverinfo="skip",
                ),
                row=1, col=1,
            )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=compact(curve.trainings), y=compact(curve.median), mode="lines", name=name, legendgroup=name,
                line={"color": style.colour, "dash": style.dash, "width": 2.5 if place == 0 else 1.5},
                hovertemplate="after %{x}: %{y:.2f} points<extra>%{fullData.name}</extra>",
            ),
            row=1, col=1,
        )  # fmt: skip
    rows = [row for row in differences.rows[::-1] if row.points is not None]
    points = [row.points or 0.0 for row in rows]
    figure.add_trace(
        go.Scatter(
            x=points, y=[plain(row.other) for row in rows], mode="markers", showlegend=False,
            error_x={
                "array": [0 if r.high is None else r.high - p for r, p in zip(rows, points, strict=True)],
                "arrayminus": [0 if r.low is None else p - r.low for r, p in zip(rows, points, strict=True)],
                "thickness": 2,
            },
            customdata=[[row.searches, 100 * row.better] for row in rows],
            marker={"color": BLUE, "size": 10},
            hovertemplate="%{y}: %{x:.2f} points over %{customdata[0]} pairs, better in %{customdata[1]:.0f}%"
            "<extra></extra>",
        ),
        row=1, col=2,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "dash": "dash", "width": 1.5}, row=1, col=2)
    figure.update_xaxes(title_text="Trainings", row=1, col=1)
    figure.update_yaxes(title_text="Regret (points)", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="Difference (points)", row=1, col=2)
    figure.update_yaxes(title_text="Other strategy", type="category", row=1, col=2)
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
