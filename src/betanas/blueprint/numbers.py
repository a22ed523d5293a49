"""Array types, and the check that a blueprint's numbers are Python's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from betanas.errors import BlueprintError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Beyond every network that the spaces can describe, and small enough for a layer's parameters to fit 64 bits.
_LARGEST = 10**8


def check_numbers(owner: object, *, integers: Sequence[str], reals: Sequence[str] = (), where: str) -> None:
    """Refuse attributes that are no numbers, numpy's, or too large.

    Raises:
        BlueprintError: one is.
    """
    for name in integers:
        value = getattr(owner, name)
        if type(value) is not int or abs(value) > _LARGEST:
            raise BlueprintError(f"{where}'s {name} must be a Python int of at most {_LARGEST:,}.", value=value)
    for name in reals:
        value = getattr(owner, name)
        if type(value) not in (int, float) or not abs(value) <= _LARGEST:
            raise BlueprintError(f"{where}'s {name} must be a Python float of at most {_LARGEST:,}.", value=value)


def contracted(side: int) -> int:
    """The output side of a 3x3, stride 2, padding 1 convolution over an input of `side` pixels."""
    return -(-side // 2)
