"""The network that a blueprint describes."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth

from betanas.blueprint import Blueprint, Layer
from betanas.errors import BlueprintError, RecipeError
from betanas.models import BlueprintNetwork, build
from betanas.models.blocks import ResidualBlock, build_layer
from betanas.spaces import get_space, published

HEAD = Layer("CNA", 3, 8, 2, 0, 0, 1.0, 1.0, 0.0, 16)
FUSED = Layer("FMBC", 8, 8, 1, 24, 0, 3.0, 1.0, 0.4, 16)
MOBILE = Layer("MBC", 8, 12, 2, 16, 4, 2.0, 4.0, 0.0, 8)
SMALL = Blueprint(32, 3, 10, (HEAD, FUSED, MOBILE), latent=20)


def one_pixel_blueprint(resolution: int) -> Blueprint:
    return get_space("betanet3").blueprint(published("betanet3") | {"k": 0.5}, resolution=resolution, num_classes=10)


@pytest.fixture(scope="module")
def betanet3() -> BlueprintNetwork:
    torch.manual_seed(0)
    blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=32, num_classes=100)
    return build(blueprint).eval()


@pytest.mark.parametrize("name", ["betanet2", "betanet3"])
def test_layers_have_the_sizes_that_the_blueprint_says(name: str) -> None:
    blueprint = get_space(name).blueprint(published(name), resolution=64, num_classes=7, in_channels=2)
    with torch.device("meta"):
        network = blueprint.build()
        x = torch.empty(2, 2, 64, 64)
        logits = network(x)

    assert logits.shape == (2, 7)
    assert len(network.layers) == len(blueprint.layers)
    for layer, module in zip(blueprint.layers, network.layers, strict=True):
        x = module(x)
        assert x.shape == (2, layer.out_channels, layer.resolution, layer.resolution)
    assert network.latent(x).shape == (2, blueprint.latent, layer.resolution, layer.resolution)
    assert network.num_features == blueprint.latent


def test_layers_are_put_together_from_torchvisions_pieces() -> None:
    head, fused, mobile = SMALL.build().layers

    assert isinstance(head, Conv2dNormActivation)
    assert isinstance(fused, ResidualBlock)
    assert [type(part) for part in fused.branch] == [Conv2dNormActivation] * 2
    assert fused.branch.expand[0].kernel_size == (3, 3)
    assert isinstance(fused.drop_path, StochasticDepth)
    assert (fused.drop_path.p, fused.drop_path.mode) == (0.4, "row")
    assert isinstance(mobile, ResidualBlock)
    norm_activation = Conv2dNormActivation
    kinds = [norm_activation, norm_activation, SqueezeExcitation, norm_activation]
    assert [type(part) for part in mobile.branch] == kinds
    assert mobile.branch.depthwise[0].groups == 16
    assert mobile.branch.squeeze_excitation.fc1.out_channels == 4
    assert mobile.drop_path is None


def test_convolutions_have_no_bias_and_norms_and_activations_stand_where_they_must() -> None:
    network = SMALL.build()
    parts = [part for part in network.modules() if isinstance(part, Conv2dNormActivation)]

    assert all(part[0].bias is None for part in parts)
    assert all(isinstance(part[1], nn.BatchNorm2d) for part in parts)
    # Head, fused expansion, mobile expansion and depthwise, latent: the two projections have none.
    assert [len(part) for part in parts] == [3, 3, 2, 3, 3, 2, 3]
    assert all(isinstance(part[2], nn.SiLU) for part in parts if len(part) == 3)
    excitation = network.layers[2].branch.squeeze_excitation
    assert isinstance(excitation.activation, nn.SiLU)
    assert isinstance(excitation.scale_activation, nn.Sigmoid)
    assert excitation.fc1.bias is not None


def test_residual_adds_the_input() -> None:
    block = build_layer(FUSED).eval()
    x = torch.randn(2, 8, 16, 16)

    with torch.no_grad():
        torch.testing.assert_close(block(x), block.branch(x) + x)


def test_stochastic_depth_drops_whole_branches_of_single_images() -> None:
    torch.manual_seed(0)
    block = build_layer(FUSED)
    x = torch.randn(200, 8, 4, 4)

    with torch.no_grad():
        kept = (block(x) - x).flatten(1).abs().amax(1) > 1e-6
    assert 0.4 < kept.float().mean() < 0.8  # 60% survive


def test_training_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    network = SMALL.build()
    loss = nn.functional.cross_entropy(network(torch.randn(8, 3, 32, 32)), torch.arange(8))
    loss.backward()

    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert sum(p.grad.abs().sum().item() > 0 for p in network.parameters()) == len(list(network.parameters()))


def test_weights_start_as_in_torchvisions_efficientnets() -> None:
    torch.manual_seed(0)
    network = Blueprint(32, 3, 400, (Layer("CNA", 3, 256, 2, 0, 0, 1.0, 1.0, 0.0, 16),), latent=300).build()
    head = network.layers[0][0].weight

    assert head.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.05)  # Kaiming, fan out
    assert network.classifier.weight.abs().max().item() <= 1 / 400**0.5
    assert network.classifier.weight.std().item() == pytest.approx(1 / 400**0.5 / 3**0.5, rel=0.05)
    assert not network.classifier.bias.any()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        assert (norm.weight == 1).all()
        assert not norm.bias.any()


def test_signal_keeps_its_size_through_the_network(betanet3: BlueprintNetwork) -> None:
    """A badly drawn start shows as logits that vanish or explode."""
    network = copy.deepcopy(betanet3).train()
    with torch.no_grad():
        logits = network(torch.randn(16, 3, 32, 32))

    assert 1e-3 < logits.std().item() < 10


def test_building_is_repeatable_by_seed() -> None:
    torch.manual_seed(3)
    one = SMALL.build()
    torch.manual_seed(3)
    other = SMALL.build()

    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_other_image_sizes_work_too(betanet3: BlueprintNetwork) -> None:
    with torch.no_grad():
        assert betanet3(torch.randn(1, 3, 48, 40)).shape == (1, 100)


def test_features_and_logits_are_one_forward_pass(betanet3: BlueprintNetwork) -> None:
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        features = betanet3.forward_features(images)
        pooled = betanet3.forward_head(features, pre_logits=True)

        assert pooled.shape == (2, betanet3.num_features)
        torch.testing.assert_close(betanet3.forward_head(features), betanet3(images))
        torch.testing.assert_close(betanet3.classifier(pooled), betanet3(images))


def test_feature_info_names_the_last_map_of_each_resolution(betanet3: BlueprintNetwork) -> None:
    info = betanet3.feature_info
    extract = create_feature_extractor(betanet3, [str(entry["module"]) for entry in info])

    maps = extract(torch.randn(1, 3, 32, 32))
    for entry in info:
        side = -(-32 // int(entry["reduction"]))
        assert maps[entry["module"]].shape == (1, entry["num_chs"], side, side)
    reductions = [entry["reduction"] for entry in info]
    assert reductions == sorted(set(reductions))
    assert info[-1]["module"] == f"layers.{len(betanet3.layers) - 1}"


def test_classifier_can_be_replaced(betanet3: BlueprintNetwork) -> None:
    network = copy.deepcopy(betanet3).double()
    network.reset_classifier(5)

    assert network(torch.randn(1, 3, 32, 32).double()).shape == (1, 5)
    assert network.classifier.weight.dtype == torch.float64
    assert network.blueprint.num_classes == 5
    assert network.blueprint.num_params == sum(p.numel() for p in network.parameters())
    assert network.classifier.weight.abs().max().item() <= 1 / 5**0.5
    assert betanet3.blueprint.num_classes == 100
    with pytest.raises(BlueprintError, match="num_classes must be at least 1"):
        network.reset_classifier(0)


@pytest.mark.parametrize("resolution", [8, 16])
def test_maps_of_one_pixel_train_with_two_images(resolution: int) -> None:
    blueprint = one_pixel_blueprint(resolution)
    assert blueprint.layers[-1].resolution == 1

    network = blueprint.build()
    assert network(torch.randn(2, 3, resolution, resolution)).isfinite().all()


@pytest.mark.parametrize("resolution", [8, 16])
def test_a_single_image_on_maps_of_one_pixel_is_refused_in_training_alone(resolution: int) -> None:
    network = one_pixel_blueprint(resolution).build()
    image = torch.randn(1, 3, resolution, resolution)

    with pytest.raises(RecipeError, match="at least two images a batch") as caught:
        network(image)
    assert "eval()" in caught.value.hint
    assert network.eval()(image).shape == (1, 10)


def test_a_single_larger_image_trains() -> None:
    network = one_pixel_blueprint(8).build()

    assert network(torch.randn(1, 3, 32, 32)).isfinite().all()
    assert SMALL.build()(torch.randn(1, 3, 32, 32)).isfinite().all()


def test_networks_can_be_traced_and_pickled(betanet3: BlueprintNetwork) -> None:
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = betanet3(images)
        torch.testing.assert_close(torch.fx.symbolic_trace(betanet3)(images), expected)
        torch.testing.assert_close(pickle.loads(pickle.dumps(betanet3))(images), expected)
    torch.fx.symbolic_trace(one_pixel_blueprint(8).build())
