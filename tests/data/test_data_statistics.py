from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.data import DataSource, ImageSet, channel_statistics
from betanas.data.statistics import CIFAR100, REPORT_CIFAR100


def test_by_hand() -> None:
    images = torch.tensor([0, 255, 0, 255, 51, 51, 51, 51], dtype=torch.uint8).reshape(1, 2, 2, 2)
    statistics = channel_statistics(images)
    assert statistics.mean == pytest.approx((0.5, 0.2))
    assert statistics.std == pytest.approx((0.5, 1.0))  # a channel that never varies can be divided by


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 9), channels=st.sampled_from([1, 3]), seed=st.integers(0, 2**31))
def test_against_torch(count: int, channels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, 6, 6), dtype=torch.uint8, generator=generator)
    scaled = images.to(torch.float64) / 255
    statistics = channel_statistics(images)
    assert statistics.mean == pytest.approx(scaled.mean(dim=(0, 2, 3)).tolist())
    assert statistics.std == pytest.approx(scaled.std(dim=(0, 2, 3), correction=0).tolist())


def test_images_beyond_one_count_are_not_forgotten() -> None:
    images = torch.zeros(5000, 1, 2, 2, dtype=torch.uint8)
    images[4096:] = 255
    assert channel_statistics(images).mean == pytest.approx((904 / 5000,))


def test_the_published_constants_hold_on_real_images(real_images: tuple[DataSource, ImageSet]) -> None:
    images = real_images[1].images
    statistics = channel_statistics(images)
    # The constants are the training part's; those of 2,000 other images lie within a hundredth of them.
    assert statistics.mean == pytest.approx(CIFAR100.mean, abs=0.01)
    assert statistics.std == pytest.approx(CIFAR100.std, abs=0.01)
    deviations = (images.float() / 255).std(dim=(2, 3)).mean(dim=0)
    assert deviations.tolist() == pytest.approx(REPORT_CIFAR100.std, abs=0.01)
    assert REPORT_CIFAR100.mean == CIFAR100.mean
