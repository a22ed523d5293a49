"""Dividing images so that every class is on both sides, the same way on every machine."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import IntArray
from betanas.errors import DataError

# Of CIFAR-100's training part a tenth is 5,000 images: at 40% top-1 their sampling error is 0.7 points, less than the
# point or so by which two seeds of one network differ, and nine tenths are left to learn from.
VALIDATION_SHARE = 0.1


def hold_out(labels: IntArray, *, share: float, seed: int) -> tuple[IntArray, IntArray]:
    """Divide images at random, class by class.

    Each class gives `share` of its images, rounded, but at least one, and keeps at least one. scikit-learn's stratified
    splits promise neither, and draw permutations, whose stream may change between versions of NumPy; the
    uniform numbers of `RandomState` that are ranked here are frozen for good.

    Args:
        labels: int64, shape [n].
        share: of the images to hold out, between 0 and 1.
        seed: decides which.

    Returns:
        Ascending positions of the images that stay and of those held out.

    Raises:
        DataError: a class has one image only, or share or seed are out of bounds.
    """
    if not 0 < share < 1:
        raise DataError("The share of images to hold out must lie between 0 and 1.", value=share, hint="Use 0.1.")
    if seed < 0:
        raise DataError("The seed of a split must not be negative.", value=seed)
    ranks = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed))).random_sample(len(labels))
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise DataError("A class must have at least two images to be divided.", value=f"one of class {label}")
        count = min(max(int(share * len(members) + 0.5), 1), len(members) - 1)
        held[members[np.argsort(ranks[members], kind="stable")[:count]]] = True
    return np.flatnonzero(~held).astype(np.int64), np.flatnonzero(held).astype(np.int64)
