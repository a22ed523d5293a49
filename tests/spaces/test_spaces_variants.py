"""Spaces with other blocks: the same networks without squeeze-excitation, and with one activation."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from betanas.blocks import BLOCKS, Activation
from betanas.blueprint import Blueprint
from betanas.cost import count_macs, count_params, training_memory
from betanas.errors import SpaceError
from betanas.spaces import Range, SearchSpace, available_spaces, get_space, published
from betanas.spaces.scaling import Knobs, Origin, rules_for
from betanas.testing import check_space

LITE = [(name, blocks) for name in available_spaces() for blocks in BLOCKS if blocks != "ordinary"]


def lightened(blueprint: Blueprint, activation: str) -> Blueprint:
    """A blueprint with other blocks, layer by layer."""
    layers = tuple(dataclasses.replace(layer, squeeze=0, activation=activation) for layer in blueprint.layers)
    return dataclasses.replace(blueprint, layers=layers)


@pytest.mark.parametrize(("name", "blocks"), LITE)
def test_a_variant_keeps_every_promise_of_a_space(name: str, blocks: str) -> None:
    check_space(type(get_space(name, blocks=blocks)), vectors=4)


@pytest.mark.parametrize("name", available_spaces())
@given(data=st.data(), blocks=st.sampled_from(list(BLOCKS)), resolution=st.integers(16, 256))
@settings(max_examples=15, deadline=None)
def test_its_networks_are_the_ordinary_ones_with_other_blocks(
    name: str, data: st.DataObject, blocks: str, resolution: int
) -> None:
    space = get_space(name)
    ranges = {each: st.floats(span.low, span.high) for each, span in space.parameters.items()}
    drawn = data.draw(st.lists(st.fixed_dictionaries(ranges), min_size=1, max_size=4))
    variant, rows = space.with_blocks(blocks), space.to_array(drawn)
    activation = BLOCKS[blocks]  # type: ignore[index]
    wanted = [space.blueprint(vector, resolution=resolution, num_classes=10) for vector in drawn]
    if activation is not None:
        wanted = [lightened(each, activation.name) for each in wanted]

    batch = variant.blueprints(rows, resolution=resolution, num_classes=10)

    assert list(batch) == wanted
    assert [variant.blueprint(vector, resolution=resolution, num_classes=10) for vector in drawn] == wanted
    assert count_params(batch).tolist() == [each.num_params for each in wanted]
    assert count_macs(batch).tolist() == [each.macs for each in wanted]
    assert training_memory(batch, 8).tolist() == [each.training_memory(8) for each in wanted]


@pytest.mark.parametrize(("blocks", "activation"), [("lite", nn.ReLU6), ("lite-hardswish", nn.Hardswish)])
def test_the_module_has_what_the_blueprint_says(blocks: str, activation: type[nn.Module]) -> None:
    blueprint = get_space("betanet3", blocks=blocks).blueprint(published("betanet3"), resolution=32, num_classes=10)
    network = blueprint.build()

    assert sum(parameter.numel() for parameter in network.parameters()) == blueprint.num_params
    kinds = {type(module) for module in network.modules()}
    assert activation in kinds
    assert not kinds & {nn.SiLU, nn.Sigmoid}


def test_what_decides_nothing_is_not_searched() -> None:
    space = get_space("betanet3", "table1", blocks="lite")

    assert not set(space.free) & {"S0", "S1"}
    assert space.parameters["S0"] == Range(15.0, 15.0)
    assert (space.name, space.preset, space.blocks) == ("betanet3", "table1", "lite")
    assert space.replace(fixed={"S0": 12.0}).parameters["S0"] == Range(12.0, 12.0)
    assert not set(get_space("convnet", blocks="lite").free) & {"squeeze", "S", "activation"}
    with pytest.raises(SpaceError, match=re.escape("S0 of betanet3 decides nothing with lite blocks. Got '10:20'.")):
        get_space("betanet3", blocks="lite", ranges={"S0": (10, 20)})


def test_blocks_are_changed_and_changed_back() -> None:
    space = get_space("betanet3")
    vector, images = published("betanet3"), {"resolution": 32, "num_classes": 10}

    assert type(space.with_blocks("ordinary")) is type(space)
    assert type(space.with_blocks("lite").with_blocks("ordinary")) is type(space)
    swish = space.with_blocks("lite").with_blocks("lite-hardswish").blueprint(vector, **images)
    assert {layer.activation for layer in swish.layers} == {Activation.Hardswish.name}
    assert isinstance(space.with_blocks("lite").replace(ranges={"k": (2, 3)}), type(space.with_blocks("lite")))


def test_unknown_blocks_are_refused() -> None:
    with pytest.raises(
        SpaceError, match=re.escape("are ordinary, lite, lite-hardswish. Got 'light'. Did you mean lite?")
    ):
        get_space("betanet3", blocks="light")


@pytest.mark.parametrize("name", available_spaces())
def test_every_scaling_rule_keeps_the_blocks(name: str) -> None:
    space: SearchSpace = get_space(name, blocks="lite")
    vector = {parameter: searched.middle.low for parameter, searched in get_space(name).parameters.items()}
    for rule in rules_for(Origin(space, vector, 32, 10), Knobs()):
        layers = rule.blueprint(64).layers
        assert {layer.activation for layer in layers} == {"ReLU6"}, rule.name
        assert not any(layer.squeeze for layer in layers), rule.name
