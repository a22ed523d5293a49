"""Which layout a folder is in."""

from __future__ import annotations

from pathlib import Path

from betanas.data.file_source import FileSource
from betanas.data.layouts import caltech256, class_folders, imagenet, open_images, shards, stanford_cars

# The first that recognises the folder is taken; class folders are what remains.
_LAYOUTS = (shards, stanford_cars, open_images, caltech256, imagenet, class_folders)


def open_folder(root: Path) -> FileSource:
    """The images in a folder.

    Raises:
        DataError: the folder does not hold what its layout requires.
    """
    layout = next(layout for layout in _LAYOUTS if layout.recognises(root))
    return FileSource(root, layout.index(root))
