"""The surrogate in pictures: importance, slices and contours with uncertainty, and how well it predicts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import BLUE, GREY, ORANGE, PURPLE, VERMILLION, SeriesStyle, translucent
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.figures.traces import GUIDE, band, bars, panels, series, spread
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.surrogate import ImportanceRow
from betanas.analysis.tables.table import Table
from betanas.blueprint import BoolArray
from betanas.search.propose.surrogate_document import SurrogateDocument

_COLUMNS = 3

# Less than this missing from 1 is rounding: the surrogate sees the parameters alone.
_ROUNDING = 1e-6


def parameter_importance(table: Table[ImportanceRow]) -> go.Figure:
    """Each parameter's importance beside its inverse length scale; without a surrogate, its correlation."""
    rows = table.rows[::-1]
    modelled = any(row.importance is not None for row in rows)
    drawn: tuple[tuple[str, str, str, str], ...]
    if modelled:
        drawn = (
            ("importance (lost variance)", "importance", BLUE, ""),
            ("relevance (inverse length scale)", "relevance", ORANGE, "/"),
        )
        caption = (
            "Importance is the part of the predicted variance that is lost when a parameter alone is drawn anew (total "
            "effect: interactions count for each of their parameters); relevance is the inverse length scale of the "
            "surrogate, scaled to sum to 1 over all that it sees."
        )
        elsewhere = 1.0 - sum(row.relevance or 0.0 for row in rows)
        if elsewhere > _ROUNDING:
            caption += (
                f" Of the relevance {elsewhere:.1%} is with what the surrogate sees of the networks themselves: "
                "their size and shape."
            )
    else:
        drawn = (("absolute rank correlation", "rank_correlation", BLUE, ""),)
        caption = (
            "Absolute rank correlation of each parameter with the objective. The study has no surrogate; correlation "
            "sees monotonic effects alone."
        )
    names = [plain(row.parameter) for row in rows]
    return finish(
        go.Figure(
            [
                bars([abs(getattr(row, field) or 0.0) for row in rows], names, *look, hover="%{y}: %{x:.3f}")
                for look, field in (((name, colour, pattern), field) for name, field, colour, pattern in drawn)
            ]
        ),
        title="Importance of parameters",
        caption=caption,
        alt=f"Bar chart of {len(rows)} parameters; {table.rows[0].parameter} matters most.",
        x="Importance (share)" if modelled else "Rank correlation (absolute)",
        y="Parameter",
        height=140 + 26 * len(rows),
        barmode="group",
        xaxis_rangemode="tozero",
        yaxis_type="category",
        legend={"y": -60 / (26 * len(rows)), "traceorder": "normal"},
    )


