"""Sources whose images are arrays already."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torchvision.transforms.v2 import functional as transforms

from betanas.blueprint import IntArray
from betanas.data.decoded import Decoded
from betanas.data.source import DataSource, Part, roomy_side
from betanas.errors import DataError


class ArraySource(DataSource):
    """A source that reads whole arrays.

    A subclass says what it holds and reads it:

        @register_source
        class Sketches(ArraySource):
            name, classes, in_channels, side = "sketches", ("cat", "dog"), 1, 64
            parts = ("train", "test")

            def read(self, part):
                arrays = np.load(f"sketches-{part}.npz")
                return arrays["images"], arrays["labels"]

    Attributes:
        classes: class names in label order.
        in_channels: 1 or 3.
        side: short side of the images, in pixels.
        parts: the parts it has.
    """

    classes: tuple[str, ...] = ()
    in_channels: int = 3
    side: int
    parts: tuple[Part, ...] = ("train",)

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._held: dict[Part, tuple[NDArray[np.uint8], IntArray]] = {}

    @abstractmethod
    def read(self, part: Part) -> tuple[ArrayLike, ArrayLike]:
        """Images, uint8 of shape [n, in_channels, height, width], and labels, integers of shape [n]."""

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the classes and of everything but the test part."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for part in self.search_parts:
            images, labels = self._arrays(part)
            digest.update(f"\0{part} {images.shape}".encode())
            digest.update(images.tobytes())
            digest.update(labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def labels(self, part: Part) -> IntArray:
        """Labels of a part, int64 of shape [n]."""
        self.check_part(part)
        if self.content_key(part) is not None:
            return self.decoded(part, self.side).labels
        return self._arrays(part)[1]

    def stored_side(self, resolution: int) -> int:
        """The images' own side, or the training resolution with room for random crops where that is less."""
        return min(roomy_side(resolution), self.side)

    def decode(self, part: Part, side: int, on_progress: Callable[[int, int], None] | None = None) -> Decoded:
        """Read a part; scale it and cut out the centre where it is not of the side asked for."""
        images, labels = self._arrays(part)
        if images.shape[2:] != (side, side):
            scaled = transforms.resize(torch.from_numpy(images), [side], antialias=True)
            images = transforms.center_crop(scaled, [side, side]).numpy()
        return Decoded.whole(images, labels)

    def _arrays(self, part: Part) -> tuple[NDArray[np.uint8], IntArray]:
        """What `read` gave, checked; held, as it is asked for several times, unless it is kept on disk."""
        if part in self._held:
            return self._held[part]
        raw_images, raw_labels = self.read(part)
        images, labels = np.asarray(raw_images), np.asarray(raw_labels)
        where = f"{self.name} ({part})"
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != self.in_channels:
            raise DataError(
                f"Images of {where} must be uint8 of shape [n, {self.in_channels}, height, width].",
                value=f"{images.dtype} of shape {list(images.shape)}",
            )
        if min(images.shape[2:]) != self.side:
            raise DataError(
                f"Images of {where} must have the short side that the source states, {self.side}.",
                value=min(images.shape[2:]),
            )
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DataError(
                f"Labels of {where} must be whole numbers, one for each of {len(images):,} images.",
                value=f"{labels.dtype} of shape {list(labels.shape)}",
            )
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.classes)):
            raise DataError(
                f"Labels of {where} must lie between 0 and {len(self.classes) - 1}, one for each class.",
                value=f"{labels.min()} to {labels.max()}",
            )
        checked = np.require(images, requirements=("C", "W")), labels.astype(np.int64)
        if self.content_key(part) is None:
            self._held[part] = checked
        return checked
