"""Finding image files and class folders in a tree that people, cameras and operating systems have written to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from betanas.data.decoding import IMAGE_SUFFIXES
from betanas.data.files import FoundImage, sort_key
from betanas.errors import DataError

# Left by macOS archives, network storage, Windows, Linux and Python; names that begin with a dot are left out too.
_NOT_OURS = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__"))


@dataclass(frozen=True)
class Tree:
    """What lies below a folder.

    Attributes:
        images: files that bear an image's suffix.
        others: number of visible files that do not.
    """

    images: tuple[FoundImage, ...]
    others: int


def list_visible(folder: Path) -> list[os.DirEntry[str]]:
    """A folder's entries but the hidden ones, by name.

    Raises:
        DataError: it cannot be listed.
    """
    return sorted(_list_unsorted(folder), key=lambda entry: sort_key(entry.name))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link in a circle is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_image_name(name: str) -> bool:
    """Whether a file's name is an image's."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def find_images(folder: Path, root: Path, *, nested: bool = True) -> Tree:
    """The images in a folder and, unless told otherwise, in the folders within it, in no particular order.

    Links are followed; a folder that is reached twice (a link to a folder above it) is read once.

    Args:
        folder: where to look.
        root: what paths are relative to.
        nested: whether to look into folders.

    Raises:
        DataError: a folder cannot be listed.
    """
    images: list[FoundImage] = []
    others = 0
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        prefix = current.relative_to(root).as_posix() + "/"
        folders: list[Path] = []
        for entry in _list_unsorted(current):
            if is_folder(entry):
                folders.append(Path(entry.path))
            elif is_image_name(entry.name):
                images.append(_found(entry, "" if prefix == "./" else prefix))
            else:
                others += 1
        if nested:
            waiting.extend(sorted(folders, key=lambda path: sort_key(path.name), reverse=True))
    return Tree(tuple(images), others)


def _list_unsorted(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _NOT_OURS]
    except OSError as error:
        raise DataError(f"A data folder must be readable: {error.strerror or error}.", value=str(folder)) from error


def look_at(root: Path, path: str) -> FoundImage:
    """A file whose path, relative to the root, is known; it need not be there, as reading it will say so."""
    try:
        status = (root / path).stat()
    except OSError:
        return FoundImage(path, 0, 0)
    return FoundImage(path, status.st_size, status.st_mtime_ns)


def _found(entry: os.DirEntry[str], prefix: str) -> FoundImage:
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere: reading it will say so
        return FoundImage(prefix + entry.name, 0, 0)
    return FoundImage(prefix + entry.name, status.st_size, status.st_mtime_ns)
