"""What a data source holds, seen before anything is chosen: counts, classes, sizes, channels, unreadable files."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np

from betanas.data import DataSource
from betanas.data.names import list_names
from betanas.quantities import MAX_RESOLUTION

# Image files whose headers are read, evenly spaced: enough for a median, and a second's work from a slow disk.
_HEADERS = 400

# Classes are called balanced while the largest has less than this many times the images of the smallest.
_BALANCED = 1.5


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        name: of the source: a name or a path.
        classes: their names, in label order.
        counts: training images of each class.
        validation, test: images of those parts; 0 where there is no such part.
        sides: the smallest, the median and the largest short side, in pixels, of the images that were looked at.
        channels: 1 for grey, 3 for colour.
        looked_at: image files whose headers were read; 0 for a source without files.
        unreadable: those of them that no decoder knows.
        notes: what the source itself has to say.
    """

    name: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    validation: int
    test: int
    sides: tuple[int, int, int]
    channels: int
    looked_at: int = 0
    unreadable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def train(self) -> int:
        """Images to train on and, where no validation part is given, to hold some of them out of."""
        return sum(self.counts)

    @property
    def typical_side(self) -> int:
        """The median short side, in pixels."""
        return self.sides[1]


def look_at(source: DataSource) -> Look:
    """Look at a source; no image is decoded.

    Raises:
        DataError: an image is too large to be decoded.
    """
    counts = np.bincount(source.labels("train"), minlength=len(source.classes))
    sides, unreadable, looked_at = _headers(source)
    return Look(
        name=source.name,
        classes=tuple(source.classes),
        counts=tuple(int(count) for count in counts),
        validation=source.size("validation"),
        test=source.size("test"),
        sides=(min(sides), round(median(sides)), max(sides)),
        channels=source.in_channels,
        looked_at=looked_at,
        unreadable=tuple(unreadable),
        notes=tuple(source.notes),
    )


def _headers(source: DataSource) -> tuple[list[int], list[str], int]:
    """Short sides, names of unreadable files, and how many files were looked at."""
    from betanas.data.decoding import UnreadableImageError, inspect_image
    from betanas.data.file_source import FileSource

    if not isinstance(source, FileSource):
        return [source.stored_side(MAX_RESOLUTION)], [], 0
    files, sides, unreadable = source.files("train"), list[int](), list[str]()
    places = np.unique(np.linspace(0, len(files) - 1, _HEADERS, dtype=np.int64))
    for place in places:
        try:
            sides.append(inspect_image(files.read(int(place)))[0])
        except (UnreadableImageError, OSError):
            unreadable.append(files.name(int(place)))
    return sides or [1], unreadable, len(places)


def words(look: Look) -> tuple[str, ...]:
    """What was seen, in sentences."""
    smallest, typical, largest = look.sides
    size = f"{typical} pixels" if smallest == largest else f"{smallest} to {largest} pixels, median {typical}"
    said = [
        f"{look.train:,} images of {len(look.classes)} classes, {'grey' if look.channels == 1 else 'colour'}, "
        f"short side {size}.",
        _balance(look),
    ]
    if look.unreadable:
        said.append(
            f"{len(look.unreadable)} of {look.looked_at:,} files looked at cannot be read: "
            f"{list_names(look.unreadable)}."
        )
    said.append(
        f"{look.test:,} test images judge the model once, at the end."
        if look.test
        else "There is no test part: the accuracy on held-out validation images is what will be known."
    )
    return tuple(said) + look.notes


def is_balanced(look: Look) -> bool:
    """Whether the classes have about the same number of images."""
    return max(look.counts) < _BALANCED * min(look.counts)


def _balance(look: Look) -> str:
    low, high = min(look.counts), max(look.counts)
    if is_balanced(look):
        return f"The classes are balanced: {low:,} to {high:,} images each." if low != high else f"{low:,} images each."
    fewest, most = look.classes[look.counts.index(low)], look.classes[look.counts.index(high)]
    return f"The classes are not balanced: {fewest} has {low:,} images, {most} has {high:,}."
