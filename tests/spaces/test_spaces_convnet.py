"""The space `convnet` holds the networks that it is there for, and grows with the resolution as a BetaNet does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from betanas.blueprint import Blueprint
from betanas.spaces import get_space
from betanas.spaces.scaling import Origin, rules_for

PLAIN, RESNET, EFFICIENTNET = (dict(get_space("convnet").designs[name]) for name in ("plain", "resnet", "efficientnet"))


def network(vector: dict[str, float], resolution: int = 32, num_classes: int = 10) -> Blueprint:
    space = get_space("convnet")
    for name, searched in space.parameters.items():
        assert vector[name] in searched, f"{name} leaves the default preset"
    return space.blueprint(vector, resolution=resolution, num_classes=num_classes)


def test_default_holds_the_plain_network_module_for_module() -> None:
    blueprint = network(PLAIN)
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64), (64, 128)):
        layers += [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    written = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
    built = blueprint.build()

    assert blueprint.num_params == sum(parameter.numel() for parameter in written.parameters()) == 98_970
    written.load_state_dict(dict(zip(written.state_dict(), built.state_dict().values(), strict=True)))
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(written(images), built(images))


def test_default_holds_a_resnet() -> None:
    stem, *blocks = network(RESNET).layers

    assert (stem.kind, stem.stride, stem.out_channels, stem.activation) == ("CNA", 1, 16, "ReLU")
    assert [layer.kind for layer in blocks] == ["FMBC"] * 9
    assert [(layer.out_channels, layer.resolution) for layer in blocks] == [(16, 32)] * 3 + [(32, 16)] * 3 + [
        (64, 8)
    ] * 3
    assert [layer.residual for layer in blocks] == [True] * 3 + ([False] + [True] * 2) * 2
    assert all(layer.hidden == layer.in_channels and not layer.pooled for layer in blocks)
    assert network(RESNET).latent == 0


def test_default_holds_an_efficientnet() -> None:
    blueprint = network(EFFICIENTNET, resolution=224, num_classes=1000)
    stem, *blocks = blueprint.layers

    assert (stem.kind, stem.stride, stem.out_channels) == ("CNA", 2, 32)
    assert [layer.kind for layer in blocks] == ["MBC"] * 16
    assert {layer.activation for layer in blueprint.layers} == {"SiLU"}
    assert all(layer.hidden == 6 * layer.in_channels for layer in blocks)
    assert all(layer.squeeze == pytest.approx(layer.in_channels / 4, abs=1) for layer in blocks)
    assert sorted({layer.resolution for layer in blueprint.layers}) == [7, 14, 28, 56, 112]
    assert (blocks[-1].out_channels, blueprint.latent) == (320, 1280)


def test_parameters_place_what_they_say() -> None:
    mixed = PLAIN | {"K": 5.0, "plain": 0.5, "fused": 0.5, "squeeze": 0.1, "pooled": 0.5}
    layers = network(mixed).layers
    assert [layer.kind for layer in layers] == ["CNA"] * 10 + ["FMBC"] * 5 + ["MBC"] * 5
    assert [place for place, layer in enumerate(layers) if layer.squeeze] == [18, 19]
    contractions = [(place, layer.pooled) for place, layer in enumerate(layers) if layer.stride == 2]
    assert contractions == [(0, True), (5, True), (10, False), (15, False)]
    later = network(mixed | {"first": 0.3}).layers
    assert [place for place, layer in enumerate(later) if layer.stride == 2] == [6, 10, 13, 16]
    assert [layer.out_channels for layer in later[:6]] == [16] * 6


@pytest.mark.parametrize(
    ("value", "name"), [(0.0, "ReLU"), (1.0, "ReLU6"), (2.5, "Hardswish"), (3.0, "SiLU"), (4.0, "SiLU")]
)
def test_activation_is_chosen_by_a_real_number(value: float, name: str) -> None:
    assert {layer.activation for layer in network(PLAIN | {"activation": value}).layers} == {name}


@pytest.mark.parametrize(("value", "latent"), [(0.0, 0), (0.49, 0), (0.5, 64), (4.0, 512)])
def test_latent_channels_are_optional(value: float, latent: int) -> None:
    assert network(PLAIN | {"G1": value}).latent == latent


@given(doublings=st.integers(0, 5))
@settings(max_examples=6, deadline=None)
def test_twice_the_resolution_is_one_more_contraction_and_twice_the_width(doublings: int) -> None:
    layers = network(PLAIN, resolution=32 * 2**doublings).layers

    assert [layer.out_channels for layer in layers] == [16 * 2**place for place in range(4 + doublings)]
    assert layers[-1].resolution == 2


@given(points=st.lists(st.floats(0, 1), min_size=18, max_size=18), resolution=st.integers(8, 300))
@settings(max_examples=60, deadline=None)
def test_any_point_of_the_domain_is_a_network(points: list[float], resolution: int) -> None:
    """Built by `Layer` and `Blueprint`, which check every number."""
    space = get_space("convnet")
    vector = {
        name: min(allowed.low + point * allowed.span, allowed.high)
        for (name, allowed), point in zip(space.domain.items(), points, strict=True)
    }
    blueprint = space.blueprint(vector, resolution=resolution, num_classes=3)

    assert blueprint.layers[0].kind == "CNA"
    assert blueprint.layers[0].out_channels == np.floor(vector["stem"] + 0.5)
    widths = [layer.out_channels for layer in blueprint.layers]
    assert widths == sorted(widths)
    assert sum(layer.stride == 2 for layer in blueprint.layers) >= 1


def test_every_scaling_rule_fits() -> None:
    origin = Origin(get_space("convnet"), RESNET, 32, 10)
    found = network(RESNET)
    for rule in rules_for(origin):
        assert rule.blueprint(32) == found
        assert rule.blueprint(64).latent == 0


def test_every_parameter_is_explained() -> None:
    for name in ("betanet2", "betanet3", "convnet"):
        space = get_space(name)
        assert set(space.parameters) <= set(space.meanings)


def test_every_design_lies_within_the_default_ranges() -> None:
    space = get_space("convnet")
    assert list(space.known_designs()) == ["plain", "plain, deeper", "resnet", "mobilenet", "efficientnet"]
    sizes = {name: network(vector, resolution=32).num_params for name, vector in space.known_designs().items()}
    assert all(40_000 < size < 3_000_000 for size in sizes.values()), sizes


def test_designs_follow_what_is_fixed_and_leave_out_what_is_not_searched() -> None:
    lite = get_space("convnet", blocks="lite").known_designs()
    assert {vector["squeeze"] for vector in lite.values()} == {0.5}
    narrow = get_space("convnet", ranges={"stem": (8.0, 20.0)}, fixed={"k": 2.5}).known_designs()
    assert set(narrow) == {"plain", "resnet", "mobilenet"}
    assert {vector["k"] for vector in narrow.values()} == {2.5}


def test_other_spaces_have_none() -> None:
    assert get_space("betanet3").known_designs() == {}
