"""A folder that is either whole or not there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from betanas.data.names import list_names
from betanas.errors import ExportError
from betanas.files import read_json
from betanas.training.kept import SIDECAR

# What Python leaves where generated source has been imported.
_LEFTOVERS = ("__pycache__",)


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a place where something is that must not be lost.

    Raises:
        ExportError: it is taken by something else than an empty folder or, with `overwrite`, an earlier export.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    earlier = _files_of_export(target)
    if earlier is None:
        raise ExportError(
            "An export must go to a new folder.",
            value=str(target),
            hint="Choose another with --to; nothing was changed.",
        )
    if not overwrite:
        raise ExportError(
            "An export must go to a new folder.",
            value=str(target),
            hint="It holds an earlier export: --overwrite replaces it.",
        )
    strangers = sorted(
        name
        for path in target.rglob("*")
        if not path.is_dir() and not set(path.parts) & set(_LEFTOVERS)
        for name in [path.relative_to(target).as_posix()]
        if name not in earlier
    )
    if strangers:
        raise ExportError(
            "An export that is replaced must hold nothing but what was exported.",
            value=list_names(strangers),
            hint="Move these files elsewhere, or choose another folder with --to.",
        )


@contextmanager
def whole_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder, which becomes `target` where the block ends well and vanishes where it does not.

    Raises:
        ExportError: the target is taken (see `check_target`), or cannot be written.
    """
    target = target.absolute()
    check_target(target, overwrite=overwrite)
    # Where the folders above do not exist yet, they are made at the end: nothing is left of what fails.
    existing = next(parent for parent in target.parents if parent.is_dir())
    try:
        workshop = Path(tempfile.mkdtemp(dir=existing, prefix=f".{target.name}."))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        made, replaced = workshop / "new", workshop / "old"
        made.mkdir()
        yield made
        check_target(target, overwrite=overwrite)  # once more, since this took a while
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                target.rename(replaced)
            made.rename(target)
        except OSError as error:
            if replaced.exists() and not target.exists():
                replaced.rename(target)
            raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _files_of_export(folder: Path) -> set[str] | None:
    """The files that an earlier export says it is made of; None where it is none."""
    try:
        document = read_json(folder / SIDECAR)
        return {*document["files"], SIDECAR}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _unwritable(target: Path, error: OSError) -> ExportError:
    return ExportError(
        "An export's folder must be writable.", value=str(target), hint=f"{error.strerror}; choose another with --to."
    )
