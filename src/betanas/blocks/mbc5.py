"""MBC5: MBConv with a depthwise kernel of 5x5, as EfficientNet has in half of its stages."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from betanas.blocks import mbc
from betanas.blocks.steps import Step, Widths

V = TypeVar("V")


def steps(layer: Widths[V], squeezed: bool) -> tuple[Step[V], ...]:
    """MBConv's, with the larger kernel."""
    return mbc.steps(layer, squeezed, kernel=5)


KIND = replace(
    mbc.KIND, name="MBC5", code=3, title="5x5 MBConv", source_name="MBConv5", steps=steps, colour="#56B4E9", pattern="+"
)
