from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from betanas.blueprint import Blueprint, Layer
from betanas.cli.main import run
from betanas.spaces import get_space, published
from betanas.training.files import write_json, write_tensors
from betanas.training.kept import NETWORK, SIDECAR


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_blueprint(*, resolution: int = 16, in_channels: int = 1, num_classes: int = 10) -> Blueprint:
    """A network with every kind of layer, with and without a residual, and two layers that are equal."""
    sides = [-(-resolution // step) for step in (2, 4, 8)]
    common = {"expansion": 2.0, "se_ratio": 8.0}
    layers = (
        Layer("CNA", in_channels, 8, 2, 0, 0, drop_path=0.0, resolution=sides[0], **common),
        Layer("FMBC", 8, 8, 1, 16, 0, drop_path=0.1, resolution=sides[0], **common),
        Layer("FMBC", 8, 12, 1, 16, 0, drop_path=0.0, resolution=sides[0], **common),
        Layer("MBC", 12, 16, 2, 24, 3, drop_path=0.0, resolution=sides[1], **common),
        Layer("MBC", 16, 16, 1, 32, 4, drop_path=0.2, resolution=sides[1], **common),
        Layer("MBC", 16, 16, 1, 32, 4, drop_path=0.2, resolution=sides[1], **common),
        Layer("CNA", 16, 16, 2, 0, 0, drop_path=0.0, resolution=sides[2], **common),
    )
    return Blueprint(resolution, in_channels, num_classes, layers, latent=32)


def published_blueprint(name: str, **sizes: int) -> Blueprint:
    return get_space(name).blueprint(published(name), **sizes)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network trained on digits for a few steps, as `betanas train` leaves it."""
    place = tmp_path_factory.mktemp("trained")
    (place / "small.json").write_text(small_blueprint().to_json())
    arguments = ["train", str(place / "small.json"), "--data", "digits", "--folder", str(place / "digits")]
    assert run([*arguments, "--resolution", "16", "--budget", "40steps", "--device", "cpu"]) == 0
    return place / "digits"


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """Makes what a training leaves, of a network that has only seen noise."""

    def make(blueprint: Blueprint, **changes: object) -> Path:
        return untrained_folder(tmp_path / "training", blueprint, **changes)

    return make


def untrained_folder(folder: Path, blueprint: Blueprint, **changes: object) -> Path:
    """As `folder_of`; `changes` replace the sidecar's entries, and None removes one."""
    torch.manual_seed(0)
    network = blueprint.build()
    side, channels = blueprint.resolution, blueprint.in_channels
    for _ in range(3):  # running statistics that are not the ones of a new network
        network(torch.randn(8, channels, side, side))
    write_tensors(folder / NETWORK, network.state_dict())
    document = {
        "format": 1,
        "architecture": blueprint.to_dict(),
        "data": {"source": "/home/somebody/secret/photos", "fingerprint": "abc"},
        "resolution": side,
        "recipe": {"name": "fast"},
        "budget": "3steps",
        "seed": 0,
        "patience": 0,
        "classes": [f"kind {number}" for number in range(blueprint.num_classes)],
        "in_channels": channels,
        "stored_side": side + 2,
        "scale": [1 / (255 * std) for std in (0.27, 0.26, 0.28)[:channels]],
        "offset": [-0.5 / 0.27] * channels,
        "top1": 0.5,
        "test_top1": None,
        **changes,
    }
    write_json(folder / SIDECAR, {name: value for name, value in document.items() if value is not None})
    write_json(folder / "plan.json", {"seed": 0})
    return folder


def edit_sidecar(folder: Path, **changes: object) -> None:
    document = json.loads((folder / SIDECAR).read_text())
    document.update(changes)
    write_json(folder / SIDECAR, {name: value for name, value in document.items() if value is not None})


@pytest.fixture
def edit() -> Callable[..., None]:
    """Changes entries of a folder's sidecar; None removes one."""
    return edit_sidecar


@pytest.fixture(scope="session")
def small() -> Callable[..., Blueprint]:
    """Makes `small_blueprint`s."""
    return small_blueprint


@pytest.fixture(scope="session")
def published_network() -> Callable[..., Blueprint]:
    """Makes a space's published network at other sizes."""
    return published_blueprint
