"""Images in files, whatever the layout: a layout finds them, this decodes and keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from betanas.blueprint import IntArray
from betanas.data.cache import remembered
from betanas.data.decoded import Decoded
from betanas.data.decoding import UnreadableImageError, inspect_image
from betanas.data.files import ImageFiles
from betanas.data.loading import decode_files
from betanas.data.source import DataSource, Part, roomy_side


@dataclass(frozen=True)
class FileIndex:
    """What a layout found.

    Attributes:
        classes: class names in label order.
        train: the training images.
        validation: images given for validation, where the user has set some apart.
        find_test: finds the test images; None where there are none. Called by nothing a search does.
        notes: what the user should know, in sentences.
    """

    classes: tuple[str, ...]
    train: ImageFiles
    validation: ImageFiles | None = None
    find_test: Callable[[], ImageFiles] | None = None
    notes: tuple[str, ...] = ()


class FileSource(DataSource):
    """Images in files below a folder."""

    def __init__(self, root: Path, index: FileIndex) -> None:
        super().__init__(root)
        self.name = str(root)
        self._index = index
        self._test: ImageFiles | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self._index.classes

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts the layout found."""
        index = self._index
        validation: tuple[Part, ...] = ("validation",) if index.validation is not None else ()
        test: tuple[Part, ...] = ("test",) if index.find_test is not None else ()
        return ("train", *validation, *test)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the layout has to say."""
        return self._index.notes

    @cached_property
    def in_channels(self) -> int:
        """1 where every training image is stored as grey, otherwise 3."""
        grey = remembered(
            {"question": "all grey", "of": self.content_key("train")},
            lambda: all(grey for _, grey in self._headers()),
        )
        return 1 if grey else 3

    @cached_property
    def fingerprint(self) -> str:
        """Digest of names, sizes and a sample of the contents of all images but the test part's."""
        digest = hashlib.sha256("\0".join(self.classes).encode())
        for part in self.search_parts:
            digest.update(f"\0{part} {self.files(part).fingerprint}".encode())
        return digest.hexdigest()

    def content_key(self, part: Part) -> str:
        """The part's own digest, with the files' times."""
        return self.files(part).content_key

    def files(self, part: Part) -> ImageFiles:
        """The files of a part.

        Raises:
            DataError: there is no such part.
        """
        self.check_part(part)
        index = self._index
        if part == "test" and index.find_test is not None:
            if self._test is None:
                self._test = index.find_test()
            return self._test
        return index.validation if part == "validation" and index.validation is not None else index.train

    def labels(self, part: Part) -> IntArray:
        """Labels of a part, int64 of shape [n]."""
        return self.files(part).labels

    def stored_side(self, resolution: int) -> int:
        """The training resolution with room for random crops, or the largest image's short side where that is less.

        So images of one small size stay exactly as they are.
        """
        roomy = roomy_side(resolution)

        def largest_up_to_roomy() -> int:
            largest = 1
            for side, _ in self._headers():
                largest = max(largest, side)
                if largest >= roomy:
                    return roomy
            return largest

        return remembered({"question": "side", "roomy": roomy, "of": self.content_key("train")}, largest_up_to_roomy)

    def decode(self, part: Part, side: int, on_progress: Callable[[int, int], None] | None = None) -> Decoded:
        """Decode a part on all cores."""
        where = f"{self.name} ({part})"
        return decode_files(
            self.files(part), side=side, channels=self.in_channels, where=where, on_progress=on_progress
        )

    def _headers(self) -> Iterator[tuple[int, bool]]:
        """Short side and greyness of the training images that have a readable header."""
        files = self._index.train
        for index in range(len(files)):
            try:
                yield inspect_image(files.read(index))
            except (UnreadableImageError, OSError):
                continue
