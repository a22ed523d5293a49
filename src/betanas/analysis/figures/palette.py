"""Colours, marker shapes and dashes of every figure.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any common kind of colour
blindness tell apart. Their yellow is left out: it cannot be seen on white. No figure relies on colour alone: series
differ in marker shape or dash too, so that they can be read in grey.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from betanas.blocks import KINDS

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
# Grey with a contrast of at least 3:1 on both backgrounds: for what is neither good nor bad, and for guides.
GREY = "#7F868F"

SERIES_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
SERIES_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "pentagon", "triangle-down", "hexagon")
SERIES_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")

# Layer kinds with their fills.
KIND_COLOURS = {kind.name: kind.colour for kind in KINDS}

_ORIGIN_PLACES = {"sobol": 0, "gpei": 1, "random": 4}


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How a series is drawn: colour, marker and dash."""

    colour: str
    symbol: str = "circle"
    dash: str = "solid"


def series_style(place: int) -> SeriesStyle:
    """The style of the series at a place: no two of the first 49 share colour, marker and dash."""
    turn, colour = divmod(place, len(SERIES_COLOURS))
    other = (colour + turn) % len(SERIES_COLOURS)
    return SeriesStyle(SERIES_COLOURS[colour], SERIES_SYMBOLS[other], SERIES_DASHES[other])


def origin_styles(origins: Iterable[str]) -> dict[str, SeriesStyle]:
    """A style for each origin of a trial; the common ones look the same in every study."""
    names = list(dict.fromkeys(origins))
    taken = {place for name, place in _ORIGIN_PLACES.items() if name in names}
    free = iter([place for place in range(len(SERIES_COLOURS)) if place not in taken] * (1 + len(names)))
    return {name: series_style(_ORIGIN_PLACES[name] if name in _ORIGIN_PLACES else next(free)) for name in names}


def translucent(colour: str, alpha: float) -> str:
    """A hexadecimal colour as rgba with an opacity in [0, 1]."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"
