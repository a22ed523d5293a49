"""`DATA/<class>/*`, and `DATA/train/<class>/*` with `test` and `val` beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from betanas.data.file_source import FileIndex
from betanas.data.files import FoundImage, ImageFiles, printable
from betanas.data.names import list_names
from betanas.data.source import Part
from betanas.data.walking import find_images, is_folder, is_image_name, list_visible
from betanas.errors import DataError

PART_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}

_LAYOUT = "Give each class a folder of its own: DATA/<class>/* or DATA/train/<class>/*."


@dataclass(frozen=True)
class ClassFolders:
    """The images of one part, found in class folders.

    Attributes:
        names: the classes, in label order: by name, upper case first, on every machine alike.
        files: their images.
        others: visible files that are no images, or lie outside the class folders.
    """

    names: tuple[str, ...]
    files: ImageFiles
    others: int


def recognises(root: Path) -> bool:
    """Any folder may be meant as one of these."""
    return True


def index(root: Path) -> FileIndex:
    """Find the images of an image folder.

    `train` is a part where it holds class folders; where it holds images beside other classes, it is a class of that
    name. `training`, `val`, `valid`, `validation`, `test` and `testing` are understood too, in upper or lower case.

    Raises:
        DataError: there are no images, no class folders, an empty class, or parts with different classes.
    """
    parts = find_parts(root)
    if parts is None:
        found = find_classes(root, root)
        return FileIndex(found.names, found.files, notes=(*_notes(found.others), *_perhaps_too_high(root)))
    train = find_classes(parts["train"], root)
    validation = read_part(parts["validation"], root, train.names) if "validation" in parts else None
    notes = list(_notes(train.others))
    test = parts.get("test")
    if test is not None:
        names = _class_names_if_listable(test)
        if names == ():
            notes.append(f"{test.name} holds no class folders, so its images have no labels and are left out.")
            test = None
        elif names is not None:
            check_same_classes(train.names, names, test)
    return FileIndex(
        train.names,
        train.files,
        validation,
        partial(read_part, test, root, train.names) if test is not None else None,
        tuple(notes),
    )


def find_parts(root: Path) -> dict[Part, Path] | None:
    """The folders of the parts; None where the folder's own folders are the classes.

    Raises:
        DataError: there are parts but none to train on, or two of a kind.
    """
    folders = [Path(entry.path) for entry in list_visible(root) if is_folder(entry)]
    named: dict[Part, list[Path]] = {}
    for folder in folders:
        part = PART_NAMES.get(folder.name.casefold())
        if part is not None:
            named.setdefault(part, []).append(folder)
    only_parts = bool(folders) and len(folders) == sum(map(len, named.values()))
    train = named.get("train", [])
    if not only_parts and not any(_holds_class_folders(folder) for folder in train):
        return None
    twice = [folder.name for same in named.values() if len(same) > 1 for folder in same]
    if twice:
        raise DataError(
            "Each part of the data must have one folder.", value=", ".join(twice), hint="Join or rename them."
        )
    if not train:
        raise DataError(
            "There must be images to train on.",
            value=f"{', '.join(folder.name for folder in folders)} in {root}",
            hint="Put them into DATA/train/<class>/*.",
        )
    return {part: same[0] for part, same in named.items()}


def find_classes(
    folder: Path, root: Path, *, allow_empty: bool = False, nested: bool = True, but: Sequence[str] = ()
) -> ClassFolders:
    """The images in a folder of class folders.

    Args:
        folder: holds a folder for each class.
        root: what paths are relative to.
        allow_empty: whether a class may be without images.
        nested: whether to look into folders within the class folders.
        but: folders that are no classes.

    Raises:
        DataError: there are no class folders, or one of them has no images.
    """
    entries = list_visible(folder)
    folders = [entry for entry in entries if is_folder(entry) and entry.name not in but]
    loose = [entry.name for entry in entries if not is_folder(entry)]
    if not folders:
        images = sum(is_image_name(name) for name in loose)
        what = f"{images:,} images without class folders" if images else "no images"
        raise DataError("Images must lie in class folders.", value=f"{what} in {folder}", hint=_LAYOUT)
    found: list[FoundImage] = []
    labels: list[int] = []
    empty: list[str] = []
    others = len(loose)
    for label, entry in enumerate(folders):
        tree = find_images(Path(entry.path), root, nested=nested)
        found.extend(tree.images)
        labels.extend([label] * len(tree.images))
        others += tree.others
        if not tree.images:
            empty.append(printable(entry.name))
    names = tuple(printable(entry.name) for entry in folders)
    if alike := sorted({name for name, count in Counter(names).items() if count > 1}):
        raise DataError(
            "Class folders' names must differ in more than how their accents are encoded.",
            value=list_names(alike),
            hint="They look the same and are two classes here: join them, or rename one.",
        )
    if len(empty) == len(folders):
        raise DataError("There must be images in the class folders.", value=f"none in {folder}", hint=_LAYOUT)
    if empty and not allow_empty:
        raise DataError(
            "Every class folder must hold images.",
            value=f"none in {list_names(empty)}",
            hint="Add images, or move these folders out of the data.",
        )
    if len(folders) == 1 and not allow_empty:
        raise DataError(
            "There must be at least two classes to tell apart.",
            value=f"the one folder {names[0]} in {folder}",
            hint=_one_too_high(Path(folders[0].path)),
        )
    return ClassFolders(names, ImageFiles.of(root, found, labels), others)


def check_same_classes(train: Sequence[str], other: Sequence[str], folder: Path) -> None:
    """Refuse a part whose classes are not those of the training part.

    Raises:
        DataError: they are not.
    """
    missing = sorted(set(train) - set(other))
    extra = sorted(set(other) - set(train))
    if missing or extra:
        differences = [f"{folder.name} lacks {list_names(missing)}"] if missing else []
        differences += [f"train lacks {list_names(extra)}"] if extra else []
        raise DataError(
            f"The folders train and {folder.name} must have the same classes.",
            value="; ".join(differences),
            hint="Rename or add class folders; one beside train may be empty, if there are no images for it.",
        )


def read_part(folder: Path, root: Path, classes: tuple[str, ...]) -> ImageFiles:
    """The images of a part that is not trained on, whose classes must be those given.

    Raises:
        DataError: they are others, or none has an image.
    """
    found = find_classes(folder, root, allow_empty=True)
    check_same_classes(classes, found.names, folder)
    return found.files


def folder_names(folder: Path, *, but: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the folders in a folder that may not exist.

    Raises:
        DataError: it cannot be listed.
    """
    if not folder.is_dir():
        return ()
    return tuple(entry.name for entry in list_visible(folder) if is_folder(entry) and entry.name not in but)


