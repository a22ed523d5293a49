"""Decoded images, and other arrays, kept on disk and mapped into memory: ten workers start at once and share pages.

An entry is a folder with the arrays as .npy files and a description. It appears under its name complete or not at all,
and is checked when it is opened. Nothing here may fail a search: a folder that is full, read-only or damaged costs
the time to decode again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from betanas.data.decoded import Decoded
from betanas.data.places import cache_place

_ARRAYS = ("images", "labels", "positions")
_DESCRIPTION = "description.json"

# A checksum of all bytes would read the whole file, which mapping avoids. Windows of a page each, evenly spaced, catch
# what a power failure leaves behind (zeroed or missing blocks) in milliseconds.
_WINDOWS, _WINDOW_BYTES = 256, 4096

# An entry must leave most of the disk to others.
_LARGEST_SHARE_OF_FREE = 0.5

_ABANDONED_SECONDS = 24 * 3600

# What nobody has used for this long goes, and of more than this much what was not used for longest: it is decoded again
# where it is wanted after all.
_UNUSED_SECONDS = 30 * 24 * 3600
_LARGEST_TOGETHER = 20 * 2**30

_LONGEST_WAIT_SECONDS = 3600
_TEMPORARY = ".writing-"

_Value = TypeVar("_Value")


def cached(key: Mapping[str, object], make: Callable[[], Decoded]) -> Decoded:
    """Decoded images from the cache, or made and put there.

    Where several processes want the same images at once, one decodes and the others wait for it.

    Args:
        key: everything the images depend on, as plain JSON values.
        make: decodes them.
    """

    def arrays() -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        made = make()
        return {name: getattr(made, name) for name in _ARRAYS}, {"broken": made.broken}

    found, notes = cached_arrays("decoded", _ARRAYS, key, arrays)
    return Decoded(**found, broken=tuple(notes["broken"]))


def cached_arrays(
    kind: str,
    names: Sequence[str],
    key: Mapping[str, object],
    make: Callable[[], tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]],
) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
    """Arrays and notes about them from the cache, or made and put there.

    Where several processes want the same arrays at once, one makes them and the others wait for it.

    Args:
        kind: what they are: the folder in the cache.
        names: of the arrays.
        key: everything they depend on, as plain JSON values.
        make: gives the arrays by name, and the notes, as plain JSON values.
    """
    entry = cache_place() / kind / _digest(key)
    found = _read(entry, names)
    if found is not None:
        return found
    with _alone(entry):
        found = _read(entry, names)
        if found is not None:
            return found
        arrays, notes = make()
        # What was written is mapped: then its pages are shared with other processes and can be given back.
        return (_read(entry, names) if _write(entry, arrays, notes, key) else None) or (arrays, notes)


def remembered(key: Mapping[str, object], make: Callable[[], _Value]) -> _Value:
    """A small plain JSON value from the cache, or made and put there."""
    path = cache_place() / "facts" / f"{_digest(key)}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        value: _Value = json.loads(path.read_text(encoding="utf-8"))["value"]
        return value
    made = make()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"key": key, "value": made}, file)
        Path(temporary).replace(path)
    return made


def _digest(key: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


@contextmanager
def _alone(entry: Path) -> Iterator[None]:
    """Keep other processes from making the same entry; where the folder allows no lock, do without."""
    lock = FileLock(entry.with_suffix(".lock"))
    with suppress(OSError, NotImplementedError, Timeout):
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_LONGEST_WAIT_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _read(entry: Path, names: Sequence[str]) -> tuple[dict[str, NDArray[Any]], Mapping[str, Any]] | None:
    try:
        description = json.loads((entry / _DESCRIPTION).read_text(encoding="utf-8"))
        # Mode "c": torch wants arrays it could write to; what is written stays in this process.
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in names}
        if any(_checksum(array) != description["checksums"][name] for name, array in arrays.items()):
            return None
        with suppress(OSError):
            os.utime(entry / _DESCRIPTION)  # when it was last used
        return arrays, {name: value for name, value in description.items() if name not in ("key", "checksums")}
    except (OSError, ValueError, KeyError, TypeError):  # absent, cut short, or something else altogether
        return None


def _write(
    entry: Path, arrays: Mapping[str, NDArray[Any]], notes: Mapping[str, Any], key: Mapping[str, object]
) -> bool:
    """Whether the entry stands now."""
    size = sum(array.nbytes for array in arrays.values())
    temporary = None
    try:
        _sweep(entry.parent)
        if size > _LARGEST_SHARE_OF_FREE * shutil.disk_usage(entry.parent).free:
            return False
        temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=_TEMPORARY))
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        description: dict[str, Any] = {
            "key": key,
            **notes,
            "checksums": {name: _checksum(array) for name, array in arrays.items()},
        }
        (temporary / _DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        temporary.rename(entry)
        _make_room(entry)
    except OSError:
        return False
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return True


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left half-written."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _make_room(kept: Path) -> None:
    """Remove entries that were not used for long; a process that has mapped one keeps its pages."""
    found = []
    for description in kept.parent.glob(f"*/{_DESCRIPTION}"):
        with suppress(OSError):  # another process removes it too
            size = sum(file.stat().st_size for file in description.parent.iterdir())
            found.append((description.stat().st_mtime, size, description.parent))
    together = 0
    for used, size, entry in sorted(found, reverse=True):
        together += size
        if entry != kept and (together > _LARGEST_TOGETHER or time.time() - used > _UNUSED_SECONDS):
            shutil.rmtree(entry, ignore_errors=True)


def _checksum(array: NDArray[Any]) -> str:
    """Of the shape, the type and evenly spaced windows of the bytes."""
    octets = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    check = zlib.crc32(f"{array.shape} {array.dtype}".encode())
    last = max(len(octets) - _WINDOW_BYTES, 0)
    for start in np.linspace(0, last, _WINDOWS, dtype=np.int64) if last else (0,):
        check = zlib.crc32(octets[start : start + _WINDOW_BYTES].data, check)
    return f"{check:08x}"
