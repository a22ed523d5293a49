"""A pretrained network's weights in other shapes: the same tensors, the same function, or at least sound numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from betanas.blueprint import Blueprint, Layer
from betanas.errors import BlueprintError
from betanas.pretrained.alignment import align
from betanas.pretrained.channels import choose
from betanas.pretrained.remapping import remap
from betanas.pretrained.seed import SeedNetwork
from betanas.pretrained.wheels import wheel_weights
from betanas.spaces import available_spaces, get_space

# The scale is the seed's up to the epsilon of its norms.
NORM = ("weight", "bias", "running_mean", "running_var")


def started(blueprint: Blueprint, seed: SeedNetwork) -> nn.Module:
    torch.manual_seed(0)
    network = blueprint.build()
    network.load_state_dict(remap(blueprint, seed), strict=False)
    return network.eval()


def drawn(space: str, draw: int, *, resolution: int, channels: int, blocks: str = "ordinary") -> Blueprint:
    searched = get_space(space, blocks=blocks)
    generator = np.random.default_rng(draw)
    vector = {name: generator.uniform(each.low, each.high) for name, each in searched.parameters.items()}
    return searched.blueprint(vector, resolution=resolution, num_classes=7, in_channels=channels)


# The seed's own shape -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True])
def test_a_network_of_the_seeds_shape_gets_the_seeds_tensors(real, request, made_weights, own_blueprint):
    if real:
        request.getfixturevalue("real_seed")
    weights = wheel_weights("tf_efficientnet_lite0") if real else made_weights
    seed = SeedNetwork.of(weights)
    blueprint = own_blueprint(seed)
    assert align(blueprint, seed.shape) == tuple(range(len(seed.shape.blocks)))
    places = [place for place in weights if place.endswith("conv_dw.weight")]
    names = {"layers.0": ("conv_stem", "bn1"), "latent": ("conv_head", "bn2")}
    for index, place in enumerate(places, start=1):
        block, first = place.removesuffix(".conv_dw.weight"), index == 1
        if not first:
            names[f"layers.{index}.branch.expand"] = (f"{block}.conv_pw", f"{block}.bn1")
        names[f"layers.{index}.branch.depthwise"] = (f"{block}.conv_dw", f"{block}.bn{1 if first else 2}")
        project = (f"{block}.conv_pw", f"{block}.bn2") if first else (f"{block}.conv_pwl", f"{block}.bn3")
        names[f"layers.{index}.branch.project"] = project
    tensors = remap(blueprint, seed)
    for own, (conv, norm) in names.items():
        assert torch.equal(tensors[f"{own}.0.weight"], weights[f"{conv}.weight"]), own
        for name in NORM[1:]:
            assert torch.equal(tensors[f"{own}.1.{name}"], weights[f"{norm}.{name}"]), own
    left = set(tensors) - {f"{own}.{end}" for own in names for end in ("0.weight", *(f"1.{name}" for name in NORM))}
    assert left == {f"layers.1.branch.expand.{end}" for end in ("0.weight", *(f"1.{name}" for name in NORM))}


def test_the_blocks_answer_as_timms_do(real_seed, own_blueprint):
    timm = pytest.importorskip("timm")
    original = timm.create_model("tf_efficientnet_lite0").eval()
    original.load_state_dict(wheel_weights("tf_efficientnet_lite0"))
    network = started(own_blueprint(real_seed, resolution=64), real_seed)
    blocks = [block for stage in original.blocks for block in stage]
    torch.manual_seed(0)
    with torch.inference_mode():
        features = original.bn1(original.conv_stem(torch.randn(2, 3, 64, 64)))
        for block, layer, shape in zip(blocks, network.layers[1:], real_seed.shape.blocks, strict=True):
            after = block(features)
            # timm pads a strided convolution on one side alone, as TensorFlow does.
            if shape.stride == 1:
                assert (layer(features) - after).std() < 1e-3 * after.std()
            features = after


# Other shapes with the same function --------------------------------------------------------------------------------


def test_a_wider_network_gives_the_same_features(seed, own_blueprint):
    narrow, wide = own_blueprint(seed), own_blueprint(seed, wider=2)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = started(narrow, seed).forward_features(images)
        found = started(wide, seed).forward_features(images)
    chosen = choose(wide.latent, seed.latent_importance)
    assert chosen.index.bincount().tolist() == [2] * narrow.latent
    torch.testing.assert_close(found, expected[:, chosen.index], rtol=1e-3, atol=1e-3)


def test_channels_that_stand_for_one_do_not_stay_alike():
    chosen = choose(5, torch.tensor([1.0, 3.0]))
    assert chosen.index.tolist() == [0, 1, 1, 0, 1]
    totals = torch.zeros(2).index_add(0, chosen.index, chosen.share)
    torch.testing.assert_close(totals, torch.ones(2))
    assert len(set(chosen.share.tolist())) == 5


def test_fewer_channels_are_the_most_important_ones_in_their_order():
    chosen = choose(2, torch.tensor([2.0, 0.0, 3.0, 1.0]))
    assert chosen.index.tolist() == [0, 2]
    assert chosen.share.tolist() == [1.0, 1.0]


def test_a_grey_image_is_seen_as_its_copy_in_three_colours(seed, own_blueprint):
    coloured = own_blueprint(seed)
    first = replace(coloured.layers[0], in_channels=1)
    grey = replace(coloured, in_channels=1, layers=(first, *coloured.layers[1:]))
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = started(coloured, seed).forward_features(images.expand(-1, 3, -1, -1))
        torch.testing.assert_close(started(grey, seed).forward_features(images), expected, rtol=1e-3, atol=1e-3)


def test_a_fused_block_leaves_out_an_activation_and_nothing_else(seed, own_blueprint):
    fused = own_blueprint(seed, fused=True)
    place = next(index for index, block in enumerate(seed.shape.blocks, start=1) if block.keeps and block.kernel == 3)
    block, layer = seed.blocks[place - 1], started(fused, seed).layers[place]
    takes = seed.shape.widths[block.shape.takes]
    images = torch.randn(2, takes, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expanded = functional.conv2d(images, block.expand.weight) * block.expand.norm.factor[:, None, None]
        expected = functional.conv2d(expanded, block.depthwise.weight, padding=1, groups=len(block.depthwise.weight))
        torch.testing.assert_close(layer.branch.expand[0](images), expected, rtol=1e-3, atol=1e-3)


def plain_after(blueprint: Blueprint, layers: int) -> Blueprint:
    """A blueprint's first layers, the last of them as a plain convolution."""
    last = blueprint.layers[layers - 1]
    plain = replace(last, kind="CNA", hidden=0)
    return replace(blueprint, layers=(*blueprint.layers[: layers - 1], plain), latent=0)


