"""Images in memory: what every data source gives and every trial trains on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from betanas.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Decoded images with their labels.

    Attributes:
        images: uint8, shape [n, channels, side, side]; the side is the stored one, not the training resolution.
        labels: int64, shape [n], indices into the source's classes.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError("Images must be uint8 of shape [n, channels, side, side].", value=tuple(self.images.shape))
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError("Labels must be int64, one for each image.", value=tuple(self.labels.shape))

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> ImageSet:
        """The same images on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at the given indices (int64, shape [m])."""
        return ImageSet(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Splits:
    """The training part of a source, divided. The test part is not in here: a search never reads it.

    Attributes:
        train: what trials train on.
        validation: what trials are judged on.
        classes: class names in label order.
    """

    train: ImageSet
    validation: ImageSet
    classes: tuple[str, ...]

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return int(self.train.images.shape[1])
