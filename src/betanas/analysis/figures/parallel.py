"""Figures 19 and 23: every trial as a line across its parameters; the best fifty, the best hundred, the rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.palette import VERMILLION
from betanas.analysis.figures.style import compact, finish, plain
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
        best: size of the leading group.
        second: size of the group that holds it and the next.

    Raises:
        MissingDataError: no trial has a result.
    """
    usable = [row for row in table if row.objective is not None and row.rank is not None]
    if not usable:
        raise MissingDataError("Parallel axes need at least one trial with a result.")
    usable.sort(key=lambda row: -(row.rank or 0))
    ranks = np.array([row.rank for row in usable])
    group = np.where(ranks <= best, 2, np.where(ranks <= second, 1, 0))
    dimensions = []
    for name, searched in ranges.items():
        if searched.fixed:
            continue
        shares = np.array([row.vector[name] for row in usable])
        values = searched.low + shares * searched.span
        # A vector may lie outside the searched range (a published one that was added): clipped to the axis's end.
        dimensions.append(
            {
                "label": plain(name),
                "values": compact(np.clip(values, searched.low, searched.high)),
                "range": [searched.low, searched.high],
                # Not fixed ticks: plotly snaps a brush to them, and an interval between two is lost.
                "tickformat": ".3~g",
            }
        )
    objectives = np.array([row.objective for row in usable]) * measure.scale
    low, high = robust_range(objectives)
    clipped = int(((objectives < low) | (objectives > high)).sum())
    dimensions.append(
        {
            "label": "top-1 %" if measure.unit == "%" else "objective",
            "values": compact(np.clip(objectives, low, high)),
            "range": [low, high],
            "tickformat": ".4~g",
        }
    )
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
    for label, colour, width in (
        (f"best {min(best, len(usable))}", _FIRST, 4),
        (f"best {second}", _SECOND, 4),
        ("the rest", _REST, 4),
    ):
        if (label == "the rest" and len(usable) <= second) or (label == f"best {second}" and len(usable) <= best):
            continue
        figure.add_trace(
            go.Scatter(x=[None], y=[None], mode="lines", name=label, line={"color": colour, "width": width})
        )
    note = f" {clipped} values beyond the last axis's ends are drawn at its ends." if clipped else ""
    return finish(
        figure,
        title="Parameters of all trials",
        caption=f"Each line is a trial; it crosses each axis at its parameter's value, and the last axis at its "
        f"{measure.label[0].lower() + measure.label[1:]}. Where strong lines gather, the search is sure of a "
        "parameter. "
        f"Drag along an axis to keep only the lines through that interval; click the axis to undo.{note}",
        alt=f"Parallel axes of {len(dimensions) - 1} parameters for {len(usable)} trials; "
        f"the best {min(best, len(usable))} are drawn strongest.",
        height=460,
        min_width=max(320, 62 * len(dimensions)),
        margin={"l": 48, "r": 48, "t": 96, "b": 56},
        xaxis={"visible": False},
        yaxis={"visible": False},
        legend={"y": -0.08},
    )
