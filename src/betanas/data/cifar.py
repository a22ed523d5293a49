"""CIFAR-10 and CIFAR-100 as torchvision reads and downloads them."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from betanas.blueprint import IntArray
from betanas.data.arrays import ArraySource
from betanas.data.cache import remembered
from betanas.data.places import DATA_VARIABLE, data_places, download_place
from betanas.data.source import Part
from betanas.errors import DataError

# Without it a download waits for ever on a network that swallows packets.
_NETWORK_PATIENCE_SECONDS = 20


class _CIFAR(ArraySource):
    in_channels = 3
    side = 32
    parts = ("train", "test")
    dataset: ClassVar[Any]

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        folder = self.dataset.base_folder
        places = data_places(root)
        self._place = next((place for place in places if (place / folder).is_dir()), None) or self._download(root)
        # They come with the images, and reading those takes a while.
        key = {"question": "classes", "of": self.dataset.meta["md5"]}
        self.classes = tuple(remembered(key, lambda: list(self._open("train").classes)))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the training files' own digests, which torchvision checks when it reads them."""
        return self.content_key("train")

    def content_key(self, part: Part) -> str:
        """Digest of the part's files' own digests."""
        files = self.dataset.train_list if part == "train" else self.dataset.test_list
        return hashlib.sha256(" ".join(digest for _, digest in files).encode()).hexdigest()

    def read(self, part: Part) -> tuple[NDArray[np.uint8], IntArray]:
        """The part's files."""
        dataset = self._open(part)
        return dataset.data.transpose(0, 3, 1, 2), np.asarray(dataset.targets, dtype=np.int64)

    def _open(self, part: Part) -> Any:
        try:
            return self.dataset(self._place, train=part == "train")
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{self.dataset.__name__}'s files must be complete and as published.",
                value=str(self._place / self.dataset.base_folder),
                hint=f"Remove that folder, then {self._where(self._place)}.",
            ) from error

    def _download(self, root: Path | None) -> Path:
        place = download_place(root)
        try:
            place.mkdir(parents=True, exist_ok=True)
            with _network_patience():
                self.dataset(place, download=True)
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{self.dataset.__name__} is not on this machine and cannot be downloaded: {error}.",
                hint=f"On a machine with a network {self._where(place)}.",
            ) from error
        return place

    def _where(self, place: Path) -> str:
        dataset = self.dataset
        return (
            f"download {dataset.url} and unpack it so that {place / dataset.base_folder} exists, or set "
            f"{DATA_VARIABLE} to the folder that holds {dataset.base_folder}"
        )


class CIFAR10(_CIFAR):
    """50,000 + 10,000 colour photographs of 10 classes, 32x32."""

    name = "cifar10"
    dataset = datasets.CIFAR10


class CIFAR100(_CIFAR):
    """50,000 + 10,000 colour photographs of 100 classes, 32x32."""

    name = "cifar100"
    dataset = datasets.CIFAR100


@contextmanager
def _network_patience() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
