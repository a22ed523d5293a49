"""Figure 13: a network drawn to scale, one box a layer."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import GREEN, GREY, PURPLE, VERMILLION, SeriesStyle
from betanas.analysis.figures.style import finish
from betanas.analysis.figures.traces import NAMED, fill_pattern, series
from betanas.blocks import KINDS
from betanas.blueprint import Blueprint
from betanas.quantities import format_count


def schematic(blueprint: Blueprint, *, title: str = "Architecture") -> go.Figure:
    """One box a layer: its height the output's side, its width the channels; contractions and width changes marked."""
    layers = blueprint.layers
    widths = np.sqrt([blueprint.in_channels, *(layer.out_channels for layer in layers), blueprint.num_features])
    # A gap of a quarter of the mean box keeps narrow boxes apart and wide ones together.
    gap = 0.25 * float(widths.mean())
    centres = np.cumsum(widths) - widths / 2 + gap * np.arange(len(widths))
    heights = np.sqrt([blueprint.resolution, *(layer.resolution for layer in layers), layers[-1].resolution])
    figure = go.Figure()

    def boxes(name: str, places: list[int], colour: str, pattern: str, hover: list[str]) -> None:
        look = {"color": colour, "line": {"color": GREY, "width": 1}, "pattern": fill_pattern(pattern) | {"size": 6}}
        figure.add_trace(
            go.Bar(
                x=centres[places], y=heights[places], base=-heights[places] / 2, width=widths[places] + gap * 0.5,
                name=name, marker=look, hovertext=hover, hovertemplate=f"%{{hovertext}}{NAMED}",
            )
        )  # fmt: skip

    def label(place: int, text: object, side: int) -> None:
        where = {"x": centres[place], "y": side * heights[place] / 2, "yshift": 14 * side}
        anchor = "bottom" if side > 0 else "top"
        figure.add_annotation(text=str(text), yanchor=anchor, showarrow=False, textangle=-90, **where)

    side, channels, last = blueprint.resolution, blueprint.in_channels, len(layers) + 1
    boxes("image", [0], "rgba(0,0,0,0)", "", [f"{side} x {side} pixels, {channels} channels"])
    for kind in KINDS:
        places = [place for place, layer in enumerate(layers, start=1) if layer.kind == kind.name]
        if places:
            hover = [_describe(blueprint, place - 1) for place in places]
            boxes(f"{kind.name} ({kind.title})", places, kind.colour, kind.pattern, hover)
    latent = f"1x1 conv to {blueprint.latent} channels, " if blueprint.latent else ""
    boxes("classifier", [last], PURPLE, "x", [f"{latent}average pool, {blueprint.num_classes} classes"])
    top = float(heights.max()) / 2
    contracting = [place for place, layer in enumerate(layers, start=1) if layer.stride == 2]
    widening = [place for place, layer in enumerate(layers, start=1) if layer.out_channels != layer.in_channels]
    for name, places, style, end in (
        ("contraction (side in pixels)", contracting, SeriesStyle(VERMILLION, "triangle-down"), 1.0),
        ("width change (channels)", widening, SeriesStyle(GREEN, "diamond"), -1.0),
    ):
        ends = end * (heights[places] / 2 + 0.05 * top)
        figure.add_trace(series(centres[places], ends, name, style, "markers", size=8))
    total = float(centres[-1] + widths[-1])
    for place in _apart([0, *contracting], centres, total):
        label(place, layers[place - 1].resolution if place else side, 1)
    for place in _apart([0, *widening, last], centres, total):
        named = {0: channels, last: blueprint.num_features}
        label(place, named.get(place, layers[min(place, len(layers)) - 1].out_channels), -1)
    counts = {kind.name: sum(layer.kind == kind.name for layer in layers) for kind in KINDS}
    made_of = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    return finish(
        figure,
        title=title,
        caption=f"{len(layers)} layers ({made_of}), {format_count(blueprint.num_params)} parameters, "
        f"{format_count(blueprint.macs)} multiply-accumulates. A box is a layer: its height is the side of its output, "
        "its width its channels, both by square root. Triangles mark contractions with the side they leave, diamonds "
        "the layers that change the number of channels.",
        alt=f"Schematic of a network from {blueprint.resolution} pixels and {blueprint.in_channels} channels to "
        f"{layers[-1].resolution} pixels and {layers[-1].out_channels} channels in {len(layers)} layers: {made_of}.",
        x="Layers in order (box width: channels)",
        y="Output side (pixels)",
        height=440,
        min_width=460,
        barmode="overlay",
        xaxis=bare | {"range": [-0.02 * total, 1.02 * total]},
        yaxis=bare | {"range": [-1.45 * top, 1.45 * top]},
        legend_y=-0.13,
    )


def _describe(blueprint: Blueprint, index: int) -> str:
    layer = blueprint.layers[index]
    halving = "2x2 max pool" if layer.pooled else f"stride {layer.stride}"
    words = [f"layer {index}", f"{layer.in_channels} to {layer.out_channels} channels", halving]
    if layer.hidden:
        words.append(f"expansion {layer.expansion:.2f} ({layer.hidden} hidden)")
    if layer.squeeze:
        words.append(f"squeeze to {layer.squeeze}")
    words.append(layer.activation)
    return "<br>".join([*words, f"output {layer.resolution} x {layer.resolution}"])


def _apart(places: list[int], centres: np.ndarray, total: float) -> list[int]:
    """The places whose labels do not touch on a narrow screen: at least a twenty-fourth of the drawing apart."""
    kept: list[int] = []
    for place in places:
        if not kept or centres[place] - centres[kept[-1]] >= total / 24:
            kept.append(place)
    return kept
