"""What images are standardised by."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Images whose levels are counted at a time: counting needs int64 copies of them.
_IMAGES_AT_ONCE = 4096


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, of pixels scaled to [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


# Section 8 of the construction: what the report standardises CIFAR-100 by. Its "standard deviations" are means of each
# image's own deviation, smaller than those of all pixels, which stand below them.
REPORT_CIFAR100 = ChannelStatistics(mean=(0.5071, 0.4866, 0.4409), std=(0.2009, 0.1984, 0.2023))
CIFAR100 = ChannelStatistics(mean=(0.5071, 0.4866, 0.4409), std=(0.2673, 0.2564, 0.2762))


def channel_statistics(images: Tensor) -> ChannelStatistics:
    """Mean and standard deviation over all pixels of all images, exact: from counts of the 256 levels.

    Take them over the training part alone. A channel that never varies gets a deviation of 1: one can divide by it.

    Args:
        images: uint8, shape [n, channels, side, side], on any device.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        some = images[start : start + _IMAGES_AT_ONCE]
        for channel in range(images.shape[1]):
            counts[channel] += torch.bincount(some[:, channel].flatten(), minlength=256).cpu()
    shares = counts / counts.sum(dim=1, keepdim=True)
    mean = shares @ levels
    variance = (shares * (levels - mean[:, None]) ** 2).sum(dim=1)
    std = torch.where(variance > 0, variance.sqrt(), 1.0)
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.tolist()))
