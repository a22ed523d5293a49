"""Random steps in the unit cube, for whoever looks around a point."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import FloatArray


def stepped(centres: FloatArray, generator: np.random.Generator, *, size: float, moved: float) -> FloatArray:
    """One step from each centre (shape [n, d]): normal on some coordinates, kept inside the cube. Shape [n, d].

    Args:
        centres: where the steps start.
        generator: draws them.
        size: standard deviation, as a part of a parameter's range.
        moved: part of the coordinates that a step changes; at least one.
    """
    count, dimensions = centres.shape
    chosen = generator.random((count, dimensions)) < moved
    chosen[np.arange(count), generator.integers(dimensions, size=count)] = True
    steps = np.where(chosen, size * generator.standard_normal((count, dimensions)), 0.0)
    return np.clip(centres + steps, 0.0, 1.0)
