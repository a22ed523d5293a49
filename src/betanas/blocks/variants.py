"""What the blocks of a space's networks are: as the space describes them, or lighter ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from betanas.blocks.activation import Activation

Blocks = Literal["ordinary", "lite", "lite-hardswish"]

# The one activation of a variant's networks, which have no squeeze-excitation; None leaves them as they are.
BLOCKS: Mapping[Blocks, Activation | None] = MappingProxyType(
    {"ordinary": None, "lite": Activation.ReLU6, "lite-hardswish": Activation.Hardswish}
)


def space_title(space: str, blocks: str) -> str:
    """A space's name for a person, with its blocks where they are not its own."""
    return space if blocks == "ordinary" else f"{space} with {blocks} blocks"
