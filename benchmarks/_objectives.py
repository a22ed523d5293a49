"""A made-up objective for benchmarks that need one at once: smooth, skewed, with a few directions that matter."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import FloatArray


def bumpy_accuracy(points: FloatArray) -> FloatArray:
    """Something like accuracies, for points of the unit cube (shape [n, d]). Shape [n], at most 0.45.

    Weights fall from one parameter to the next, so that the first few decide; a sine makes it more than a bowl, and the
    exponential squashes the good end as accuracies are.
    """
    dimensions = points.shape[1]
    weights = 0.8 ** np.arange(dimensions)
    bowl = ((points - 0.4) ** 2 * weights).sum(axis=1)
    ripple = 0.05 * np.sin(6 * points[:, 0]) * points[:, 1 % dimensions]
    return np.asarray(0.45 * np.exp(-1.5 * bowl) + ripple * 0.5 - 0.025)
