"""MBC: MBConv (MobileNetV2, EfficientNet), with squeeze-excitation unless a layer has none."""

from __future__ import annotations

from typing import TypeVar

from betanas.blocks.kind import BlockKind
from betanas.blocks.steps import ConvNorm, SqueezeExcitation, Step, Widths

V = TypeVar("V")


def steps(layer: Widths[V], squeezed: bool, kernel: int = 3) -> tuple[Step[V], ...]:
    """1x1 to the hidden channels, depthwise convolution, squeeze-excitation, 1x1 to the output."""
    hidden = layer.hidden
    depthwise = ConvNorm("depthwise", hidden, hidden, kernel=kernel, depthwise=True, contracts=True)
    return (
        ConvNorm("expand", layer.in_channels, hidden),
        depthwise,
        *((SqueezeExcitation("squeeze_excitation", hidden, layer.squeeze),) if squeezed else ()),
        ConvNorm("project", hidden, layer.out_channels, activated=False),
    )


KIND = BlockKind(
    name="MBC",
    code=2,
    title="MBConv",
    source_name="MBConv",
    steps=steps,
    colour="#0072B2",
    pattern=".",
    has_squeeze=True,
)
