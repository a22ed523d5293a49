"""Figures 14, 15 and 16: Beta quantile functions, and how they place contractions and widths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.palette import GREEN, GREY, VERMILLION, series_style
from betanas.analysis.figures.style import compact, finish
from betanas.analysis.tables.placement import Placement, QuantileCurve, Shape, Widths

_NAMES = {"betanet2": "BetaNet2", "betanet3": "BetaNet3"}


def beta_quantiles(curves: Sequence[QuantileCurve]) -> go.Figure:
    """Quantile functions of Beta(10**a, 10**b): a panel for the middle and the ends of b, a line for each a."""
    exponents = sorted({curve.b for curve in curves})
    shown = list(dict.fromkeys([exponents[0], exponents[len(exponents) // 2], exponents[-1]]))
    figure = make_subplots(
        cols=len(shown),
        rows=1,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"b = {b:g}" for b in shown],
    )
    firsts = sorted({curve.a for curve in curves})
    for column, b in enumerate(shown, start=1):
        for curve in curves:
            if curve.b != b:
                continue
            style = series_style(firsts.index(curve.a))
            figure.add_trace(
                go.Scatter(
                    x=compact(curve.x),
                    y=compact(curve.y),
                    mode="lines",
                    name=f"a = {curve.a:g}",
                    legendgroup=str(curve.a),
                    showlegend=column == 1,
                    line={"color": style.colour, "dash": style.dash, "width": 2},
                    hovertemplate="q = %{x:.2f}: %{y:.3f}<extra>%{fullData.name}</extra>",
                ),
                row=1,
                col=column,
            )
    figure.update_xaxes(range=[0, 1], tickvals=[0, 0.5, 1], title_text="Quantile q")
    figure.update_yaxes(range=[-0.02, 1.02])
    figure.update_yaxes(title_text="Relative depth", col=1)
    return finish(
        figure,
        title="Beta quantile functions",
        caption="Quantile functions of the Beta distribution with shape parameters 10^a and 10^b. Two "
        "numbers describe straight, "
        "concave, convex and S-shaped placements; the shape varies most for exponents from -1 to 1.",
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
        caption=f"Left: {count} equally spaced quantiles pass through a Beta quantile function; each claims "
        "the first of the "
        f"{depth} layers (boxes) at or beyond that relative depth. The first layer always contracts.{middle} Right: a "
        f"cumulative Beta function interpolates the channels {right}.",
        alt=f"Placement of {count} contractions among {depth} layers at layers "
        f"{', '.join(str(layer) for layer in shape.contractions.layers)}, and channels from "
        f"{shape.widths.rows.rows[0].channels} to {shape.widths.rows.rows[-1].channels}.",
        height=440,
        min_width=280 * len(panels),
        margin={"t": 84},
    )


def _placement_panel(figure: go.Figure, panel: Placement, column: int) -> None:
    colour = VERMILLION if panel.what == "contraction" else GREEN
    guides_x: list[float | None] = []
    guides_y: list[float | None] = []
    last = max(panel.depth - 1, 1)
    for quantile, claim in zip(panel.quantiles.tolist(), panel.claims.tolist(), strict=True):
        guides_x += [quantile, quantile, 1.1, None]
        guides_y += [0.0, claim, claim, None]
    figure.add_trace(
        go.Scatter(x=guides_x, y=guides_y, mode="lines", line={"color": GREY, "dash": "dot", "width": 1},
                   showlegend=False, hoverinfo="skip"),
        row=1, col=column,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=compact(panel.curve.x), y=compact(panel.curve.y), mode="lines", showlegend=False,
                   line={"color": series_style(0).colour, "width": 2.5},
                   hovertemplate="q = %{x:.2f}: %{y:.3f}<extra>Beta quantile</extra>"),
        row=1, col=column,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=panel.quantiles, y=panel.claims, mode="markers", showlegend=False,
                   marker={"color": colour, "size": 8, "symbol": "circle"},
                   hovertemplate="quantile %{x:.2f} claims depth %{y:.3f}<extra></extra>"),
        row=1, col=column,
    )  # fmt: skip
    chosen = set(panel.layers)
    for shaded, name, fill in (
        (True, f"{panel.what} layer", colour),
        (False, "other layer", "rgba(0,0,0,0)"),
    ):
        layers = [layer for layer in range(panel.depth) if (layer in chosen) == shaded]
        figure.add_trace(
            go.Bar(
                x=[0.16] * len(layers), base=[1.1] * len(layers), y=[layer / last for layer in layers],
                width=0.8 / last, orientation="h", name=name, legendgroup=name,
                showlegend=shaded or panel.what == "contraction",
                marker={"color": fill, "line": {"color": GREY, "width": 1}},
                hovertext=[f"layer {layer}" for layer in layers],
                hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
            ),
            row=1, col=column,
        )  # fmt: skip
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(
        range=[-0.04, 1.3], tickvals=[0, 0.5, 1], title_text="Quantile s/L", showgrid=False, row=1, col=column
    )
    figure.update_yaxes(range=[-0.06, 1.06], title_text="Relative depth", showgrid=False, row=1, col=column)


def _width_panel(figure: go.Figure, panel: Widths, column: int) -> None:
    figure.add_trace(
        go.Scatter(x=compact(panel.x), y=compact(panel.y), mode="lines", showlegend=False,
                   line={"color": series_style(0).colour, "width": 2.5},
                   hovertemplate="%{x:.2f}: %{y:.1f} channels<extra>width function</extra>"),
        row=1, col=column,
    )  # fmt: skip
    for contraction, name, colour, symbol in (
        (True, "width at a contraction layer", VERMILLION, "triangle-down"),
        (False, "width at a width layer", GREEN, "diamond"),
    ):
        rows = [row for row in panel.rows if row.contraction == contraction]
        if rows:
            figure.add_trace(
                go.Scatter(
                    x=[row.progress for row in rows], y=[row.channels for row in rows], mode="markers", name=name,
                    customdata=[row.layer for row in rows],
                    marker={"color": colour, "symbol": symbol, "size": 10},
                    hovertemplate="layer %{customdata}: %{y} channels<extra></extra>",
                ),
                row=1, col=column,
            )  # fmt: skip
    top = float(np.max(panel.y)) * 1.05
    figure.update_xaxes(range=[-0.04, 1.04], tickvals=[0, 0.5, 1], title_text=panel.label, row=1, col=column)
    figure.update_yaxes(range=[-0.04 * top, top], title_text="Output channels", row=1, col=column)
