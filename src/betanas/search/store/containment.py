"""Writing inside a study's directory and nowhere else, whatever links a stranger has put into it."""

from __future__ import annotations

from errno import EACCES, EROFS
from pathlib import Path

from betanas.errors import StoreError, StudyError
from betanas.search.store.location import DATABASE_FILE, LOG_FOLDER, StudyLocation


def with_companions(database: str) -> tuple[str, ...]:
    """The names of a database's file and of those that SQLite keeps beside it."""
    return database, *(f"{database}{suffix}" for suffix in ("-wal", "-shm", "-journal"))


def refuse_links(location: StudyLocation) -> None:
    """Refuse to write a study some of whose files are links: what they point at is not the study's.

    Raises:
        StudyError: there is such a link.
    """
    if location.directory is None:
        return
    for name in (*with_companions(DATABASE_FILE), LOG_FOLDER):
        path = location.directory / name
        if path.is_symlink():
            raise StudyError(
                "A study is written in its own directory, and one of its files is a link.",
                value=str(path),
                hint="Look where it leads; put the file itself there, or move the study's whole directory.",
            )


READ_ONLY = "its directory is read-only or missing"


def unwritable(error: OSError, place: str | Path) -> StoreError:
    """What to say of a study that the system does not let us write."""
    why = READ_ONLY if error.errno in (EROFS, EACCES) else error.strerror or error
    return StoreError(
        f"The study cannot be written: {why}.",
        value=str(place),
        hint="Allow writing there, or choose another directory with --study.",
    )
