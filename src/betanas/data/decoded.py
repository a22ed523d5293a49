"""Decoded images as arrays: what sources read and the cache keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from betanas.blueprint import IntArray
from betanas.data.images import ImageSet


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images of one part of a source, without those that could not be read.

    Attributes:
        images: uint8, shape [n, channels, side, side]; perhaps mapped from a file.
        labels: int64, shape [n].
        positions: int64, shape [n], ascending: where each image stands in the part's listing. Numbers are missing where
            images could not be read.
        broken: what could not be read: each file's name with the reason in brackets.
    """

    images: NDArray[np.uint8]
    labels: IntArray
    positions: IntArray
    broken: tuple[str, ...] = ()

    @classmethod
    def whole(cls, images: NDArray[np.uint8], labels: IntArray) -> Decoded:
        """A part none of whose images is broken."""
        return cls(images, labels, np.arange(len(labels), dtype=np.int64))

    def image_set(self, positions: IntArray | None = None) -> ImageSet:
        """The images as tensors: all of them without a copy, or those at some positions of the listing."""
        if positions is None:
            return ImageSet(torch.from_numpy(self.images), torch.from_numpy(self.labels))
        rows = np.flatnonzero(np.isin(self.positions, positions))
        return ImageSet(torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows]))
