"""FMBC: Fused-MBConv (EfficientNetV2)."""

from __future__ import annotations

from typing import TypeVar

from betanas.blocks.kind import BlockKind
from betanas.blocks.steps import ConvNorm, Step, Widths

V = TypeVar("V")


def steps(layer: Widths[V], squeezed: bool) -> tuple[Step[V], ...]:
    """3x3 convolution to the hidden channels, 1x1 to the output."""
    return (
        ConvNorm("expand", layer.in_channels, layer.hidden, kernel=3, contracts=True),
        ConvNorm("project", layer.hidden, layer.out_channels, activated=False),
    )


KIND = BlockKind(
    name="FMBC",
    code=1,
    title="Fused-MBConv",
    source_name="FusedMBConv",
    steps=steps,
    colour="#E69F00",
    pattern="/",
)
