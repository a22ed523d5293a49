"""The 1,797 handwritten digits that come with scikit-learn: real images that need no network and no download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from betanas.blueprint import IntArray
from betanas.data.arrays import ArraySource
from betanas.data.source import Part
from betanas.data.stratified import hold_out

# Fixed, so that the test part is the same for everybody.
_TEST_SHARE, _TEST_SEED = 0.2, 0

# Grey levels in the original are 0 to 16.
_LEVELS = 16


class Digits(ArraySource):
    """scikit-learn's `load_digits`: ten classes, 8x8 grey pixels; a stratified fifth is the test part."""

    name = "digits"
    classes = tuple(str(digit) for digit in range(10))
    in_channels = 1
    side = 8
    parts = ("train", "test")
    mirror_safe = False

    @property
    def fingerprint(self) -> str:
        """The same for everybody: the digits have never changed."""
        return self.content_key("train")

    def content_key(self, part: Part) -> str:
        """What decides the part; with it, a worker need not import scikit-learn."""
        return f"scikit-learn digits, {part}, held out {_TEST_SHARE} by seed {_TEST_SEED}"

    def read(self, part: Part) -> tuple[NDArray[np.uint8], IntArray]:
        """The digits, scaled to 0 to 255."""
        from sklearn.datasets import load_digits  # seconds to import, and only needed here

        digits = load_digits()
        train, test = hold_out(digits.target.astype(np.int64), share=_TEST_SHARE, seed=_TEST_SEED)
        rows = train if part == "train" else test
        pixels = np.round(digits.images[rows, None] * (255 / _LEVELS)).astype(np.uint8)
        return pixels, digits.target[rows].astype(np.int64)
