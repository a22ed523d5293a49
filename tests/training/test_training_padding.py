"""Channels filled up with zeros: the same function, the same trainings, and weights of the network's own shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from betanas.blocks import Activation
from betanas.blueprint import Blueprint, Layer
from betanas.models.benchmarks import benchmark_network
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.options import EngineOptions
from betanas.training.padding import pad_channels


def odd(activation: str = "SiLU") -> Blueprint:
    """A network of every kind of layer, none of whose channels is a multiple of 8."""
    common = {"expansion": 2.0, "se_ratio": 4.0, "activation": activation}
    layers = (
        Layer("CNA", 1, 11, 2, 0, 0, drop_path=0.0, resolution=4, **common),
        Layer("FMBC", 11, 11, 1, 21, 0, drop_path=0.1, resolution=4, **common),
        Layer("MBC", 11, 13, 2, 27, 3, drop_path=0.0, resolution=2, **common),
        Layer("MBC5", 13, 13, 1, 25, 5, drop_path=0.2, resolution=2, **common),
    )
    return Blueprint(8, 1, 10, layers, latent=43)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("activation", [each.name for each in Activation])
def test_a_padded_network_computes_the_same_and_shows_its_own_weights(activation):
    plain = odd(activation).build()
    padded = odd(activation).build()
    pad_channels(padded, 8)
    padded.load_state_dict(plain.state_dict())
    first, *others = convolutions(padded)
    assert {each.out_channels % 8 for each in convolutions(padded)} == {0}
    assert first.in_channels == 1
    assert {each.in_channels % 8 for each in others} == {0}
    assert padded.classifier.weight.shape == (10, 48)
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for each in (plain, padded):
        each.eval()
    torch.testing.assert_close(padded(images), plain(images))
    shown = padded.state_dict()
    assert {name: value.shape for name, value in shown.items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    assert all(torch.equal(shown[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "decay_norms_and_biases": True},
        {"optimizer": "sgd", "learning_rate": 0.05, "clip_norm": 1.0},
    ],
)
def test_a_padded_training_learns_the_same_and_what_is_added_stays_zero(digits, quick, settings):
    recipe = quick.with_settings(dtype="float32", stochastic_depth=1.0, **settings)
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(odd().build())
        return built[-1]

    plain, padded = (
        TrialEngine(
            digits, resolution=8, recipe=recipe, device="cpu", options=EngineOptions(channel_multiple=multiple)
        ).train(build, budget=Budget(20, "steps"), seed=2, test=digits.validation)
        for multiple in (1, 8)
    )
    assert (padded.outcome, padded.steps) == ("completed", 20), padded.reason
    assert [point.loss for point in padded.curve] == pytest.approx([point.loss for point in plain.curve], rel=1e-3)
    assert padded.test_top1 == pytest.approx(plain.test_top1, abs=0.02)
    original, network = built
    sizes = {name: value.shape for name, value in original.named_parameters()}
    moved = {name: value.shape for name, value in network.state_dict().items() if name in sizes}
    assert moved == sizes
    added = 0
    for name, value in network.named_parameters():
        rest = value.detach().clone()
        rest[tuple(slice(size) for size in sizes[name])] = 0.0
        assert not rest.any(), name
        added += value.numel() - sizes[name].numel()
    assert added > 0


def test_other_networks_are_left_alone():
    network = benchmark_network("resnet20", num_classes=10, in_channels=3)
    before = {name: value.shape for name, value in network.named_parameters()}
    pad_channels(network, 8)
    assert {name: value.shape for name, value in network.named_parameters()} == before
