"""The checks that timm makes of its own models, in our words, on ours."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from timm.models import group_parameters
from torch import nn

import betanas as bn
import betanas.timm
import timm
from betanas.errors import BlueprintError

NAMES = betanas.timm.model_names()
SIDE = 64  # any image will do: the networks are convolutional up to their pooling


def images(model: nn.Module, batch: int = 1, side: int = SIDE) -> torch.Tensor:
    return torch.randn(batch, model.default_cfg["input_size"][0], side, side)


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(request.param, pretrained=False).eval()


def small(**settings: object) -> nn.Module:
    return timm.create_model("betanet2_digits_r16", pretrained=False, **settings)


def test_the_published_vectors_and_the_library_are_registered() -> None:
    published = {f"{space}_r{side}" for space in ("betanet2", "betanet3") for side in (224, 384)}
    assert published <= set(NAMES)
    assert set(timm.list_models("betanet*")) == set(NAMES)
    assert set(timm.list_models("betanet*", pretrained=True)) == set(NAMES) - published


def test_importing_betanas_alone_loads_no_timm() -> None:
    code = "import sys, betanas\nassert 'timm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("space", "side"), [("betanet2", 224), ("betanet3", 384)])
def test_a_model_is_the_blueprints_network(space: str, side: int) -> None:
    with torch.device("meta"):
        model = timm.create_model(f"{space}_r{side}", num_classes=10)
    blueprint = bn.get_space(space).blueprint(bn.published(space), resolution=side, num_classes=10)
    assert sum(p.numel() for p in model.parameters()) == blueprint.num_params
    assert model.blueprint.key == blueprint.key


def test_the_default_cfg_is_true_of_the_model(model: nn.Module) -> None:
    cfg = model.default_cfg
    classes, weights = cfg["num_classes"], model.state_dict()
    assert cfg["input_size"] == (model.in_chans, model.blueprint.resolution, model.blueprint.resolution)
    assert len(cfg["mean"]) == len(cfg["std"]) in (model.in_chans, 3)
    assert weights[f"{cfg['classifier']}.weight"].shape[0] == classes == model.num_classes
    assert weights[f"{cfg['first_conv']}.weight"].shape[1] == model.in_chans
    pooled = model.blueprint.layers[-1].resolution
    assert cfg["pool_size"] == (pooled, pooled)


def test_head_and_features_make_the_forward_pass(model: nn.Module) -> None:
    x = images(model)
    with torch.no_grad():
        features = model.forward_features(x)
        pooled = model.forward_head(features, pre_logits=True)
        logits = model(x)
    assert features.shape[1] == model.num_features
    assert pooled.shape == (1, model.head_hidden_size)
    assert logits.shape == (1, model.num_classes)
    torch.testing.assert_close(model.get_classifier()(pooled), logits)


def test_feature_maps_are_as_the_info_says(model: nn.Module) -> None:
    extractor = timm.create_model(model.default_cfg["architecture"], features_only=True).eval()
    info = extractor.feature_info
    with torch.no_grad():
        maps = extractor(images(model))
    assert len(maps) == len(info.out_indices)
    for found, channels, reduction in zip(maps, info.channels(), info.reduction(), strict=True):
        assert found.shape == (1, channels, -(-SIDE // reduction), -(-SIDE // reduction))
    assert not any("classifier" in name or "latent" in name for name, _ in extractor.named_parameters())


@pytest.mark.parametrize("kind", ["list", "hook", "getter", "fx"])
def test_every_extractor_gives_the_maps_that_are_asked_for(kind: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model("betanet3_r224").eval()
    extractor = timm.create_model("betanet3_r224", features_only=True, out_indices=(1, 3), feature_cls=kind).eval()
    own, weights = extractor.state_dict(), model.state_dict()
    for name in own:  # each kind wraps the layers in modules of its own
        plain = re.sub(r"^(?:body|model|graph_module)\.", "", name).replace("layers_", "layers.")
        own[name] = weights[plain]
    extractor.load_state_dict(own)
    x = images(model)
    with torch.no_grad():
        _, expected = model.forward_intermediates(x, indices=[1, 3])
        for one, other in zip(extractor(x), expected, strict=True):
            torch.testing.assert_close(one, other)


def test_intermediates_come_with_the_features(model: nn.Module) -> None:
    x = images(model)
    with torch.no_grad():
        features, maps = model.forward_intermediates(x)
        torch.testing.assert_close(features, model.forward_features(x))
        last = model.forward_intermediates(x, indices=1, intermediates_only=True)
        first = model.forward_intermediates(x, indices=[0], stop_early=True, intermediates_only=True)
    assert len(maps) == len(model.feature_info)
    for found, info in zip(maps, model.feature_info, strict=True):
        assert found.shape[1] == info["num_chs"]
        assert found.shape[-1] == -(-SIDE // info["reduction"])
    torch.testing.assert_close(last[0], maps[-1])
    torch.testing.assert_close(first[0], maps[0])
    with pytest.raises(ValueError, match="NCHW"):
        model.forward_intermediates(x, output_fmt="NLC")


def test_what_follows_the_last_map_can_be_pruned() -> None:
    model = timm.create_model("betanet3_r224").eval()
    x = images(model)
    with torch.no_grad():
        before = model.forward_intermediates(x, indices=[0, 2], intermediates_only=True)
        assert model.prune_intermediate_layers([0, 2]) == [0, 2]
        after = model.forward_intermediates(x, indices=[0, 2], intermediates_only=True)
        features = model(x)
    assert len(model.layers) < len(model.blueprint.layers)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(features, after[-1])
    assert model.num_features == after[-1].shape[1]


def test_training_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    model = small(num_classes=42, drop_rate=0.1, drop_path_rate=0.1).train()
    logits = model(images(model, batch=2, side=16))
    assert logits.shape == (2, 42)
    logits.mean().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    assert logits.isfinite().all()


def test_checkpointing_changes_no_gradient() -> None:
    torch.manual_seed(0)
    model, gradients = small(drop_path_rate=0.0).train(), []
    x = images(model, batch=4, side=16)
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(x).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("pool", ["", "avg", "max", "catavgmax"])
def test_head_and_pooling_can_be_left_out_and_put_back(pool: str) -> None:
    created, reset = small(num_classes=0, global_pool=pool).eval(), small().eval()
    reset.reset_classifier(0, pool)
    x = images(created, side=32)
    with torch.no_grad():
        for model in (created, reset):
            assert isinstance(model.get_classifier(), nn.Identity)
            assert model.num_classes == 0
            expected = (model.num_features, 16, 16) if not pool else (model.head_hidden_size,)
            assert model(x).shape == (1, *expected)
        reset.reset_classifier(7, "avg")
        assert reset(x).shape == (1, 7)
    assert reset.blueprint.num_classes == 7
    assert reset.training is False


def test_device_type_and_stochastic_depth_are_taken() -> None:
    model = small(dtype=torch.float64, drop_path_rate=0.4)
    rates = [module.p for module in model.modules() if type(module).__name__ == "StochasticDepth"]
    assert max(rates) == pytest.approx(0.4)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    model.reset_classifier(3)
    assert model.classifier.weight.dtype == torch.float64


@pytest.mark.parametrize("coarse", [False, True])
def test_parameters_are_grouped_from_image_to_head(coarse: bool) -> None:
    model = small()
    groups = group_parameters(model, model.group_matcher(coarse=coarse), reverse=True)
    assert set(groups) == {name for name, _ in model.named_parameters()}
    assert groups["layers.0.0.weight"] == 0
    # As in timm's EfficientNets, the last 1x1 convolution belongs to the last block.
    assert groups["classifier.weight"] >= groups["latent.0.weight"] == groups["layers.2.branch.project.0.weight"]
    layers = {groups[name] for name in groups if name.startswith("layers.")}
    assert len(layers) == (2 if coarse else 3)


def test_weights_are_the_librarys_and_adapt_to_other_images() -> None:
    ours = bn.load_network("betanet2_digits_r16")
    theirs = timm.create_model("betanet2_digits_r16", pretrained=True).eval()
    x = images(theirs, batch=3, side=16)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), ours(x))
    other = timm.create_model("betanet2_digits_r16", pretrained=True, num_classes=3, in_chans=3)
    assert other.classifier.weight.shape[0] == 3
    torch.testing.assert_close(other.layers[0][0].weight.sum(1), ours.layers[0][0].weight.sum(1))
    torch.testing.assert_close(other.latent[0].weight, ours.latent[0].weight)


def test_published_vectors_have_no_weights() -> None:
    with pytest.raises(RuntimeError, match="No pretrained weights"):
        timm.create_model("betanet2_r224", pretrained=True, num_classes=3)
    with pytest.raises(BlueprintError, match="pretrained=False"):
        bn.load_network("betanet2_r224")