def test_a_plain_convolution_is_a_fused_block_without_its_activation(seed, own_blueprint):
    fused, plain = own_blueprint(seed, fused=True), plain_after(own_blueprint(seed), 3)
    assert align(plain, seed.shape) == (0, 1)
    branch = started(fused, seed).layers[2].branch
    images = torch.randn(2, seed.shape.widths[1], 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        inner = branch.expand[1](branch.expand[0](images)) - branch.expand[1](branch.expand[0](images * 0))
        found = started(plain, seed).layers[2][0](images)
        torch.testing.assert_close(found, branch.project[0](inner), rtol=1e-2, atol=1e-2)


def test_a_plain_convolution_passes_on_what_a_block_is_added_to(made_seed, own_blueprint):
    place, block = next((i, each) for i, each in enumerate(made_seed.blocks) if each.shape.keeps)
    silent = replace(block, project=replace(block.project, weight=torch.zeros_like(block.project.weight)))
    seed = replace(made_seed, blocks=(*made_seed.blocks[:place], silent, *made_seed.blocks[place + 1 :]))
    plain = plain_after(own_blueprint(seed), place + 2)
    assert align(plain, seed.shape)[-1] == place
    images = torch.randn(2, seed.shape.widths[block.shape.takes], 6, 6)
    with torch.inference_mode():
        torch.testing.assert_close(started(plain, seed).layers[-1][0](images), images)


# All shapes that can be searched -------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", ["ordinary", "lite"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resolution", [16, 32])
@pytest.mark.parametrize("space", available_spaces())
def test_any_network_of_a_space_starts_with_sound_numbers(space, resolution, channels, blocks, made_seed):
    draw = resolution + channels
    _check_start(drawn(space, draw, resolution=resolution, channels=channels, blocks=blocks), made_seed)


@pytest.mark.parametrize("space", available_spaces())
def test_any_network_of_a_space_starts_with_sound_numbers_from_the_real_weights(space, real_seed):
    _check_start(drawn(space, 1, resolution=32, channels=3), real_seed)


def _check_start(blueprint: Blueprint, seed: SeedNetwork) -> None:
    tensors, network = remap(blueprint, seed), blueprint.build()
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    assert not unexpected
    idle = {index for index, block in enumerate(align(blueprint, seed.shape), start=1) if block is None}
    assert all(blueprint.layers[index].residual for index in idle)
    for name in missing:
        mine = name.startswith("classifier.") or "squeeze_excitation" in name or name.endswith("num_batches_tracked")
        assert mine or int(name.split(".")[1]) in idle, name
    for mode in (True, False):
        network.train(mode)
        features = torch.randn(8, blueprint.in_channels, blueprint.resolution, blueprint.resolution)
        with torch.no_grad():
            for layer in (*network.layers, network.latent):
                features = layer(features)
                assert features.isfinite().all()
                # In evaluation mode the statistics of norms are those of other maps, until training has seen some.
                assert features.std() < (50 if mode else 1e4)
                assert not mode or features.std() > 1e-3


def test_a_map_with_room_holds_two_bases_so_that_a_sum_can_change_its_meaning(made_seed):
    widths = made_seed.shape.widths
    width = widths[1] + widths[2]
    layers = [
        Layer("CNA", 3, widths[0], 2, 0, 0, 1.0, 1.0, 0.0, 16),
        Layer("MBC", widths[0], width, 1, widths[0], 0, 1.0, 1.0, 0.0, 16),
        Layer("MBC", width, width, 1, 6 * widths[1], 0, 1.0, 1.0, 0.0, 16),
    ]
    blueprint = Blueprint(32, 3, 10, tuple(layers), 0)
    assert align(blueprint, made_seed.shape) == (0, 1)
    network = started(blueprint, made_seed)
    with torch.inference_mode():
        first = network.layers[:2](torch.randn(2, 3, 32, 32))
        second = network.layers[2](first)
    assert (first[:, widths[1] :] == 0).all()
    assert (second[:, : widths[1]] == first[:, : widths[1]]).all()
    assert (second[:, widths[1] :].std(dim=(0, 2, 3)) > 0).all()


def test_equal_arguments_give_equal_tensors(made_seed, made_weights):
    blueprint = drawn("betanet3", 3, resolution=32, channels=3)
    torch.manual_seed(1)
    first = remap(blueprint, made_seed)
    torch.manual_seed(2)
    second = remap(blueprint, SeedNetwork.of(made_weights))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_blocks_are_taken_in_order(made_seed):
    for draw in range(10):
        blocks = align(drawn("betanet3", draw, resolution=32, channels=3), made_seed.shape)
        taken = [each for each in blocks if each is not None]
        assert taken == sorted(taken)


def test_another_network_is_no_seed(made_weights):
    weights = dict(made_weights)
    del weights["conv_head.weight"]
    with pytest.raises(BlueprintError, match="EfficientNet without squeeze-excitation"):
        SeedNetwork.of(weights)
