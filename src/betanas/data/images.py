"""Images in memory: what every data source gives and every trial trains on, unless they are streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from betanas.errors import DataError


class Images(Protocol):
    """Labelled images, in memory (`ImageSet`) or on disk (`StreamedImages`), as training asks for them."""

    @property
    def labels(self) -> Tensor:
        """int64, shape [n]."""
        ...

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the images: (n, channels, side, side)."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: Tensor) -> Images:
        """The images at the given indices (int64, shape [m])."""
        ...

    def batches(self, order: Iterable[Tensor], *, device: torch.device | str) -> Iterator[ImageSet]:
        """The batches that an order asks for, each a tensor of indices, on a device."""
        ...


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

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the images: (n, channels, side, side)."""
        n, channels, height, width = self.images.shape
        return n, channels, height, width

    def to(self, device: torch.device | str) -> ImageSet:
        """The same images on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> ImageSet:
        """The images at the given indices (int64, shape [m])."""
        return ImageSet(self.images[indices], self.labels[indices])

    def batches(self, order: Iterable[Tensor], *, device: torch.device | str) -> Iterator[ImageSet]:
        """The batches that an order asks for.

        Args:
            order: indices into these images, a tensor (int64) for each batch; it may be endless.
            device: the batches are put on.
        """
        for indices in order:
            yield self.subset(indices.to(self.images.device, non_blocking=True)).to(device)


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
