"""What images take in memory, and what may be taken."""

from __future__ import annotations

from collections.abc import Sequence

from betanas import host_memory
from betanas.data.cores import processes_here
from betanas.data.file_source import FileSource
from betanas.data.source import DataSource, Part

# Decoded images are copied when they are divided, so for a moment they are there twice.
_COPIES = 2

# The rest is for the network, its gradients, and whatever else runs.
_SHARE_OF_FREE = 0.5


def memory_needed(source: DataSource, parts: Sequence[Part], resolution: int) -> int:
    """Bytes that parts of a source take while they are loaded for training at a resolution."""
    images = sum(source.size(part) for part in parts)
    return _COPIES * images * source.in_channels * source.stored_side(resolution) ** 2


def memory_budget() -> int:
    """Bytes that images may take: half of the free memory, divided among processes that train together here."""
    return int(_SHARE_OF_FREE * host_memory.available() / processes_here())


def streams(source: DataSource, parts: Sequence[Part], resolution: int, budget: int | None = None) -> bool:
    """Whether parts of a source are left on disk and streamed: files that would take more than a budget of bytes.

    Args:
        source: where the images come from; one that reads whole arrays is never streamed.
        parts: of it.
        resolution: side of the training images, in pixels.
        budget: bytes that the images may take; None for half of the memory that is free.
    """
    if not isinstance(source, FileSource):
        return False
    return memory_needed(source, parts, resolution) > (memory_budget() if budget is None else budget)
