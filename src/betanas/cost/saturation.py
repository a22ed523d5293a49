"""Costs as 64-bit integers that stop at a bound instead of wrapping round."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import FloatArray, IntArray

MOST = 2**62


def saturated(costs: FloatArray) -> IntArray:
    """Whole numbers held in floats, as integers of at most `MOST`.

    Vectors at the ends of a space's domain describe networks of more than 2**63 multiply-accumulates or bytes, which
    would wrap round to a negative cost and so pass every limit. Floats hold whole numbers exactly up to 2**53.
    """
    return np.minimum(costs, float(MOST)).astype(np.int64)
