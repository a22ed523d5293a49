"""Figure 13: a network drawn to scale, one box a layer."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import GREEN, GREY, KIND_COLOURS, KIND_PATTERNS, PURPLE, VERMILLION
from betanas.analysis.figures.style import finish
from betanas.blueprint import KINDS, Blueprint
from betanas.quantities import format_count

_KIND_NAMES = {"CNA": "CNA (3x3 conv)", "FMBC": "FMBC (Fused-MBConv)", "MBC": "MBC (MBConv)"}


def schematic(blueprint: Blueprint, *, title: str = "Architecture") -> go.Figure:
    """One box a layer: its height the output's side, its width the channels; contractions and width changes marked."""
    layers = blueprint.layers
    widths = np.sqrt([blueprint.in_channels, *(layer.out_channels for layer in layers), blueprint.latent])
    # A gap of a quarter of the mean box keeps narrow boxes apart and wide ones together.
    gap = 0.25 * float(widths.mean())
    centres = np.cumsum(widths) - widths / 2 + gap * np.arange(len(widths))
    heights = np.sqrt([blueprint.resolution, *(layer.resolution for layer in layers), layers[-1].resolution])
    figure = go.Figure()

    def boxes(name: str, places: list[int], colour: str, pattern: str, hover: list[str]) -> None:
        figure.add_trace(
            go.Bar(
                x=centres[places],
                y=heights[places],
                base=-heights[places] / 2,
                width=widths[places] + gap * 0.5,
                name=name,
                marker={
                    "color": colour,
                    "line": {"color": GREY, "width": 1},
                    "pattern": {
                        "shape": pattern,
                        "size": 6,
                        "solidity": 0.2,
                        "fillmode": "overlay",
                        "fgcolor": "#ffffff",
                    },
                },
                hovertext=hover,
                hovertemplate="%{hovertext}<extra>%{fullData.name}</extra>",
            )
        )

    side, channels = blueprint.resolution, blueprint.in_channels
    boxes("image", [0], "rgba(0,0,0,0)", "", [f"{side} x {side} pixels, {channels} channels"])
    for kind in KINDS:
        places = [place for place, layer in enumerate(layers, start=1) if layer.kind == kind]
        if places:
            hover = [_describe(blueprint, place - 1) for place in places]
            boxes(_KIND_NAMES[kind], places, KIND_COLOURS[kind], KIND_PATTERNS[kind], hover)
    last = len(layers) + 1
    boxes(
        "classifier",
        [last],
        PURPLE,
        "x",
        [f"1x1 conv to {blueprint.latent} channels, average pool, {blueprint.num_classes} classes"],
    )
    top = float(heights.max()) / 2
    contracting = [place for place, layer in enumerate(layers, start=1) if layer.stride == 2]
    widening = [place for place, layer in enumerate(layers, start=1) if layer.out_channels != layer.in_channels]
    for name, places, colour, symbol, height in (
        ("contraction (side in pixels)", contracting, VERMILLION, "triangle-down", 1.0),
        ("width change (channels)", widening, GREEN, "diamond", -1.0),
    ):
        figure.add_trace(
            go.Scatter(
                x=centres[places],
                y=height * (heights[places] / 2 + 0.05 * top),
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 8},
                hoverinfo="skip",
            )
        )
    total = float(centres[-1] + widths[-1])
    for place in _apart([0, *contracting], centres, total):
        text = str(blueprint.resolution if place == 0 else layers[place - 1].resolution)
        figure.add_annotation(
            x=centres[place],
            y=heights[place] / 2,
            text=text,
            yshift=14,
            yanchor="bottom",
            showarrow=False,
            textangle=-90,
        )
    for place in _apart([0, *widening, last], centres, total):
        names = {0: blueprint.in_channels, last: blueprint.latent}
        text = str(names.get(place, layers[min(place, len(layers)) - 1].out_channels))
        figure.add_annotation(
            x=centres[place],
            y=-heights[place] / 2,
            text=text,
            yshift=-14,
            yanchor="top",
            showarrow=False,
            textangle=-90,
        )
    counts = {kind: sum(layer.kind == kind for layer in layers) for kind in KINDS}
    made_of = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    return finish(
        figure,
        title=title,
        caption=f"{len(layers)} layers ({made_of}), {format_count(blueprint.num_params)} parameters, "
        f"{format_count(blueprint.macs)} multiply-accumulates. A box is a layer: its height is the side of "
        "its output, its "
        "width its channels, both by square root. Triangles mark contractions with the side they leave, "
        "diamonds the layers "
        "that change the number of channels.",
        alt=f"Schematic of a network from {blueprint.resolution} pixels and {blueprint.in_channels} channels to "
        f"{layers[-1].resolution} pixels and {layers[-1].out_channels} channels in {len(layers)} layers: {made_of}.",
        height=440,
        min_width=460,
        barmode="overlay",
        xaxis={"title": {"text": "Layers in order (box width: channels)"}, "showticklabels": False, "ticks": "",
               "showgrid": False, "zeroline": False, "range": [-0.02 * total, 1.02 * total]},
        yaxis={"title": {"text": "Output side (pixels)"}, "showgrid": False, "zeroline": False, "showticklabels": False,
               "ticks": "", "range": [-1.45 * top, 1.45 * top]},
        legend={"y": -0.13},
    )  # fmt: skip


def _describe(blueprint: Blueprint, index: int) -> str:
    layer = blueprint.layers[index]
    words = [
        f"layer {index}",
        f"{layer.in_channels} to {layer.out_channels} channels",
        f"stride {layer.stride}",
    ]
    if layer.kind != "CNA":
        words.append(f"expansion {layer.expansion:.2f} ({layer.hidden} hidden)")
    if layer.kind == "MBC":
        words.append(f"squeeze to {layer.squeeze}")
    return "<br>".join([*words, f"output {layer.resolution} x {layer.resolution}"])


def _apart(places: list[int], centres: np.ndarray, total: float) -> list[int]:
    """The places whose labels do not touch on a narrow screen: at least a twenty-fourth of the drawing apart."""
    kept: list[int] = []
    for place in places:
        if not kept or centres[place] - centres[kept[-1]] >= total / 24:
            kept.append(place)
    return kept
