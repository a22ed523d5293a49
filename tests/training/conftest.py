from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from betanas.blueprint import Blueprint, Layer
from betanas.data.images import ImageSet, Splits
from betanas.training.recipe import Recipe, load_recipe


@pytest.fixture(autouse=True)
def one_thread():
    """The engine leaves torch's threads alone; on a shared machine more than one slows the tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Splits:
    """scikit-learn's digits: 1,797 grey images of 8x8 pixels, ten classes."""
    source = load_digits()
    images = torch.from_numpy((source.images * 255 / 16).astype(np.uint8)).unsqueeze(1)
    labels = torch.from_numpy(source.target.astype(np.int64))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, validation = order[:1400], order[1400:]
    everything = ImageSet(images, labels)
    return Splits(everything.subset(train), everything.subset(validation), tuple(str(n) for n in range(10)))


@pytest.fixture(scope="session")
def colour_digits(digits) -> Splits:
    """The same with three channels, the digit in one of them."""

    def paint(part: ImageSet) -> ImageSet:
        images = torch.zeros(len(part), 3, 8, 8, dtype=torch.uint8)
        images[torch.arange(len(part)), torch.arange(len(part)) % 3] = part.images[:, 0]
        return ImageSet(images, part.labels)

    return Splits(paint(digits.train), paint(digits.validation), digits.classes)


def small_blueprint(*, resolution: int = 8, in_channels: int = 1, width: int = 16, num_classes: int = 10) -> Blueprint:
    """A network with one layer of each kind, small enough to train in a second."""
    half, quarter = -(-resolution // 2), -(-resolution // 4)
    common = {"expansion": 2.0, "se_ratio": 8.0}
    layers = (
        Layer("CNA", in_channels, width, 2, 0, 0, drop_path=0.0, resolution=half, **common),
        Layer("FMBC", width, width, 1, 2 * width, 0, drop_path=0.1, resolution=half, **common),
        Layer("MBC", width, 2 * width, 2, 2 * width, 2, drop_path=0.0, resolution=quarter, **common),
        Layer("MBC", 2 * width, 2 * width, 1, 4 * width, 4, drop_path=0.2, resolution=quarter, **common),
    )
    return Blueprint(resolution, in_channels, num_classes, layers, latent=4 * width)


@pytest.fixture(scope="session")
def blueprint() -> Blueprint:
    return small_blueprint()


@pytest.fixture
def colour_blueprint() -> Blueprint:
    return small_blueprint(in_channels=3)


@pytest.fixture
def wider():
    """Blueprints like the usual one with another width and, by name, other sizes."""
    return lambda width, **sizes: small_blueprint(width=width, **sizes)


@pytest.fixture(scope="session")
def quick() -> Recipe:
    """`fast`, set for a few steps on digits."""
    return load_recipe("fast").with_settings(batch_size=50, flip=0.0, evaluations=2)
