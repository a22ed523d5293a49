"""Fashion-MNIST from the IDX files that torchvision and Debian's dataset-fashion-mnist install."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import cached_property
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from betanas.blueprint import IntArray
from betanas.data.arrays import ArraySource
from betanas.data.places import data_places
from betanas.data.source import Part
from betanas.errors import DataError

_PREFIXES = {"train": "train", "test": "t10k"}
_FOLDERS = ("", "FashionMNIST/raw", "fashion-mnist")

# The third byte says unsigned bytes, the fourth how many dimensions.
_UINT8 = 0x08


class FashionMNIST(ArraySource):
    """Zalando's 60,000 + 10,000 grey pictures of clothes, 28x28."""

    name = "fashion-mnist"
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    in_channels = 1
    side = 28
    parts = ("train", "test")

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._folder = _find_folder(root)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the training images' beginning and all training labels."""
        return self.content_key("train")

    def content_key(self, part: Part) -> str:
        """Digest of the part's labels and of its images' beginning."""
        digest = hashlib.sha256(read_idx(self._file(part, "labels-idx1-ubyte")).tobytes())
        with _open(self._file(part, "images-idx3-ubyte")) as file:
            digest.update(file.read(1 << 20))
        return digest.hexdigest()

    def read(self, part: Part) -> tuple[NDArray[np.uint8], IntArray]:
        """The two files of a part."""
        images = read_idx(self._file(part, "images-idx3-ubyte"))
        labels = read_idx(self._file(part, "labels-idx1-ubyte"))
        if images.ndim != 3 or labels.ndim != 1:
            raise DataError("Fashion-MNIST must be images and labels in IDX files.", value=str(self._folder))
        return images[:, None], labels.astype(np.int64)

    def _file(self, part: Part, kind: str) -> Path:
        found = _find_file(self._folder, f"{_PREFIXES[part]}-{kind}")
        if found is None:
            raise DataError(
                "Fashion-MNIST must be complete.", value=f"no {_PREFIXES[part]}-{kind} in {self._folder}", hint=_WHERE
            )
        return found


_WHERE = (
    "Install Debian's package dataset-fashion-mnist, or put the four IDX files, with .gz or without, into a folder and "
    "set BETANAS_DATA to it."
)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed or not.

    Raises:
        DataError: it is damaged or of another kind.
    """
    try:
        with _open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"An IDX file must be readable: {error}.", value=str(path), hint=_WHERE) from error
    dimensions = content[3] if len(content) >= 4 else 0
    if len(content) < 4 * (1 + dimensions) or content[:3] != bytes((0, 0, _UINT8)):
        raise DataError("An IDX file of images or labels must begin as one.", value=str(path), hint=_WHERE)
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=dimensions, offset=4))
    values = np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions))
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"An IDX file must hold the {' x '.join(map(str, shape))} bytes it states.",
            value=f"{values.size:,} bytes in {path}",
            hint=_WHERE,
        )
    return values.reshape(shape)


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _find_folder(root: Path | None) -> Path:
    for place in data_places(root):
        for folder in (place / name for name in _FOLDERS):
            if _find_file(folder, "train-images-idx3-ubyte"):
                return folder
    raise DataError("Fashion-MNIST's files must be on this machine.", value="none found", hint=_WHERE)


def _find_file(folder: Path, name: str) -> Path | None:
    candidates = (folder / f"{name}{suffix}" for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)
