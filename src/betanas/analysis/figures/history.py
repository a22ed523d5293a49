"""Figures 18 and 22: the objective of every trial in order, with origin, infeasible candidates and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from betanas.analysis.figures.palette import GREEN, GREY, PURPLE, SeriesStyle, origin_styles
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import GUIDE, series
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.history import HistoryRow
from betanas.analysis.tables.table import Table

# Above this number of points a browser draws them with WebGL rather than one by one.
_MANY = 3000
_FAILURES = {"infeasible": SeriesStyle(GREY, "x-thin"), "failed": SeriesStyle(PURPLE, "cross-thin")}


def trial_history(table: Table[HistoryRow], measure: Measure) -> go.Figure:
    """Every trial's objective, the running best, infeasible and failed candidates at zero, restarts as lines."""
    figure, webgl = go.Figure(), len(table) > _MANY
    usable = [row for row in table if row.objective is not None]
    values = {row.index: (row.objective or 0.0) * measure.scale for row in usable}
    for origin, style in origin_styles(row.origin for row in usable).items():
        own = [row.index for row in usable if row.origin == origin]
        heights = [values[index] for index in own]
        settings: dict[str, Any] = {"customdata": own, "marker_opacity": 0.75, "webgl": webgl}
        hover = "trial %{x}: %{y:.2f}"
        figure.add_trace(series(own, heights, origin, style, "markers", hover=hover, **settings))
    for state, style in _FAILURES.items():
        lost = {row.index: plain(row.cause) for row in table if row.state == state}
        if lost:
            figure.add_trace(
                series(
                    list(lost), [0.0] * len(lost), state, style, "markers", hover="trial %{x}: %{text}", size=8,
                    customdata=list(lost), text=list(lost.values()), marker_line={"width": 1.5, "color": style.colour},
                    webgl=webgl,
                )
            )  # fmt: skip
    if values:
        hover = "best so far: %{y:.2f}"
        figure.add_trace(best_so_far(table.rows, measure, "best so far", SeriesStyle(GREEN), hover=hover))
    restarts = [b.index - 0.5 for a, b in pairwise(table.rows) if b.session > a.session]
    for place, x in enumerate(restarts):
        words = {"text": "restart", "font": {"size": 12}} if place == 0 else None
        figure.add_vline(x=x, line=GUIDE, annotation=words, annotation_position="top")
    lost_count = sum(row.state in _FAILURES for row in table)
    caption = f"{measure.label} of every trial in the order of suggestion, and the best so far."
    caption += f" {lost_count} infeasible or failed candidates stand at zero." if lost_count else ""
    caption += " Dashed lines: the search was restarted." if restarts else ""
    top = max(values.values(), default=0.0)
    told = f"The best of {len(usable)} reached {measure.text(top / measure.scale)}."
    return finish(
        figure,
        title="Trial history",
        caption=caption,
        alt=f"Scatter plot of {len(table)} trials over their index. {told if values else 'No trial has a result yet.'}",
        x="Trial",
        y=measure.title,
        xaxis_zeroline=False,
        # A little room below zero, so that the markers there are whole.
        yaxis_range=[-0.04 * top, 1.06 * top] if lost_count and top > 0 else None,
    )


def best_so_far(
    rows: Sequence[HistoryRow], measure: Measure, name: str, style: SeriesStyle, *, hover: str = "", group: str = ""
) -> go.Scatter:
    """The running best as a step line: only the trials at which it rises, and the last."""
    steps = [row for row in rows if row.running_best is not None]
    kept = [steps[0], *(b for a, b in pairwise(steps) if b.running_best != a.running_best), steps[-1]]
    heights = [(row.running_best or 0.0) * measure.scale for row in kept]
    line: dict[str, Any] = {"width": 2.5, "line_shape": "hv", "legendgroup": group or None}
    return series([row.index for row in kept], heights, name, style, hover=hover, **line)
