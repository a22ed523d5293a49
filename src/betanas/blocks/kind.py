"""What a block kind says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from betanas.blocks.steps import Step, Widths

V = TypeVar("V")


class StepsOf(Protocol):
    """Makes a layer's steps of its channels.

    Nothing is computed here: the channels are passed on, so that arrays and names in source pass through as well.
    """

    def __call__(self, layer: Widths[V], squeezed: bool, /) -> tuple[Step[V], ...]:
        """The steps of a layer, with or without squeeze-excitation."""


@dataclass(frozen=True)
class BlockKind:
    """A kind of layers.

    Attributes:
        name: `Layer.kind`, in blueprints and tables.
        code: its number in arrays and in blueprint keys: stored in studies, so it never changes.
        title: what it is, in a few words.
        source_name: of its class in generated source; empty for a kind of one step, which needs no class.
        steps: what it consists of, in order; whether it has squeeze-excitation is given.
        colour: in figures, hexadecimal, of the palette of Okabe and Ito, or grey.
        pattern: plotly's name of the fill that tells it apart without colour.
        has_hidden: whether it has hidden channels.
        has_squeeze: whether it may have squeeze-excitation.
        has_residual: whether it adds its input to its output where the two have one shape.
    """

    name: str
    code: int
    title: str
    source_name: str
    steps: StepsOf
    colour: str
    pattern: str
    has_hidden: bool = True
    has_squeeze: bool = False
    has_residual: bool = True
