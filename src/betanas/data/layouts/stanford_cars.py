"""Stanford Cars with its development kit, as torchvision arranges it, or with the older `cars_annos.mat`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from betanas.data.file_source import FileIndex
from betanas.data.files import FoundImage, ImageFiles
from betanas.data.walking import look_at
from betanas.errors import DataError

_META = Path("devkit", "cars_meta.mat")
_TRAIN = Path("devkit", "cars_train_annos.mat")
_TEST = ("cars_test_annos_withlabels.mat", "devkit/cars_test_annos_withlabels.mat")
_OLD = "cars_annos.mat"


def recognises(root: Path) -> bool:
    """Whether the annotations are there."""
    return (root / _META).is_file() or (root / _OLD).is_file()


def index(root: Path) -> FileIndex:
    """Find Stanford Cars' images. Bounding boxes are not used: the whole picture is.

    Raises:
        DataError: an annotation file is missing or damaged.
    """
    if not (root / _META).is_file():
        return _index_old(root)
    classes = _names(_read(root / _META, "class_names"))
    train = _list(root, "cars_train", _read(root / _TRAIN, "annotations"))
    labelled = next((root / name for name in _TEST if (root / name).is_file()), None)
    if labelled is None:
        note = f"The labels of cars_test ({_TEST[0]}) are not there, so it is left out."
        return FileIndex(classes, train, notes=(note,))
    return FileIndex(classes, train, find_test=partial(_find_test, root, labelled))


def _find_test(root: Path, annotations: Path) -> ImageFiles:
    return _list(root, "cars_test", _read(annotations, "annotations"))


def _list(root: Path, folder: str, annotations: Any) -> ImageFiles:
    return _files(root, [f"{folder}/{name}" for name in annotations["fname"]], annotations["class"])


def _index_old(root: Path) -> FileIndex:
    classes = _names(_read(root / _OLD, "class_names"))
    annotations = _read(root / _OLD, "annotations")
    return FileIndex(classes, _old_part(root, annotations, test=False), find_test=partial(_find_old_test, root))


def _find_old_test(root: Path) -> ImageFiles:
    return _old_part(root, _read(root / _OLD, "annotations"), test=True)


def _old_part(root: Path, annotations: Any, *, test: bool) -> ImageFiles:
    rows = np.flatnonzero(annotations["test"].astype(np.int64) == int(test))
    return _files(root, annotations["relative_im_path"][rows], annotations["class"][rows])


def _files(root: Path, paths: Iterable[str], numbers: Iterable[int]) -> ImageFiles:
    found: list[FoundImage] = [look_at(root, str(path)) for path in paths]
    return ImageFiles.of(root, found, [int(number) - 1 for number in numbers])


def _names(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _read(path: Path, variable: str) -> Any:
    try:
        return loadmat(path, squeeze_me=True)[variable]
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(
            f"Stanford Cars' annotations must be readable: {error}.",
            value=str(path),
            hint="Unpack car_devkit.tgz again.",
        ) from error
