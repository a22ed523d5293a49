"""CNA: a plain 3x3 convolution with norm and activation."""

from __future__ import annotations

from typing import TypeVar

from betanas.blocks.kind import BlockKind
from betanas.blocks.steps import ConvNorm, Step, Widths

V = TypeVar("V")


def steps(layer: Widths[V], squeezed: bool) -> tuple[Step[V], ...]:
    """3x3 to the output."""
    return (ConvNorm("conv", layer.in_channels, layer.out_channels, kernel=3, contracts=True),)


KIND = BlockKind(
    name="CNA",
    code=0,
    title="3x3 conv",
    source_name="",
    steps=steps,
    colour="#7F868F",
    pattern="",
    has_hidden=False,
    has_residual=False,
)
