"""The directory of a new study: made, and taken back only where it is this process's own and empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from betanas.errors import StoreError
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import LOCK_FILE, lock_of


@contextmanager
def new_place(location: StudyLocation, held: ExitStack) -> Iterator[None]:
    """Make a study's directory and take its lock; where the block fails to make a study, take back what was made.

    Other processes may put their files into the same folders meanwhile, or begin a study in the same directory. So
    nothing is removed but folders that this process made itself, each only while it is empty, and the lock's file only
    by its holder and only where there is no study.

    Args:
        location: the study's place.
        held: keeps the lock beyond the block.

    Raises:
        StoreError: the directory cannot be made.
        StudyError: another process holds it.
    """
    if location.directory is None:
        yield
        return
    made: list[Path] = []
    try:
        _make(location.directory, made)
        held.enter_context(lock_of(location))
        try:
            yield
        except BaseException:
            if location.directory in made and location.database is not None and not location.database.exists():
                (location.directory / LOCK_FILE).unlink(missing_ok=True)
            raise
    except BaseException:
        for folder in reversed(made):
            try:
                folder.rmdir()
            except OSError:
                break  # somebody has put something there since
        raise


def _make(directory: Path, made: list[Path]) -> None:
    """Make a directory and those above it, noting in `made` which of them were not there."""
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            try:
                folder.mkdir()
            except FileExistsError:
                continue  # another process was faster; the directory is not ours to remove
            made.append(folder)
        if not directory.is_dir():
            raise NotADirectoryError("it is not a directory")
    except OSError as error:
        raise StoreError(
            f"The study's directory cannot be made: {error.strerror or error}.",
            value=str(directory),
            hint="Choose another with --study.",
        ) from error
