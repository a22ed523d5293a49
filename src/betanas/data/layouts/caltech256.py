"""Caltech-256 as it is published: `256_ObjectCategories/001.ak47/*.jpg`."""

from __future__ import annotations

import re
from pathlib import Path

from betanas.data.file_source import FileIndex
from betanas.data.layouts.class_folders import find_classes, folder_names

_FOLDER = "256_ObjectCategories"
_CATEGORY = re.compile(r"\d{3}\.(.+)")
_CLUTTER = "257.clutter"


def recognises(root: Path) -> bool:
    """Whether the folder, or its 256_ObjectCategories, holds numbered categories alone."""
    names = folder_names(_base(root))
    return bool(names) and all(map(_CATEGORY.fullmatch, names))


def index(root: Path) -> FileIndex:
    """Find Caltech-256's images. There is no test part.

    `257.clutter`, pictures of anything else, is no class. Folders within a category are copies and are not read.

    Raises:
        DataError: a category is empty.
    """
    found = find_classes(_base(root), root, nested=False, but=(_CLUTTER,))
    notes = (f"{_CLUTTER} is no class and is left out.",) if (_base(root) / _CLUTTER).is_dir() else ()
    return FileIndex(tuple(name.split(".", 1)[1] for name in found.names), found.files, notes=notes)


def _base(root: Path) -> Path:
    return root / _FOLDER if (root / _FOLDER).is_dir() else root
