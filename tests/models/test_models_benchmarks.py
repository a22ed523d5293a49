"""The networks that the report compares with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from betanas.errors import BlueprintError
from betanas.models import available_networks, benchmark_network

GOLDEN_FILE = Path(__file__).parents[1] / "golden" / "benchmark_networks.json"
GOLDEN = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))


def test_every_benchmark_network_has_a_golden_count() -> None:
    assert sorted(available_networks()) == sorted(GOLDEN)


@pytest.mark.parametrize("name", available_networks())
def test_parameters_are_the_golden_ones_and_the_reports(name: str) -> None:
    with torch.device("meta"):
        network = benchmark_network(name, num_classes=100)
    count = sum(parameter.numel() for parameter in network.parameters())

    assert count == GOLDEN[name]["params_100_classes"], f"{name} differs from {GOLDEN_FILE.name}: it has {count:,}"
    assert f"{count / 1e6:.2f}" == f"{GOLDEN[name]['printed_millions']:.2f}"


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", available_networks())
def test_any_channels_and_classes(name: str, channels: int) -> None:
    with torch.device("meta"):
        network = benchmark_network(name, num_classes=7, in_channels=channels)
        assert network(torch.empty(2, channels, 64, 64)).shape == (2, 7)


def test_a_stem_for_other_channels_differs_in_its_channels_alone() -> None:
    torch.manual_seed(0)
    colour = benchmark_network("mobilenet_v2", num_classes=10)
    grey = benchmark_network("mobilenet_v2", num_classes=10, in_channels=1)
    shapes = [{name: tuple(p.shape) for name, p in network.named_parameters()} for network in (colour, grey)]

    assert {name for name in shapes[0] if shapes[0][name] != shapes[1][name]} == {"features.0.0.weight"}
    stem = grey.get_submodule("features.0.0")
    assert stem.weight.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.15)  # Kaiming, fan out
    assert stem.weight.requires_grad


def test_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(BlueprintError, match="resnet50, mobilenet_v2, efficientnet_b0, efficientnet_v2_s") as caught:
        benchmark_network("resnet18", num_classes=10)
    assert caught.value.value == "resnet18"
    assert caught.value.hint


@pytest.mark.parametrize(("classes", "channels", "rule"), [(0, 3, "num_classes"), (10, 0, "in_channels")])
def test_no_class_or_channel_is_refused(classes: int, channels: int, rule: str) -> None:
    with pytest.raises(BlueprintError, match=f"{rule} must be at least 1"):
        benchmark_network("resnet50", num_classes=classes, in_channels=channels)
