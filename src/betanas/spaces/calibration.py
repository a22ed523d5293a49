"""Networks to measure for a latency model: random ones of every space, from small to large images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from betanas.blocks import Blocks
from betanas.blueprint import Blueprint
from betanas.spaces.base import SearchSpace
from betanas.spaces.registry import get_space

# Spaces by name, and the blocks of their networks.
CALIBRATION_SPACES: tuple[tuple[str, Blocks], ...] = (
    ("betanet3", "ordinary"),
    ("betanet2", "ordinary"),
    ("convnet", "ordinary"),
    ("betanet3", "lite"),
    ("betanet2", "lite-hardswish"),
)

# Sides of the images; those of data sets and of common input sizes, so that sides of maps vary.
CALIBRATION_SIDES = (16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224)
_CLASSES = (10, 100)
_CHANNELS = (3, 3, 3, 1)

# Larger networks take most of a calibration's time and say little about small ones.
_MOST_MACS = 400_000_000


def calibration_networks(
    *, seed: int = 0, spaces: Sequence[tuple[str, Blocks]] = CALIBRATION_SPACES
) -> Iterator[Blueprint]:
    """Random networks without end, one of each space in turn, a quarter of them for grey images.

    However many are taken, they are spread evenly over spaces and sides.

    Args:
        seed: equal seeds give equal networks.
        spaces: by name, with their blocks; default ranges.
    """
    rng = np.random.default_rng(seed)
    chosen = [get_space(name, blocks=blocks) for name, blocks in spaces]
    while True:
        for space in chosen:
            yield random_network(space, rng, side=int(rng.choice(CALIBRATION_SIDES)))


def random_network(space: SearchSpace, rng: np.random.Generator, *, side: int) -> Blueprint:
    """A network drawn from a space's ranges at a side; drawn again while it is too large."""
    classes, channels = int(rng.choice(_CLASSES)), int(rng.choice(_CHANNELS))
    while True:
        row = space.from_unit(rng.random((1, len(space.free))))
        found = space.blueprints(row, resolution=side, num_classes=classes, in_channels=channels)[0]
        if found.macs <= _MOST_MACS:
            return found