def _class_names_if_listable(folder: Path) -> tuple[str, ...] | None:
    """The class folders' names, so that a difference shows before a search and not after it; no image is looked at."""
    try:
        return tuple(map(printable, folder_names(folder)))
    except DataError:
        return None


def _holds_class_folders(folder: Path) -> bool:
    entries = list_visible(folder)
    return any(map(is_folder, entries)) and not any(
        is_image_name(entry.name) for entry in entries if not is_folder(entry)
    )


def _one_too_high(folder: Path) -> str:
    inner = len(folder_names(folder))
    return f"Did you mean {folder}? It holds {inner:,} folders." if inner > 1 else _LAYOUT


def _perhaps_too_high(root: Path) -> tuple[str, ...]:
    """A word where the classes may be data sets, whose folders are the classes that were meant."""
    folders = [Path(entry.path) for entry in list_visible(root) if is_folder(entry)]
    if not all(_holds_class_folders(folder) and len(folder_names(folder)) > 1 for folder in folders):
        return ()
    names, inner = [folder.name for folder in folders], folder_names(folders[0])
    return (
        f"The classes are {list_names(names)}, and each of these folders holds folders alone. If the classes are "
        f"{list_names(inner)}, name the folder they lie in: {folders[0]}.",
    )


def _notes(others: int) -> tuple[str, ...]:
    return (f"{others:,} files that are no images in class folders are left out.",) if others else ()
