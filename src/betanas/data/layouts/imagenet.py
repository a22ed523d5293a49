"""ImageNet as it is published (`train/<wnid>/*.JPEG`, a flat `val`), as Kaggle packs it, and Tiny ImageNet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from scipy.io import loadmat

from betanas.data.file_source import FileIndex
from betanas.data.files import ImageFiles
from betanas.data.layouts.class_folders import find_classes, folder_names, read_part
from betanas.data.walking import find_images
from betanas.errors import DataError

_WNID = re.compile(r"n\d{8}")
_KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")

# Where the labels of a flat `val` are written down, relative to the folder that holds it or to the data folder.
_TRUTH = Path("data", "ILSVRC2012_validation_ground_truth.txt")
_META = Path("data", "meta.mat")
_DEVKITS = ("ILSVRC2012_devkit_t12", "devkit", ".")
_KAGGLE_LABELS = "LOC_val_solution.csv"
_TINY_LABELS = "val_annotations.txt"

_NOTE = (
    "val is taken as the test part, because ImageNet's test labels are not published; "
    "a search validates on a part of train."
)


def recognises(root: Path) -> bool:
    """Whether train's folders are WordNet numbers, and no labelled test part is beside it."""
    base = _base(root)
    names = folder_names(base / "train")
    return bool(names) and all(map(_WNID.fullmatch, names)) and not folder_names(base / "test", but=("images",))


def index(root: Path) -> FileIndex:
    """Find ImageNet's images. The classes are called by their WordNet numbers: their names are not unique.

    Raises:
        DataError: there are no images, or the labels of `val` are not there.
    """
    base = _base(root)
    train = find_classes(base / "train", root)
    val = base / "val"
    if not val.is_dir():
        return FileIndex(train.names, train.files)
    if folder_names(val, but=("images",)):
        find_test = partial(read_part, val, root, train.names)
    else:
        find_test = partial(_find_flat, val, root, train.names)
    return FileIndex(train.names, train.files, find_test=find_test, notes=(_NOTE,))


def _base(root: Path) -> Path:
    return root / _KAGGLE if (root / _KAGGLE).is_dir() else root


def _find_flat(val: Path, root: Path, classes: tuple[str, ...]) -> ImageFiles:
    wnids = _read_labels(val, root)
    numbers = {wnid: number for number, wnid in enumerate(classes)}
    images = find_images(val, root).images
    labels = []
    for image in images:
        name = Path(image.path).name
        wnid = wnids.get(name, wnids.get(Path(name).stem))
        if wnid not in numbers:
            raise DataError(
                "Every image of val must have a label that train has.", value=f"{image.path}: {wnid or 'no label'}"
            )
        labels.append(numbers[wnid])
    return ImageFiles.of(root, images, labels)


def _read_labels(val: Path, root: Path) -> Mapping[str, str]:
    """WordNet number by file name."""
    if (val / _TINY_LABELS).is_file():
        lines = (val / _TINY_LABELS).read_text(encoding="utf-8").splitlines()
        return dict(line.split("\t")[:2] for line in lines if line)
    if (root / _KAGGLE_LABELS).is_file():
        lines = (root / _KAGGLE_LABELS).read_text(encoding="utf-8").splitlines()
        return {name: prediction.split()[0] for name, prediction in (line.split(",") for line in lines[1:] if line)}
    for folder in (val.parent / name for name in _DEVKITS):
        if (folder / _TRUTH).is_file() and (folder / _META).is_file():
            return _read_devkit(folder)
    raise DataError(
        "The labels of ImageNet's val must be there: in class folders, or from the development kit.",
        value=f"none in {val.parent}",
        hint=f"Unpack ILSVRC2012_devkit_t12.tar.gz there, or put Kaggle's {_KAGGLE_LABELS} into {root}.",
    )


def _read_devkit(folder: Path) -> Mapping[str, str]:
    synsets = loadmat(folder / _META, squeeze_me=True)["synsets"]
    wnids = {int(number): str(wnid) for number, wnid in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)}
    truth = (folder / _TRUTH).read_text(encoding="ascii").split()
    return {f"ILSVRC2012_val_{row:08}": wnids[int(number)] for row, number in enumerate(truth, start=1)}
