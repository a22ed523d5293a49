"""Open Images' image-level labels: CSV files of `ImageID,Source,LabelName,Confidence` beside folders of images.

An image has many labels there; a classifier here learns one. Labels that people have verified come before a machine's,
then the more confident, and among equals (verified labels are all of confidence 1) the one with the fewest training
images, which is the most specific: `Tabby cat` rather than `Animal`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from betanas.data.file_source import FileIndex
from betanas.data.files import FoundImage, ImageFiles
from betanas.data.source import Part
from betanas.data.walking import find_images, list_visible
from betanas.errors import DataError

_HEADER = ["ImageID", "Source", "LabelName", "Confidence"]
_PARTS: tuple[Part, ...] = ("train", "validation", "test")

# A label of fewer training images is none a network could learn; Open Images has thousands of them.
_FEWEST_IMAGES = 10


@dataclass(frozen=True, order=True)
class _Candidate:
    """A label that an image may get; the greatest is taken."""

    verified: bool
    confidence: float
    rarity: int
    label: str


@dataclass(frozen=True)
class _Labelled:
    """Images of a part that are on disk, each with what its CSV file says about it: (label, verified, confidence)."""

    images: tuple[FoundImage, ...]
    claims: Mapping[str, Sequence[tuple[str, bool, float]]]


def recognises(root: Path) -> bool:
    """Whether there is a CSV file of training labels."""
    return "train" in _label_files(root)


def index(root: Path) -> FileIndex:
    """Find the images that are on disk and have labels.

    Raises:
        DataError: there are none, or the images of a part are nowhere.
    """
    files = _label_files(root)
    labelled = _read_part(root, "train", files["train"])
    counts = Counter(label for claims in labelled.claims.values() for label, *_ in claims)
    known = {label: count for label, count in counts.items() if count >= _FEWEST_IMAGES}
    chosen = {image: _choose(claims, known) for image, claims in labelled.claims.items()}
    used = Counter(label for label in chosen.values() if label)
    labels = sorted(label for label, count in used.items() if count >= 2)
    if len(labels) < 2:
        raise DataError(
            f"At least two labels must have {_FEWEST_IMAGES} training images each.",
            value=f"{len(labels)} of {len(counts):,} in {root}",
            hint="Download more of Open Images' training images.",
        )
    known = {label: known[label] for label in labels}
    train, left_out = _assign(root, labelled, known)
    validation = None
    if "validation" in files:
        validation, _ = _assign(root, _read_part(root, "validation", files["validation"]), known)
    notes = [f"Labels with fewer than {_FEWEST_IMAGES} training images are left out: {len(counts) - len(labels):,}."]
    if left_out:
        notes.append(f"Training images without another label are left out: {left_out:,}.")
    return FileIndex(
        _names(root, labels),
        train,
        validation,
        partial(_find_test, root, files["test"], known) if "test" in files else None,
        tuple(notes),
    )


def _find_test(root: Path, files: Sequence[Path], known: Mapping[str, int]) -> ImageFiles:
    return _assign(root, _read_part(root, "test", files), known)[0]


def _label_files(root: Path) -> dict[Part, list[Path]]:
    """CSV files of labels by part: the part is in their names."""
    found: dict[Part, list[Path]] = {}
    for entry in list_visible(root):
        if entry.name.lower().endswith(".csv") and _first_row(Path(entry.path))[:4] == _HEADER:
            part = next((part for part in _PARTS if part in entry.name.lower()), _PARTS[0])
            found.setdefault(part, []).append(Path(entry.path))
    return found


def _first_row(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def _read_part(root: Path, part: Part, files: Sequence[Path]) -> _Labelled:
    places = (root / part, root / "images" / part, root / "images")
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise DataError(
            f"Open Images' {part} images must lie beside their labels.",
            value=f"no {part} in {root}",
            hint=f"Put them into {root / part}.",
        )
    by_id = {PurePosixPath(image.path).stem: image for image in find_images(folder, root).images}
    claims: dict[str, list[tuple[str, bool, float]]] = {}
    for image, label, verified, confidence in _rows(files):
        if image in by_id and confidence > 0:  # confidence 0: somebody has seen that it is not there
            claims.setdefault(image, []).append((label, verified, confidence))
    return _Labelled(tuple(image for name, image in by_id.items() if name in claims), claims)


def _rows(files: Sequence[Path]) -> Iterator[tuple[str, str, bool, float]]:
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            for row in rows:
                try:
                    image, source, label, confidence = row[:4]
                    yield image, label, "verification" in source, float(confidence)
                except ValueError as error:
                    raise DataError(
                        f"Each line of Open Images' labels must be {','.join(_HEADER)}.",
                        value=f"{','.join(row)} in {path}, line {rows.line_num}",
                    ) from error


def _choose(claims: Sequence[tuple[str, bool, float]], known: Mapping[str, int]) -> str | None:
    candidates = [
        _Candidate(verified, confidence, -known[label], label)
        for label, verified, confidence in claims
        if label in known
    ]
    return max(candidates).label if candidates else None


def _assign(root: Path, labelled: _Labelled, known: Mapping[str, int]) -> tuple[ImageFiles, int]:
    """The images with a known label, and how many have none."""
    numbers = {label: number for number, label in enumerate(sorted(known))}
    chosen = [_choose(labelled.claims[PurePosixPath(image.path).stem], known) for image in labelled.images]
    kept = [(image, numbers[label]) for image, label in zip(labelled.images, chosen, strict=True) if label]
    files = ImageFiles.of(root, [image for image, _ in kept], [number for _, number in kept])
    return files, len(chosen) - len(kept)


def _names(root: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Names from the class descriptions, where they are there and tell labels apart."""
    described: dict[str, str] = {}
    for path in sorted(root.glob("*class-descriptions*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            described |= {row[0]: row[1] for row in csv.reader(file) if len(row) >= 2}
    names = [described.get(label, label) for label in labels]
    shared = Counter(names)
    return tuple(f"{name} ({label})" if shared[name] > 1 else name for name, label in zip(names, labels, strict=True))
