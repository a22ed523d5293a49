"""One search at a time on a study in a directory: a lock that the system frees however its holder dies."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from pathlib import Path
from types import ModuleType
from typing import Self

from filelock import FileLock, Timeout

from betanas.errors import StudyError
from betanas.files import open_unlinked
from betanas.search.store.containment import unwritable
from betanas.search.store.location import StudyLocation

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows has none
    fcntl = None

LOCK_FILE = "search.lock"

# A `status` call takes the lock for an instant to see whether anybody holds it; a starting search outlasts that.
_PATIENCE_SECONDS = 1.0


class StudyLock:
    """Held by the search that runs a study; used as a context manager."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_FILE
        self._lock = FileLock(self._path)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=_PATIENCE_SECONDS)
        except Timeout as error:
            raise StudyError(
                "A study can be searched by one process at a time.",
                value=f"{self._path.parent} (in use by process {self._holder()})",
                hint="Wait for that search or stop it with Ctrl-C, or choose another directory with --study.",
            ) from error
        except OSError as error:
            raise unwritable(error, self._path.parent) from error
        # Who holds it is told to others as a courtesy; a full disk must not keep a study from being looked after.
        with suppress(OSError), open_unlinked(self._path, os.O_WRONLY | os.O_TRUNC) as file:
            file.write(str(os.getpid()).encode())
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _holder(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8").strip() or "unknown"
        except OSError:
            return "unknown"


def lock_of(location: StudyLocation) -> StudyLock | nullcontext[None]:
    """What keeps a second process off a study in a directory; a database has sessions for that."""
    return StudyLock(location.directory) if location.directory is not None else nullcontext()


def is_locked(directory: Path) -> bool:
    """Whether a search holds the study now."""
    path = directory / LOCK_FILE
    if not path.exists():
        return False
    if fcntl is None:
        return _is_taken(path)
    # A shared lock, which those who look at the same moment do not keep from each other.
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a read-only copy: nobody searches there
    return False


def _is_taken(path: Path) -> bool:
    """Whether a lock is held, where only taking it tells."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False  # a read-only copy
    lock.release()
    return False
