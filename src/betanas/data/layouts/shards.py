"""A folder of tar shards in WebDataset's convention: `000000.jpg` and `000000.cls` side by side in `train-0000.tar`.

A tar file's members lie uncompressed in it, so that an image is read like a file: at its place, in any order.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from betanas.data.cache import remembered
from betanas.data.file_source import FileIndex
from betanas.data.files import FoundImage, ImageFiles, sort_key
from betanas.data.layouts.class_folders import PART_NAMES
from betanas.data.source import Part
from betanas.data.walking import is_folder, is_image_name, list_visible, look_at
from betanas.errors import DataError

_CLASS_NAMES = "classes.txt"


@dataclass(frozen=True)
class _Sample:
    """An image in a shard and what its .cls file says."""

    image: FoundImage
    label: str


def recognises(root: Path) -> bool:
    """Whether there are tar files, in the folder itself or in that of its training part."""
    folders = [Path(entry.path) for entry in list_visible(root) if is_folder(entry)]
    training = [folder for folder in folders if PART_NAMES.get(folder.name.casefold()) == "train"]
    return any(_is_shard(entry.name) for folder in (root, *training) for entry in list_visible(folder))


def index(root: Path) -> FileIndex:
    """Find the images in the shards.

    The part is a folder's name (`train`, `val`, `test`) or a word of the shard's; without one, a shard is of the
    training part. Labels are the texts of the .cls files: whole numbers in their order, or names. Line n of a
    `classes.txt` names number n.

    Raises:
        DataError: a shard is damaged, an image has no label, or there are no shards to train on.
    """
    shards = _shards(root)
    if "train" not in shards:
        raise DataError(
            "There must be shards to train on.", value=str(root), hint="Name them train-0000.tar and so on."
        )
    train = _samples(root, shards["train"])
    labels = sorted(
        {sample.label for sample in train}, key=lambda label: (int(label) if label.isdecimal() else -1, label)
    )
    validation = _files(root, _samples(root, shards["validation"]), labels) if "validation" in shards else None
    find_test = partial(_find_test, root, tuple(shards["test"]), tuple(labels)) if "test" in shards else None
    return FileIndex(_names(root, labels), _files(root, train, labels), validation, find_test)


def _find_test(root: Path, shards: Sequence[str], labels: Sequence[str]) -> ImageFiles:
    return _files(root, _samples(root, shards), labels)


def _is_shard(name: str) -> bool:
    return name.endswith(".tar")


def _shards(root: Path) -> dict[Part, list[str]]:
    """Paths of shards, relative to the root, by part."""
    found: dict[Part, list[str]] = {}
    for entry in list_visible(root):
        if is_folder(entry):
            part = PART_NAMES.get(entry.name.casefold())
            if part is not None:
                inner = [shard.name for shard in list_visible(Path(entry.path)) if _is_shard(shard.name)]
                found.setdefault(part, []).extend(f"{entry.name}/{name}" for name in inner)
        elif _is_shard(entry.name):
            words = re.split(r"[^a-z]+", entry.name.casefold())
            named = [PART_NAMES[word] for word in words if word in PART_NAMES]
            found.setdefault(named[0] if named else "train", []).append(entry.name)
    return {part: shards for part, shards in found.items() if shards}


def _samples(root: Path, shards: Sequence[str]) -> list[_Sample]:
    """The samples of all shards; reading every header of a large shard takes seconds, hence remembered."""
    samples = []
    for shard in shards:
        file = look_at(root, shard)
        key = {"question": "samples", "of": [str(root), file.path, file.size, file.modified]}
        samples += [
            _Sample(FoundImage(shard, size, file.modified, offset), label)
            for offset, size, label in remembered(key, partial(_scan, root / shard))
        ]
    return samples


def _scan(shard: Path) -> list[tuple[int, int, str]]:
    """Place, size and label of every image in a shard."""
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                key, _, extension = name.partition(".")
                if not member.isfile() or not key:
                    continue
                if extension == "cls":
                    content = tar.extractfile(member)
                    labels[f"{folder}/{key}"] = content.read().decode("utf-8").strip() if content else ""
                elif is_image_name(f".{extension}") or is_image_name(name):
                    images.setdefault(f"{folder}/{key}", (member.offset_data, member.size))
    except (tarfile.TarError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"A shard must be a readable tar file: {error}.", value=str(shard)) from error
    without = sorted(images.keys() - labels.keys(), key=sort_key)
    if without:
        raise DataError(
            "Every image in a shard must have a label beside it, in a file of the same name that ends in .cls.",
            value=f"{without[0].lstrip('/')} in {shard}",
        )
    return [(*place, labels[key]) for key, place in images.items()]


def _files(root: Path, samples: Sequence[_Sample], labels: Sequence[str]) -> ImageFiles:
    numbers = {label: number for number, label in enumerate(labels)}
    unknown = sorted({sample.label for sample in samples} - numbers.keys())
    if unknown:
        raise DataError("All shards must have labels of the training shards.", value=", ".join(unknown[:20]))
    return ImageFiles.of(root, [sample.image for sample in samples], [numbers[sample.label] for sample in samples])


def _names(root: Path, labels: Sequence[str]) -> tuple[str, ...]:
    path = root / _CLASS_NAMES
    if not path.is_file():
        return tuple(labels)
    names = path.read_text(encoding="utf-8").splitlines()
    if not all(label.isdecimal() and int(label) < len(names) for label in labels):
        raise DataError(
            f"Line n of {_CLASS_NAMES} must name class n, counted from 0.",
            value=f"{len(names)} lines for the labels {labels[0]} to {labels[-1]}",
        )
    return tuple(names[int(label)] for label in labels)
