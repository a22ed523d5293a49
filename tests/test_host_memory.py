from __future__ import annotations

import platform
import weakref

import numpy as np
import psutil
import pytest

from betanas import host_memory


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self
        self.much = np.ones(1 << 20)


def test_cycles_are_freed() -> None:
    seen = weakref.ref(Knot())
    host_memory.give_back()
    assert seen() is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")
def test_what_the_allocator_keeps_goes_back_to_the_system() -> None:
    # Pieces below the threshold for a mapping of their own; the last one keeps the heap's end where it is.
    pieces = [bytearray(64 << 10) for _ in range(2_000)]
    last = pieces.pop()
    pieces.clear()
    before = psutil.Process().memory_info().rss
    host_memory.give_back()
    assert psutil.Process().memory_info().rss < before - (50 << 20)
    assert len(last) == 64 << 10