def slices(surrogate: SurrogateDocument, measure: Measure) -> go.Figure:
    """The prediction along each parameter through the predicted best, with two deviations on either side."""
    order = {entry.name: -entry.importance for entry in surrogate.parameters}
    cuts = sorted(surrogate.slices, key=lambda cut: order.get(cut.parameter, 0.0))
    rows = math.ceil(len(cuts) / _COLUMNS)
    names, down = [cut.parameter for cut in cuts], min(0.38 / rows, 0.25)
    figure = panels(names, rows=rows, cols=_COLUMNS, across=0.05, down=down, shared_yaxes="all")
    named: set[str] = set()

    def entry(name: str) -> dict[str, Any]:
        """The panels share their entries in the legend."""
        first = name not in named
        named.add(name)
        return {"legendgroup": name, "showlegend": first}

    for place, cut in enumerate(cuts):
        where = {"row": place // _COLUMNS + 1, "col": place % _COLUMNS + 1}
        x, feasible = np.array(cut.values), np.array(cut.feasible, dtype=bool)
        mean, reach = np.array(cut.mean) * measure.scale, 2 * np.array(cut.deviation) * measure.scale
        name = "two deviations"
        figure.add_trace(band(x, mean - reach, mean + reach, name, BLUE, 0.22, **entry(name)), **where)
        for shown, name, style in (
            (feasible, "mean", SeriesStyle(BLUE)),
            (_widened(~feasible), "mean, infeasible", SeriesStyle(GREY, dash="dot")),
        ):
            if shown.any():
                settings = {"hover": "%{x:.3g}: %{y:.2f}", "width": 2.2, **entry(name)}
                figure.add_trace(series(x, np.where(shown, mean, np.nan), name, style, **settings), **where)
        room = 0.1 * float(x[-1] - x[0])
        figure.update_xaxes(range=[float(x[0]) - room, float(x[-1]) + room], **where)
        best = surrogate.best.vector.get(cut.parameter)
        if best is not None:
            name, y = "predicted best", [surrogate.best.mean * measure.scale]
            star = series(
                [best], y, name, SeriesStyle(PURPLE, "star"), "markers", hover="%{x:.3g}", size=12, **entry(name)
            )
            figure.add_trace(star, **where)
    # Ticks inside the padding: the last one of a panel must not run into the first one of the next.
    figure.update_xaxes(nticks=4)
    figure.update_yaxes(title_text="Top-1 (%)" if measure.unit == "%" else "Objective", col=1)
    height = 130 + 190 * rows
    return finish(
        figure,
        title="The surrogate along each parameter",
        caption=f"What the model ({plain(surrogate.model)}; {surrogate.observations} results) expects along each "
        "parameter in its own unit, the others as in the predicted best; the band is two standard deviations. The most "
        "important parameter comes first.",
        alt=f"{len(cuts)} small line plots of the predicted objective, one for each parameter.",
        height=height,
        min_width=620,
        margin={"t": 72},
        legend_y=-36 / (height - 130),
    )


def contours(surrogate: SurrogateDocument, measure: Measure) -> go.Figure:
    """The prediction over pairs of the most important parameters: mean above, deviation below."""
    planes, best = surrogate.contours, surrogate.best.vector
    figure = panels([f"{plane.x}, {plane.y}" for plane in planes], rows=2, across=0.09, down=0.16)
    for row, (field, scale) in enumerate((("mean", "Cividis"), ("deviation", "Greys")), start=1):
        grids = [np.array(getattr(plane, field)) * measure.scale for plane in planes]
        limits = {"zmin": min(grid.min() for grid in grids), "zmax": max(grid.max() for grid in grids)} if grids else {}
        title = f"{field} ({measure.unit})" if measure.unit else field
        bar = {"title": {"text": title, "side": "right"}, "len": 0.44, "y": (0.79, 0.21)[row - 1], "thickness": 12}
        for column, (plane, grid) in enumerate(zip(planes, grids, strict=True), start=1):
            where, x, y = {"row": row, "col": column}, plain(plane.x), plain(plane.y)
            figure.add_trace(
                go.Contour(
                    x=compact(plane.x_values), y=compact(plane.y_values),
                    z=compact(np.where(np.array(plane.feasible, dtype=bool), grid, np.nan)), **limits,
                    colorscale=scale, showscale=column == len(planes), colorbar=bar, line={"width": 0.6, "color": GREY},
                    hovertemplate=f"{x} %{{x:.3g}}, {y} %{{y:.3g}}: %{{z:.2f}}<extra>{field}</extra>",
                ), **where,
            )  # fmt: skip
            star = series(
                [best[plane.x]], [best[plane.y]], "predicted best", SeriesStyle(VERMILLION, "star"), "markers", size=13,
                showlegend=row == 1 and column == 1, hoverinfo="name", marker_line={"color": "#ffffff", "width": 1},
            )  # fmt: skip
            figure.add_trace(star, **where)
            figure.update_xaxes(title_text=x, **where)
            figure.update_yaxes(title_text=y, **where)
    return finish(
        figure,
        title="The surrogate over two parameters",
        caption="What the model expects over pairs of the most important parameters, the others as in the predicted "
        "best: mean above, standard deviation below (dark: unsure). Blank areas are infeasible.",
        alt=f"{len(planes)} pairs of contour plots of the predicted objective and its deviation.",
        height=640,
        min_width=max(320, 270 * len(planes)),
        margin={"t": 76, "r": 72},
        legend_y=-0.14,
    )


def predictions(surrogate: SurrogateDocument, measure: Measure) -> go.Figure:
    """Each trial as the model predicts it from all the others, with intervals."""
    judged = surrogate.cross_validation
    table, level = judged.points, f"{100 * judged.level:.0f}%"
    observed, means, lows, highs = (
        [getattr(point, field) * measure.scale for point in table] for field in ("observed", "mean", "low", "high")
    )
    ends = [min(observed + means, default=0.0), max(observed + means, default=1.0)]
    exact = go.Scatter(x=ends, y=ends, mode="lines", name="exact", line=GUIDE, hoverinfo="skip")
    dots = series(
        observed, means, f"trial, {level} interval", SeriesStyle(BLUE), "markers", size=6,
        hover="trial %{customdata}: observed %{x:.2f}, predicted %{y:.2f}", customdata=[point.trial for point in table],
        error_y=spread(means, lows, highs) | {"color": translucent(BLUE, 0.35), "thickness": 1, "width": 0},
    )  # fmt: skip
    words = f"{100 * judged.coverage:.0f}% of {len(table)} results lie inside their {level} interval"
    words += f", root mean squared error {judged.rmse * measure.scale:.2f}"
    words += f", rank correlation {judged.rank_correlation:.2f}" if judged.rank_correlation is not None else ""
    return finish(
        go.Figure([exact, dots]),
        title="How well the surrogate predicts",
        caption=f"Each trial as the model predicts it from all the others (leave-one-out): {words}.",
        alt=f"Scatter plot of {len(table)} predictions over observations with a diagonal.",
        x=f"Observed: {measure.title[0].lower() + measure.title[1:]}",
        y="Predicted from the others",
    )


def _widened(mask: BoolArray) -> BoolArray:
    """The mask and the places next to it, so that its line meets its neighbour's."""
    wider = mask.copy()
    wider[1:] |= mask[:-1]
    wider[:-1] |= mask[1:]
    return wider
