"""How much memory the machine, or the container that the search runs in, has left; and giving some of it back."""

from __future__ import annotations

import ctypes
import gc
import platform
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_RESERVE_SHARE, _RESERVE_BYTES = 0.05, 1 << 30


def available() -> int:
    """Bytes that can still be allocated before the system starts to kill processes."""
    free = int(psutil.virtual_memory().available)
    limit, used = _cgroup_bytes("memory.max"), _cgroup_bytes("memory.current")
    if limit is None or used is None:
        return free
    return min(free, limit - used + (_reclaimable() or 0))


def reserve() -> int:
    """Bytes below which a worker has to go: a twentieth of the memory, at most 1 GiB."""
    return min(int(psutil.virtual_memory().total * _RESERVE_SHARE), _RESERVE_BYTES)


def give_back() -> None:
    """Return what this process has freed to the system: objects in cycles, and what the C library keeps for later."""
    gc.collect()
    if (libc := glibc()) is not None:
        libc.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    """The GNU C library, whose allocator can be told what to keep; None where another one is in use."""
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None)


def _cgroup_bytes(name: str) -> int | None:
    try:
        return int((_CGROUP / name).read_text(encoding="ascii"))
    except (OSError, ValueError):  # no cgroup, or "max": no limit
        return None


def _reclaimable() -> int | None:
    """Bytes of file cache that the kernel gives back when asked; memory.current counts them as used."""
    try:
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        return int(dict(line.split() for line in lines)["inactive_file"])
    except (OSError, ValueError, KeyError):
        return None
