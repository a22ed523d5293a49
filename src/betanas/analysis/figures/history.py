"""Figures 18 and 22: the objective of every trial in order, with origin, infeasible candidates and restarts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import GREEN, GREY, PURPLE, origin_styles
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.history import HistoryRow
from betanas.analysis.tables.table import Table

# Above so many points a browser draws them with WebGL rather than one by one.
_MANY = 3000
_FAILURES = (("infeasible", "x-thin", GREY), ("failed", "cross-thin", PURPLE))


def trial_history(table: Table[HistoryRow], measure: Measure) -> go.Figure:
    """Every trial's objective, the running best, infeasible and failed candidates at zero, restarts as lines."""
    figure = go.Figure()
    scatter = go.Scattergl if len(table) > _MANY else go.Scatter
    usable = [row for row in table if row.objective is not None]
    styles = origin_styles(row.origin for row in usable)
    for origin, style in styles.items():
        chosen = [row for row in usable if row.origin == origin]
        figure.add_trace(
            scatter(
                x=[row.index for row in chosen],
                y=compact([(row.objective or 0.0) * measure.scale for row in chosen]),
                customdata=[row.index for row in chosen],
                mode="markers",
                name=plain(origin),
                marker={"color": style.colour, "symbol": style.symbol, "size": 7, "opacity": 0.75},
                hovertemplate="trial %{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
            )
        )
    for state, symbol, colour in _FAILURES:
        lost = [row for row in table if row.state == state]
        if lost:
            figure.add_trace(
                scatter(
                    x=[row.index for row in lost],
                    y=compact(np.zeros(len(lost))),
                    customdata=[row.index for row in lost],
                    text=[plain(row.cause) for row in lost],
                    mode="markers",
                    name=state,
                    marker={
                        "color": colour,
                        "symbol": symbol,
                        "size": 8,
                        "line": {"width": 1.5, "color": colour},
                    },
                    hovertemplate="trial %{x}: %{text}<extra>%{fullData.name}</extra>",
                )
            )
    steps = [row for row in table if row.running_best is not None]
    if steps:
        # The step line needs only the trials at which it rises, and the last.
        kept = [steps[0], *(b for a, b in pairwise(steps) if b.running_best != a.running_best), steps[-1]]
        figure.add_trace(
            go.Scatter(
                x=[row.index for row in kept],
                y=compact([(row.running_best or 0.0) * measure.scale for row in kept]),
                mode="lines",
                name="best so far",
                line={"shape": "hv", "width": 2.5, "color": GREEN},
                hovertemplate="best so far: %{y:.2f}<extra></extra>",
            )
        )
    restarts = [b.index for a, b in pairwise(table.rows) if b.session > a.session]
    for place, index in enumerate(restarts):
        figure.add_vline(x=index - 0.5, line={"dash": "dash", "width": 1.5, "color": GREY})
        if place == 0:
            figure.add_annotation(
                x=index - 0.5,
                y=1,
                yref="paper",
                yanchor="bottom",
                text="restart",
                showarrow=False,
                font={"size": 12},
            )
    lost_count = sum(row.state in ("infeasible", "failed") for row in table)
    best = max((row.objective or 0.0 for row in usable), default=None)
    caption = f"{measure.label} of every trial in the order of suggestion, and the best so far."
    caption += f" {lost_count} infeasible or failed candidates stand at zero." if lost_count else ""
    caption += " Dashed lines: the search was restarted." if restarts else ""
    top = max((row.objective or 0.0 for row in usable), default=1.0) * measure.scale
    # A little room below zero, so that the markers there are whole.
    floor = {"range": [-0.04 * top, 1.06 * top]} if lost_count and top > 0 else {}
    summary = (
        "No trial has a result yet." if best is None else f"The best of {len(usable)} reached {measure.text(best)}."
    )
    return finish(
        figure,
        title="Trial history",
        caption=caption,
        alt=f"Scatter plot of {len(table)} trials over their index. {summary}",
        xaxis={"title": {"text": "Trial"}, "zeroline": False},
        yaxis={"title": {"text": measure.title}, **floor},
    )
