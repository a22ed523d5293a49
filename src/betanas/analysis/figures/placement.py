"""Figures 14, 15 and 16: Beta quantile functions, and how they place contractions and widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.palette import GREEN, GREY, VERMILLION, SeriesStyle, series_style
from betanas.analysis.figures.style import finish
from betanas.analysis.figures.traces import NAMED, panels, series
from betanas.analysis.tables.placement import Placement, QuantileCurve, Shape, Widths
from betanas.blueprint import FloatArray

_NAMES = {"betanet2": "BetaNet2", "betanet3": "BetaNet3"}


def beta_quantiles(curves: Sequence[QuantileCurve]) -> go.Figure:
    """Quantile functions of Beta(10**a, 10**b): a panel for the middle and the ends of b, a line for each a."""
    exponents = sorted({curve.b for curve in curves})
    shown = list(dict.fromkeys([exponents[0], exponents[len(exponents) // 2], exponents[-1]]))
    figure = panels([f"b = {b:g}" for b in shown], across=0.04, shared_yaxes=True)
    firsts = sorted({curve.a for curve in curves})
    for curve in curves:
        if curve.b in shown:
            column, name = shown.index(curve.b) + 1, f"a = {curve.a:g}"
            settings: dict[str, Any] = {"legendgroup": name, "showlegend": column == 1}
            style, hover = series_style(firsts.index(curve.a)), "q = %{x:.2f}: %{y:.3f}"
            figure.add_trace(series(curve.x, curve.y, name, style, hover=hover, **settings), row=1, col=column)
    figure.update_xaxes(range=[0, 1], tickvals=[0, 0.5, 1], title_text="Quantile q")
    figure.update_yaxes(range=[-0.02, 1.02])
    figure.update_yaxes(title_text="Relative depth", col=1)
    return finish(
        figure,
        title="Beta quantile functions",
        caption="Quantile functions of the Beta distribution with shape parameters 10^a and 10^b. Two numbers describe "
        "straight, concave, convex and S-shaped placements; the shape varies most for exponents from -1 to 1.",
        alt=f"Line plots of {len(shown)} times {len(firsts)} Beta quantile functions from (0, 0) to (1, 1).",
        min_width=480,
        margin={"t": 72},
    )


def placement(shape: Shape) -> go.Figure:
    """How a vector places its contractions (left), its width layers (middle, BetaNet3 alone) and its widths (right)."""
    panels: list[Placement | Widths] = [shape.contractions]
    if shape.width_layers is not None:
        panels.append(shape.width_layers)
    panels.append(shape.widths)
    titles = ["Contraction layers", *(["Width layers"] if shape.width_layers else []), "Widths"]
    figure = make_subplots(cols=len(panels), rows=1, horizontal_spacing=0.1, subplot_titles=titles)
    for column, panel in enumerate(panels, start=1):
        if isinstance(panel, Placement):
            _placement_panel(figure, panel, column)
        else:
            _width_panel(figure, panel, column)
    name = _NAMES[shape.space]
    count, depth = len(shape.contractions.layers), shape.contractions.depth
    right = "by contraction progress" if shape.width_layers is None else "by relative depth"
    middle = " The width layers are placed in the same way." if shape.width_layers is not None else ""
    return finish(
        figure,
        title=f"{name}: placement at R={shape.resolution}",
        caption=f"Left: {count} equally spaced quantiles pass through a Beta quantile function; each claims the first "
        f"of the {depth} layers (boxes) at or beyond that relative depth. The first layer always contracts.{middle} "
        f"Right: a cumulative Beta function interpolates the channels {right}.",
        alt=f"Placement of {count} contractions among {depth} layers at layers "
        f"{', '.join(str(layer) for layer in shape.contractions.layers)}, and channels from "
        f"{shape.widths.rows.rows[0].channels} to {shape.widths.rows.rows[-1].channels}.",
        height=440,
        min_width=280 * len(panels),
        margin={"t": 84},
    )


def _placement_panel(figure: go.Figure, panel: Placement, column: int) -> None:
    where = {"row": 1, "col": column}
    colour = VERMILLION if panel.what == "contraction" else GREEN
    quantiles, claims, last = panel.quantiles.tolist(), panel.claims.tolist(), max(panel.depth - 1, 1)
    x = [value for quantile in quantiles for value in (quantile, quantile, 1.1, None)]
    y = [value for claim in claims for value in (0.0, claim, claim, None)]
    figure.add_trace(series(x, y, "", SeriesStyle(GREY, dash="dot"), width=1, showlegend=False), **where)
    _function(figure, panel.curve.x, panel.curve.y, "q = %{x:.2f}: %{y:.3f}", column)
    style, hover = SeriesStyle(colour), "quantile %{x:.2f} claims depth %{y:.3f}"
    figure.add_trace(series(quantiles, claims, "", style, "markers", hover=hover, size=8, showlegend=False), **where)
    for shaded, name, fill in ((True, f"{panel.what} layer", colour), (False, "other layer", "rgba(0,0,0,0)")):
        layers = [layer for layer in range(panel.depth) if (layer in panel.layers) == shaded]
        boxes = go.Bar(
            x=[0.16] * len(layers), base=[1.1] * len(layers), y=[layer / last for layer in layers], width=0.8 / last,
            orientation="h", name=name, legendgroup=name, showlegend=shaded or panel.what == "contraction",
            marker={"color": fill, "line": {"color": GREY, "width": 1}},
            hovertext=[f"layer {layer}" for layer in layers], hovertemplate=f"%{{hovertext}}{NAMED}",
        )  # fmt: skip
        figure.add_trace(boxes, **where)
    figure.update_layout(barmode="overlay")
    ticks = {"tickvals": [0, 0.5, 1], "showgrid": False}
    figure.update_xaxes(range=[-0.04, 1.3], title_text="Quantile s/L", **ticks, **where)
    figure.update_yaxes(range=[-0.06, 1.06], title_text="Relative depth", showgrid=False, **where)


def _width_panel(figure: go.Figure, panel: Widths, column: int) -> None:
    where = {"row": 1, "col": column}
    _function(figure, panel.x, panel.y, "%{x:.2f}: %{y:.1f} channels", column)
    for contraction, kind, style in (
        (True, "contraction", SeriesStyle(VERMILLION, "triangle-down")),
        (False, "width", SeriesStyle(GREEN, "diamond")),
    ):
        rows = [row for row in panel.rows if row.contraction == contraction]
        if rows:
            x, y = [row.progress for row in rows], [row.channels for row in rows]
            name, hover = f"width at a {kind} layer", "layer %{customdata}: %{y} channels"
            numbers = [row.layer for row in rows]
            figure.add_trace(series(x, y, name, style, "markers", hover=hover, size=10, customdata=numbers), **where)
    top = float(np.max(panel.y)) * 1.05
    figure.update_xaxes(range=[-0.04, 1.04], tickvals=[0, 0.5, 1], title_text=panel.label, **where)
    figure.update_yaxes(range=[-0.04 * top, top], title_text="Output channels", **where)


def _function(figure: go.Figure, x: FloatArray, y: FloatArray, hover: str, column: int) -> None:
    line = series(x, y, "Beta function", series_style(0), hover=hover, width=2.5, showlegend=False)
    figure.add_trace(line, row=1, col=column)
