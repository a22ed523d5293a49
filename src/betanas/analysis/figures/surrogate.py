"""The surrogate in pictures: importance, slices and contours with uncertainty, and how well it predicts."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.palette import BLUE, GREY, ORANGE, PURPLE, VERMILLION, translucent
from betanas.analysis.figures.style import compact, finish, plain
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
    names = [plain(row.parameter) for row in rows]
    figure = go.Figure()
    modelled = any(row.importance is not None for row in rows)
    bars: tuple[tuple[str, str, str, str], ...]
    if modelled:
        bars = (
            ("importance (lost variance)", "importance", BLUE, ""),
            ("relevance (inverse length scale)", "relevance", ORANGE, "/"),
        )
        caption = (
            "Importance is the part of the predicted variance that is lost when a parameter alone is drawn "
            "anew (total effect: "
            "interactions count for each of their parameters); relevance is the inverse length scale of the surrogate, "
            "scaled to sum to 1 over all that it sees."
        )
        elsewhere = 1.0 - sum(row.relevance or 0.0 for row in rows)
        if elsewhere > _ROUNDING:
            caption += (
                f" Of the relevance {elsewhere:.1%} is with what the surrogate sees of the networks themselves: "
                "their size and shape."
            )
    else:
        bars = (("absolute rank correlation", "rank_correlation", BLUE, ""),)
        caption = (
            "Absolute rank correlation of each parameter with the objective. The study has no surrogate; "
            "correlation sees "
            "monotonic effects alone."
        )
    for name, field, colour, pattern in bars:
        figure.add_trace(
            go.Bar(
                x=[abs(getattr(row, field) or 0.0) for row in rows],
                y=names,
                orientation="h",
                name=name,
                marker={
                    "color": colour,
                    "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "#ffffff", "solidity": 0.2},
                },
                hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
            )
        )
    first = table.rows[0].parameter
    return finish(
        figure,
        title="Importance of parameters",
        caption=caption,
        alt=f"Bar chart of {len(rows)} parameters; {first} matters most.",
        height=140 + 26 * len(rows),
        barmode="group",
        xaxis={
            "title": {"text": "Importance (share)" if modelled else "Rank correlation (absolute)"},
            "rangemode": "tozero",
        },
        yaxis={"title": {"text": "Parameter"}, "type": "category"},
        legend={"y": -60 / (26 * len(rows)), "traceorder": "normal"},
    )


def slices(surrogate: SurrogateDocument, measure: Measure) -> go.Figure:
    """The prediction along each parameter through the predicted best, with two deviations on either side."""
    order = {entry.name: -entry.importance for entry in surrogate.parameters}
    cuts = sorted(surrogate.slices, key=lambda cut: order.get(cut.parameter, 0.0))
    rows = math.ceil(len(cuts) / _COLUMNS)
    figure = make_subplots(
        rows=rows,
        cols=_COLUMNS,
        shared_yaxes="all",
        horizontal_spacing=0.05,
        vertical_spacing=min(0.38 / rows, 0.25),
        subplot_titles=[plain(cut.parameter) for cut in cuts],
    )
    named: set[str] = set()
    for place, cut in enumerate(cuts):
        where = {"row": place // _COLUMNS + 1, "col": place % _COLUMNS + 1}
        x = np.array(cut.values)
        mean, deviation = np.array(cut.mean) * measure.scale, np.array(cut.deviation) * measure.scale
        figure.add_trace(
            go.Scatter(
                x=compact(np.concatenate([x, x[::-1]])),
                y=compact(np.concatenate([mean + 2 * deviation, (mean - 2 * deviation)[::-1]])),
                fill="toself",
                fillcolor=translucent(BLUE, 0.22),
                line={"width": 0},
                mode="lines",
                name="two deviations",
                legendgroup="band",
                showlegend=place == 0,
                hoverinfo="skip",
            ),
            **where,
        )
        feasible = np.array(cut.feasible, dtype=bool)
        for allowed, name, colour, dash in ((True, "mean", BLUE, "solid"), (False, "mean, infeasible", GREY, "dot")):
            shown = feasible if allowed else _widened(~feasible)
            if not shown.any():
                continue
            figure.add_trace(
                go.Scatter(
                    x=compact(x),
                    y=compact(np.where(shown, mean, np.nan)),
                    mode="lines",
                    name=name,
                    legendgroup=name,
                    showlegend=name not in named,
                    line={"color": colour, "dash": dash, "width": 2.2},
                    hovertemplate="%{x:.3g}: %{y:.2f}<extra>%{fullData.name}</extra>",
                ),
                **where,
            )
            named.add(name)
        room = 0.1 * float(x[-1] - x[0])
        figure.update_xaxes(range=[float(x[0]) - room, float(x[-1]) + room], **where)
        best = surrogate.best.vector.get(cut.parameter)
        if best is not None:
            figure.add_trace(
                go.Scatter(
                    x=[best],
                    y=[surrogate.best.mean * measure.scale],
                    mode="markers",
                    name="predicted best",
                    legendgroup="best",
                    showlegend=place == 0,
                    marker={"color": PURPLE, "symbol": "star", "size": 12},
                    hovertemplate="predicted best: %{x:.3g}<extra></extra>",
                ),
                **where,
            )
    # Ticks inside the padding: the last one of a panel must not run into the first one of the next.
    figure.update_xaxes(nticks=4)
    figure.update_yaxes(title_text="Top-1 (%)" if measure.unit == "%" else "Objective", col=1)
    height = 130 + 190 * rows
    return finish(
        figure,
        title="The surrogate along each parameter",
        caption=f"What the model ({plain(surrogate.model)}; {surrogate.observations} results) expects along "
        "each parameter in its own "
        "unit, the others as in the predicted best; the band is two standard deviations. The most important "
        "parameter comes "
        "first.",
        alt=f"{len(cuts)} small line plots of the predicted objective, one for each parameter.",
        height=height,
        min_width=620,
        margin={"t": 72},
        legend={"y": -36 / (height - 130)},
    )


def contours(surrogate: SurrogateDocument, measure: Measure) -> go.Figure:
    """The prediction over pairs of the most important parameters: mean above, deviation below."""
    planes = surrogate.contours
    figure = make_subplots(
        rows=2,
        cols=max(len(planes), 1),
        horizontal_spacing=0.09,
        vertical_spacing=0.16,
        subplot_titles=[f"{plain(plane.x)}, {plain(plane.y)}" for plane in planes],
    )
    limits = []
    for field in ("mean", "deviation"):
        grids = [np.array(getattr(plane, field)) * measure.scale for plane in planes]
        limits.append((min(float(g.min()) for g in grids), max(float(g.max()) for g in grids)) if grids else (0.0, 1.0))
    for column, plane in enumerate(planes, start=1):
        feasible = np.array(plane.feasible, dtype=bool)
        for row, (field, scale, title) in enumerate(
            (("mean", "Cividis", "mean"), ("deviation", "Greys", "deviation")), start=1
        ):
            grid = np.array(getattr(plane, field)) * measure.scale
            figure.add_trace(
                go.Contour(
                    x=compact(plane.x_values),
                    y=compact(plane.y_values),
                    z=compact(np.where(feasible, grid, np.nan)),
                    zmin=limits[row - 1][0],
                    zmax=limits[row - 1][1],
                    colorscale=scale,
                    showscale=column == len(planes),
                    colorbar={
                        "title": {"text": f"{title} ({measure.unit})" if measure.unit else title, "side": "right"},
                        "len": 0.44,
                        "y": 0.79 if row == 1 else 0.21,
                        "thickness": 12,
                    },
                    line={"width": 0.6, "color": GREY},
                    hovertemplate=f"{plain(plane.x)} %{{x:.3g}}, {plain(plane.y)} %{{y:.3g}}: "
                    f"%{{z:.2f}}<extra>{title}</extra>",
                ),
                row=row,
                col=column,
            )
            best = surrogate.best.vector
            figure.add_trace(
                go.Scatter(
                    x=[best[plane.x]],
                    y=[best[plane.y]],
                    mode="markers",
                    name="predicted best",
                    showlegend=row == 1 and column == 1,
                    marker={
                        "color": VERMILLION,
                        "symbol": "star",
                        "size": 13,
                        "line": {"color": "#ffffff", "width": 1},
                    },
                    hovertemplate="predicted best<extra></extra>",
                ),
                row=row,
                col=column,
            )
            figure.update_xaxes(title_text=plain(plane.x), row=row, col=column)
            figure.update_yaxes(title_text=plain(plane.y), row=row, col=column)
    return finish(
        figure,
        title="The surrogate over two parameters",
        caption="What the model expects over pairs of the most important parameters, the others as in the "
        "predicted best: mean above, "
        "standard deviation below (dark: unsure). Blank areas are infeasible.",
        alt=f"{len(planes)} pairs of contour plots of the predicted objective and its deviation.",
        height=640,
        min_width=max(320, 270 * len(planes)),
        margin={"t": 76, "r": 72},
        legend={"y": -0.14},
    )


def predictions(surrogate: SurrogateDocument, measure: Measure) -> go.Figure:
    """Each trial as the model predicts it from all the others, with intervals."""
    judged = surrogate.cross_validation
    points = judged.points
    observed = np.array([point.observed for point in points]) * measure.scale
    means = np.array([point.mean for point in points]) * measure.scale
    highs = np.array([point.high for point in points]) * measure.scale
    lows = np.array([point.low for point in points]) * measure.scale
    ends = [min(observed.min(), means.min()), max(observed.max(), means.max())] if len(points) else [0.0, 1.0]
    figure = go.Figure(
        [
            go.Scatter(
                x=ends,
                y=ends,
                mode="lines",
                name="exact",
                line={"color": GREY, "dash": "dash", "width": 1.5},
                hoverinfo="skip",
            ),
            go.Scatter(
                x=compact(observed),
                y=compact(means),
                error_y={
                    "array": compact(highs - means),
                    "arrayminus": compact(means - lows),
                    "color": translucent(BLUE, 0.35),
                    "thickness": 1,
                    "width": 0,
                },
                customdata=[point.trial for point in points],
                mode="markers",
                name=f"trial, {100 * judged.level:.0f}% interval",
                marker={"color": BLUE, "size": 6},
                hovertemplate="trial %{customdata}: observed %{x:.2f}, predicted %{y:.2f}<extra></extra>",
            ),
        ]
    )
    words = [
        f"{100 * judged.coverage:.0f}% of {len(points)} results lie inside their {100 * judged.level:.0f}% interval"
    ]
    words.append(f"root mean squared error {judged.rmse * measure.scale:.2f}")
    if judged.rank_correlation is not None:
        words.append(f"rank correlation {judged.rank_correlation:.2f}")
    return finish(
        figure,
        title="How well the surrogate predicts",
        caption=f"Each trial as the model predicts it from all the others (leave-one-out): {', '.join(words)}.",
        alt=f"Scatter plot of {len(points)} predictions over observations with a diagonal.",
        xaxis={"title": {"text": f"Observed: {measure.title[0].lower() + measure.title[1:]}"}},
        yaxis={"title": {"text": "Predicted from the others"}},
    )


def _widened(mask: BoolArray) -> BoolArray:
    """The mask and the places next to it, so that its line meets its neighbour's."""
    wider = mask.copy()
    wider[1:] |= mask[:-1]
    wider[:-1] |= mask[1:]
    return wider
