"""The networks that the report compares with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from betanas.blueprint import PLAIN_NETWORKS, plain_network
from betanas.errors import BlueprintError
from betanas.models import available_networks, benchmark_costs, benchmark_network

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
    if "printed_millions" in GOLDEN[name]:
        assert f"{count / 1e6:.2f}" == f"{GOLDEN[name]['printed_millions']:.2f}"


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("plain4", 3.98),
        ("resnet20", 41),
        ("resnet18_32px", 556),
        ("mobilenet_v2_32px", 88),
        ("efficientnet_b0_32px", 115),
    ],
)
def test_multiply_accumulates_are_the_known_ones(name: str, millions: float) -> None:
    """At 32 pixels: by hand for the plain network, as published for the others with small-image stems."""
    params, macs = benchmark_costs(name, resolution=32, num_classes=10)
    assert macs == pytest.approx(millions * 1e6, rel=0.02)
    with torch.device("meta"):
        built = benchmark_network(name, num_classes=10)
    assert params == sum(parameter.numel() for parameter in built.parameters())


@pytest.mark.parametrize("name", ["resnet20", "resnet18_32px", "mobilenet_v2_32px", "efficientnet_b0_32px"])
def test_small_images_keep_their_side_at_first(name: str) -> None:
    """Their last feature map is larger than that of the network they are made after, which leaves one pixel."""
    sides = []
    with torch.device("meta"):
        network = benchmark_network(name, num_classes=7)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
        network(torch.empty(2, 3, 32, 32))
    assert sides[0] == 32
    assert min(side for side in sides if side > 1) == (8 if name == "resnet20" else 4)


def test_plain_networks_are_blueprints_at_any_resolution() -> None:
    for name in PLAIN_NETWORKS:
        blueprint = plain_network(name, resolution=50, num_classes=10)
        built = benchmark_network(name, num_classes=10)
        assert [tuple(p.shape) for p in blueprint.build().parameters()] == [tuple(p.shape) for p in built.parameters()]
        assert len(blueprint.layers) == int(name.removeprefix("plain"))
        params, macs = benchmark_costs(name, resolution=50, num_classes=10)
        assert (blueprint.num_params, blueprint.macs) == (params, macs)


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
