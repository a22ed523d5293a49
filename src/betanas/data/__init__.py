"""Images: where they come from, how they are decoded, and how they are divided.

Names are loaded when they are first used, so that importing this package loads neither torch nor Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from betanas.lazy import load_when_used

if TYPE_CHECKING:
    from betanas.data.arrays import ArraySource
    from betanas.data.images import ImageSet, Splits
    from betanas.data.registry import available_sources, open_source, register_source
    from betanas.data.source import BrokenImagesWarning, DataSource, Part
    from betanas.data.splits import load_splits, load_test, prepare
    from betanas.data.statistics import ChannelStatistics, channel_statistics
    from betanas.data.streaming import StreamedImages, StreamedSplits, open_splits, open_test

_MODULES = {
    "ArraySource": "arrays",
    "BrokenImagesWarning": "source",
    "ChannelStatistics": "statistics",
    "DataSource": "source",
    "ImageSet": "images",
    "Part": "source",
    "Splits": "images",
    "StreamedImages": "streaming",
    "StreamedSplits": "streaming",
    "available_sources": "registry",
    "channel_statistics": "statistics",
    "load_splits": "splits",
    "load_test": "splits",
    "open_source": "registry",
    "open_splits": "streaming",
    "open_test": "streaming",
    "prepare": "splits",
    "register_source": "registry",
}

__all__ = [
    "ArraySource",
    "BrokenImagesWarning",
    "ChannelStatistics",
    "DataSource",
    "ImageSet",
    "Part",
    "Splits",
    "StreamedImages",
    "StreamedSplits",
    "available_sources",
    "channel_statistics",
    "load_splits",
    "load_test",
    "open_source",
    "open_splits",
    "open_test",
    "prepare",
    "register_source",
]


__getattr__ = load_when_used(__name__, _MODULES)
