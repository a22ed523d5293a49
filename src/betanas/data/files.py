"""Labelled image files on disk: found and counted, not yet read."""

from __future__ import annotations

import errno
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from betanas.blueprint import IntArray
from betanas.files import open_regular

# The fingerprint holds the beginnings of this number of files, evenly spaced: enough to notice that all of them were
# rewritten in a format where sizes stay the same (BMP, PPM), in a few milliseconds.
_SAMPLED_FILES, _SAMPLED_BYTES = 64, 1 << 16


# A file that is larger is no image; reading it would take the memory.
LARGEST_BYTES = 1 << 30


class FoundImage(NamedTuple):
    """An encoded image on disk.

    Attributes:
        path: of its file, relative to the source's folder, with slashes.
        size: bytes; 0 where the file cannot be looked at (a link to nowhere).
        modified: when the file last changed, in ns.
        offset: where in the file it begins; -1 where the file is the image.
    """

    path: str
    size: int
    modified: int
    offset: int = -1


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """The encoded images of one part, as arrays: millions of them stay small and cheap to hand to a worker.

    Attributes:
        root: the source's folder.
        paths: file names relative to it as the file system spells them, shape [n].
        labels, sizes, modified, offsets: int64, shape [n]; see `FoundImage`.
    """

    root: Path
    paths: NDArray[np.bytes_]
    labels: IntArray
    sizes: IntArray
    modified: IntArray
    offsets: IntArray

    @classmethod
    def of(cls, root: Path, found: Sequence[FoundImage], labels: Sequence[int]) -> ImageFiles:
        """Arrays of what was found, in an order that does not depend on the machine: by label, then by name."""
        order = sorted(range(len(found)), key=lambda i: (labels[i], *sort_key(found[i].path), found[i].offset))
        ordered = [found[i] for i in order]

        def column(values: Iterable[int]) -> IntArray:
            return np.fromiter(values, dtype=np.int64, count=len(ordered))

        return cls(
            root=root,
            paths=np.array([os.fsencode(image.path) for image in ordered], dtype=np.bytes_),
            labels=column(labels[i] for i in order),
            sizes=column(image.size for image in ordered),
            modified=column(image.modified for image in ordered),
            offsets=column(image.offset for image in ordered),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """An image's file for a message."""
        name = printable(os.fsdecode(bytes(self.paths[index])))
        return name if self.offsets[index] < 0 else f"{name} at byte {self.offsets[index]:,}"

    def read(self, index: int, limit: int | None = None) -> bytes:
        """An encoded image, or its first `limit` bytes.

        Raises:
            OSError: the file cannot be read, is a pipe or a device, or is larger than any image.
        """
        offset = int(self.offsets[index])
        size = LARGEST_BYTES + 1 if offset < 0 else int(self.sizes[index])
        if limit is not None:
            size = min(size, limit)
        with open_regular(Path(self.root, os.fsdecode(bytes(self.paths[index])))) as file:
            if offset > 0:
                file.seek(offset)
            content = file.read(size)
        if len(content) > LARGEST_BYTES:
            raise OSError(errno.EFBIG, "It is too large for an image", self.name(index))
        return content

    @cached_property
    def fingerprint(self) -> str:
        """Digest of names, sizes, labels and a sample of the contents.

        Of no times and no absolute path, so that a copy of the folder on another machine has the same.
        """
        digest = hashlib.sha256(self.labels.astype("<i8").tobytes())
        digest.update(self.offsets.astype("<i8").tobytes())
        digest.update(self.sizes.astype("<i8").tobytes())
        for path in self.paths:
            digest.update(_encode(normal_form(os.fsdecode(bytes(path)))) + b"\0")
        for index in np.unique(np.linspace(0, len(self) - 1, _SAMPLED_FILES, dtype=np.int64)) if len(self) else ():
            try:
                digest.update(self.read(int(index), _SAMPLED_BYTES))
            except OSError:
                digest.update(b"unreadable")
        return digest.hexdigest()

    @cached_property
    def content_key(self) -> str:
        """The fingerprint with the files' times: what was decoded from them is good as long as it is the same."""
        return f"{self.fingerprint} {hashlib.sha256(self.modified.tobytes()).hexdigest()}"


def normal_form(name: str) -> str:
    """A name whose accents are composed: macOS writes them apart, so one folder copied from there would differ."""
    return unicodedata.normalize("NFC", name)


def sort_key(name: str) -> tuple[bytes, bytes]:
    """Orders names alike on every system and in every locale."""
    encoded = _encode(name)
    return (encoded if name.isascii() else _encode(normal_form(name))), encoded


def printable(name: str) -> str:
    """A name that can be written anywhere: bytes that are no text become escapes."""
    return _encode(normal_form(name)).decode("utf-8", "backslashreplace")


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
