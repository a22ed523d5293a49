"""The vectorised construction against a scalar one, written from `betanet.md`, section 3, rule by rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import beta, qmc

from betanas.blueprint import Blueprint
from betanas.spaces import SearchSpace, get_space
from betanas.spaces.construction import place_layers

Vector = dict[str, float]
SPACES = ("betanet2", "betanet3")


def place(a: float, b: float, count: int, depth: int) -> set[int]:
    """Rule 4, claim by claim."""
    quantiles = [step / count for step in range(count)]
    taken: set[int] = set()
    for t in beta.ppf(quantiles, 10**a, 10**b):
        layer = math.ceil(t * (depth - 1) - 1e-9)
        while layer in taken:
            layer += 1
        if layer >= depth:
            layer = depth - 1
            while layer in taken:
                layer -= 1
        taken.add(layer)
    return taken


def construct(space: str, v: Vector, resolution: int, in_channels: int) -> tuple[int, list[dict[str, Any]]]:
    """Rules 1 to 9: the latent channels, and every layer."""
    side, contractions = resolution, 0
    while side >= 2 ** v["k"]:
        side = math.ceil(side / 2)
        contractions += 1
    contractions = max(contractions, 1)
    depth = max(int(v["K"] * contractions), contractions)
    full_width = v["G0"] * resolution

    contracts = place(v["Da"], v["Db"], contractions, depth)
    assert 0 in contracts
    if space == "betanet2":
        changes = contracts
        progress = [sum(j <= i for j in contracts) / contractions for i in range(depth)]
        shares = beta.cdf(progress, 10 ** v["Wa"], 10 ** v["Wb"])
    else:
        changes = contracts | place(v["WLa"], v["WLb"], contractions, depth)
        shares = beta.cdf([(i + 0.5) / depth for i in range(depth)], 10 ** v["WCa"], 10 ** v["WCb"])

    layers = []
    side, channels = resolution, in_channels
    for i in range(depth):
        along = i / (depth - 1) if depth > 1 else 0.0
        stride = 2 if i in contracts else 1
        side = math.ceil(side / stride)
        out = max(int(in_channels + (full_width - in_channels) * shares[i]), 1) if i in changes else channels
        kind = "CNA" if i == 0 else "FMBC" if (i + 0.5) / depth < v["B"] else "MBC"
        expansion = v["E0"] + (v["E1"] - v["E0"]) * along
        se_ratio = v["S0"] + (v["S1"] - v["S0"]) * along
        hidden = 0 if kind == "CNA" else max(int(channels * expansion), 1)
        residual = kind != "CNA" and stride == 1 and out == channels
        layers.append(
            {
                "kind": kind,
                "in_channels": channels,
                "out_channels": out,
                "stride": stride,
                "hidden": hidden,
                "squeeze": max(int(hidden / se_ratio), 1) if kind == "MBC" else 0,
                "expansion": pytest.approx(expansion, rel=1e-12),
                "se_ratio": pytest.approx(se_ratio, rel=1e-12),
                "drop_path": pytest.approx(0.2 * along if residual else 0.0, abs=1e-12),
                "resolution": side,
            }
        )
        channels = out
    return max(int(v["G1"] * full_width), 1), layers


def assert_follows_the_rules(blueprint: Blueprint, space: str, vector: Vector) -> None:
    latent, layers = construct(space, vector, blueprint.resolution, blueprint.in_channels)

    assert blueprint.latent == latent
    assert len(blueprint.layers) == len(layers)
    for index, (layer, wanted) in enumerate(zip(blueprint.layers, layers, strict=True)):
        found = {name: getattr(layer, name) for name in wanted}
        assert found == wanted, f"layer {index}"


def domain_vectors(space: SearchSpace) -> st.SearchStrategy[Vector]:
    """Everything the construction claims to work for, far beyond what is searched."""
    return st.fixed_dictionaries({name: st.floats(span.low, span.high) for name, span in space.domain.items()})


EXTREME = {
    "k": 0.01, "K": 20.0, "Da": 2.0, "Db": -2.0, "G0": 0.05, "G1": 0.05, "B": 0.0, "E0": 0.25, "E1": 20.0,
    "S0": 100.0, "S1": 1.0,
}  # fmt: skip
CROWDED_LAST = EXTREME | {"Wa": -2.0, "Wb": 2.0, "WLa": 2.0, "WLb": -2.0, "WCa": -2.0, "WCb": 2.0}
CROWDED_FIRST = CROWDED_LAST | {"Da": -2.0, "Db": 2.0, "WLa": -2.0, "WLb": 2.0, "K": 1.0, "B": 1.0, "G0": 50.0}


def only(space: SearchSpace, vector: Vector) -> Vector:
    return {name: vector[name] for name in space.domain}


@pytest.mark.parametrize("resolution", [8, 15, 224, 1024])
@pytest.mark.parametrize("vector", [CROWDED_LAST, CROWDED_FIRST])
@pytest.mark.parametrize("name", SPACES)
def test_extreme_vectors_follow_the_rules(name: str, vector: Vector, resolution: int) -> None:
    space = get_space(name)
    blueprint = space.blueprint(only(space, vector), resolution=resolution, num_classes=7, in_channels=8)

    assert_follows_the_rules(blueprint, name, only(space, vector))


@pytest.mark.parametrize("name", SPACES)
@given(data=st.data(), resolution=st.integers(8, 1024), in_channels=st.integers(1, 8))
@settings(max_examples=200, deadline=None)
def test_batches_of_any_vectors_follow_the_rules(
    name: str, data: st.DataObject, resolution: int, in_channels: int
) -> None:
    """Several at once, so that a shallow network is constructed beside a deep one and padded to its depth."""
    space = get_space(name)
    vectors = data.draw(st.lists(domain_vectors(space), min_size=1, max_size=4))

    batch = space.blueprints(space.to_array(vectors), resolution=resolution, num_classes=3, in_channels=in_channels)
    for blueprint, vector in zip(batch, vectors, strict=True):
        assert_follows_the_rules(blueprint, name, vector)


@pytest.mark.parametrize("preset", ["table1", "report", "default"])
@pytest.mark.parametrize(("name", "resolution"), [("betanet2", 224), ("betanet3", 32), ("betanet3", 384)])
def test_hundreds_of_searched_vectors_follow_the_rules(name: str, resolution: int, preset: str) -> None:
    space = get_space(name, preset)
    points = qmc.Sobol(len(space.free), seed=resolution).random(256)
    rows = space.from_unit(points)

    for blueprint, row in zip(space.blueprints(rows, resolution=resolution, num_classes=100), rows, strict=True):
        assert_follows_the_rules(blueprint, name, space.to_vector(row))


@given(a=st.floats(-2, 2), b=st.floats(-2, 2), count=st.integers(1, 12), spare=st.integers(0, 200))
@example(a=0.0, b=0.0, count=5, spare=20)  # uniform quantiles that fall on layers exactly
@settings(max_examples=500, deadline=None)
def test_placement_takes_distinct_layers_and_always_the_first(a: float, b: float, count: int, spare: int) -> None:
    depth = count + spare
    chosen = place_layers(np.array([a]), np.array([b]), np.array([count]), np.array([depth]))

    assert set(np.nonzero(chosen[0])[0].tolist()) == place(a, b, count, depth)
    assert chosen.sum() == count
    assert chosen[0, 0]
