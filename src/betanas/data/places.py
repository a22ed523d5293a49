"""Folders outside the project: where ready-made data sets may lie, and where decoded images are kept."""

from __future__ import annotations

import os
from pathlib import Path

from betanas.errors import StudyError

DATA_VARIABLE, CACHE_VARIABLE = "BETANAS_DATA", "BETANAS_CACHE"

# Debian's packages of data sets (dataset-fashion-mnist) install here.
_SYSTEM = Path("/usr/share/datasets")


def lies_inside(folder: Path, data: str) -> bool:
    """Whether a folder is or lies inside that of the images: what is written there would become part of them."""
    images = Path(data).expanduser()
    return images.is_dir() and folder.expanduser().resolve().is_relative_to(images.resolve())


def keep_outside(folder: Path, data: str, *, what: str, hint: str) -> None:
    """Refuse to write into the images' folder.

    Args:
        folder: what is to be written in.
        data: the images' name or folder.
        what: the folder, as the message begins.
        hint: what to type instead.

    Raises:
        StudyError: it is or lies inside that of the images.
    """
    if lies_inside(folder, data):
        raise StudyError(
            f"{what} must lie outside the images' folder: what is written there would become part of the data.",
            value=str(folder),
            hint=hint,
        )


def data_places(root: Path | None) -> tuple[Path, ...]:
    """Folders to look for a ready-made data set in, in this order.

    They are `root`, $BETANAS_DATA, the working directory and its `data` (what torchvision's examples use), the user's
    data folder (where downloads go), and the system's.
    """
    named = [place for place in (root, _from_environment(DATA_VARIABLE)) if place is not None]
    return (*named, Path(), Path("data"), _user_data(), _SYSTEM)


def download_place(root: Path | None) -> Path:
    """Where a downloaded data set is put: `root`, else $BETANAS_DATA, else the user's data folder."""
    return root or _from_environment(DATA_VARIABLE) or _user_data()


def cache_place() -> Path:
    """Where decoded images are kept: $BETANAS_CACHE, else `betanas` in the user's cache folder."""
    return _from_environment(CACHE_VARIABLE) or _user_folder("XDG_CACHE_HOME", ".cache")


def _user_data() -> Path:
    return _user_folder("XDG_DATA_HOME", ".local/share")


def _user_folder(variable: str, default: str) -> Path:
    """The XDG base directory specification's folder for us."""
    return (_from_environment(variable) or Path.home() / default) / "betanas"


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None
