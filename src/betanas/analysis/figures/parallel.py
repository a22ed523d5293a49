"""Figures 19 and 23: every trial as a line across its parameters; the best fifty, the best hundred, the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.palette import VERMILLION, SeriesStyle
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.figures.traces import series
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.parameters import ParameterRow
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray
from betanas.spaces import Range

# A pale blue, a pale red and a strong red, as in the report; they differ in lightness, so they can be told in grey.
_REST, _SECOND, _FIRST = "#9CC3DD", "#F0A070", VERMILLION
_SCALE = [[0, _REST], [1 / 3, _REST], [1 / 3, _SECOND], [2 / 3, _SECOND], [2 / 3, _FIRST], [1, _FIRST]]


def robust_range(values: FloatArray) -> tuple[float, float]:
    """Where most values lie: three interquartile ranges beyond the quartiles, and no further than the values go.

    One far outlier leaves it as it was, so that it cannot flatten an axis.
    """
    low, high = np.quantile(values, [0.25, 0.75])
    reach = 3 * (high - low)
    bottom, top = max(float(values.min()), float(low - reach)), min(float(values.max()), float(high + reach))
    return (bottom, top) if top > bottom else (bottom - 0.5, bottom + 0.5)


def parallel_axes(
    table: Table[ParameterRow],
    ranges: Mapping[str, Range],
    measure: Measure,
    *,
    best: int = 50,
    second: int = 100,
) -> go.Figure:
    """The usable trials as lines across their parameters, to be brushed by dragging along an axis.

    Args:
        table: vectors normalised to `ranges`.
        ranges: the searched ranges, printed at the axes' ends.
        measure: of the objective, which has the last axis.
        best: size of the leading group; a third where there are no more trials than this.
        second: size of the group that holds it and the next; then two thirds.

    Raises:
        MissingDataError: no trial has a result.
    """
    usable = [row for row in table if row.objective is not None and row.rank is not None]
    if not usable:
        raise MissingDataError("Parallel axes need at least one trial with a result.")
    if len(usable) <= best:  # of a few trials, the best third and the next
        best, second = -(-len(usable) // 3), -(-2 * len(usable) // 3)
    usable.sort(key=lambda row: -(row.rank or 0))
    ranks = np.array([row.rank for row in usable])
    group = np.where(ranks <= best, 2, np.where(ranks <= second, 1, 0))
    searched = {name: entry for name, entry in ranges.items() if not entry.fixed}
    # A vector may lie outside the searched range (a published one that was added): clipped to the axis's end.
    # No fixed ticks: plotly snaps a brush to them, and an interval between two is lost.
    dimensions = [
        _axis(plain(name), entry.low + np.array([row.vector[name] for row in usable]) * entry.span, entry, ".3~g")
        for name, entry in searched.items()
    ]
    objectives = np.array([row.objective for row in usable]) * measure.scale
    low, high = robust_range(objectives)
    clipped = int(((objectives < low) | (objectives > high)).sum())
    label = "top-1 %" if measure.unit == "%" else "objective"
    dimensions.append(_axis(label, objectives, Range(low, high), ".4~g"))
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            customdata=[row.index for row in usable],
            line={"color": group, "cmin": 0, "cmax": 2, "colorscale": _SCALE, "showscale": False},
            unselected={"line": {"opacity": 0.06}},
            labelfont={"size": 13},
            tickfont={"size": 10},
            rangefont={"size": 1, "color": "rgba(0,0,0,0)"},
        )
    )
    # Parallel axes have no legend of their own: empty series carry its entries.
    entries = {f"best {min(best, len(usable))}": _FIRST}
    entries |= {f"best {second}": _SECOND} if len(usable) > best else {}
    entries |= {"the rest": _REST} if len(usable) > second else {}
    for label, colour in entries.items():
        figure.add_trace(series([None], [None], label, SeriesStyle(colour), width=4))
    note = f" {clipped} values beyond the last axis's ends are drawn at its ends." if clipped else ""
    return finish(
        figure,
        title="Parameters of all trials",
        caption=f"Each line is a trial; it crosses each axis at its parameter's value, and the last axis at its "
        f"{measure.label[0].lower() + measure.label[1:]}. Where strong lines gather, the search is sure of a "
        f"parameter. Drag along an axis to keep only the lines through that interval; click the axis to undo.{note}",
        alt=f"Parallel axes of {len(dimensions) - 1} parameters for {len(usable)} trials; "
        f"the best {min(best, len(usable))} are drawn strongest.",
        height=460,
        min_width=max(320, 62 * len(dimensions)),
        margin={"l": 48, "r": 48, "t": 96, "b": 56},
        xaxis_visible=False,
        yaxis_visible=False,
        legend_y=-0.08,
    )


def _axis(label: str, values: FloatArray, ends: Range, ticks: str) -> dict[str, Any]:
    shown = compact(np.clip(values, ends.low, ends.high))
    return {"label": label, "values": shown, "range": [ends.low, ends.high], "tickformat": ticks}
