"""Blueprints as data: validation, equality, JSON, tables and batches."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint, BlueprintBatch, Layer, contracted
from betanas.errors import BlueprintError
from betanas.spaces import get_space, published

CNA = Layer("CNA", 3, 8, 2, 0, 0, 4.0, 20.0, 0.0, 16)
FMBC = Layer("FMBC", 8, 8, 1, 24, 0, 3.0, 18.0, 0.1, 16)
MBC = Layer("MBC", 8, 12, 2, 16, 4, 2.0, 4.0, 0.0, 8)
SMALL = Blueprint(resolution=32, in_channels=3, num_classes=10, layers=(CNA, FMBC, MBC), latent=20)


@pytest.fixture(scope="module")
def betanet3() -> Blueprint:
    return get_space("betanet3").blueprint(published("betanet3"), resolution=224, num_classes=100)


@pytest.mark.parametrize(
    ("layer", "changes", "rule"),
    [
        (MBC, {"kind": "MBConv"}, "kind must be one of CNA, FMBC, MBC"),
        (MBC, {"kind": None}, "kind must be one of"),
        (MBC, {"kind": ["MBC"]}, "kind must be one of"),
        (MBC, {"stride": 3}, "stride must be 1 or 2"),
        (MBC, {"stride": 0}, "stride must be 1 or 2"),
        (MBC, {"in_channels": 0}, "in_channels must be at least 1"),
        (MBC, {"out_channels": -1}, "out_channels must be at least 1"),
        (MBC, {"resolution": 0}, "resolution must be at least 1"),
        (MBC, {"hidden": 0}, "hidden must be at least 1"),
        (MBC, {"squeeze": -1}, "squeeze must be at least 0"),
        (FMBC, {"hidden": 0}, "hidden must be at least 1"),
        (FMBC, {"squeeze": 2}, "A FMBC layer's squeeze must be 0"),
        (CNA, {"hidden": 8}, "A CNA layer's hidden must be 0"),
        (CNA, {"squeeze": 1}, "A CNA layer's squeeze must be 0"),
        (FMBC, {"drop_path": 1.0}, r"drop_path must lie in \[0, 1\)"),
        (FMBC, {"drop_path": -0.1}, r"drop_path must lie in \[0, 1\)"),
        (FMBC, {"drop_path": math.nan}, "drop_path must be a Python float"),
        (MBC, {"drop_path": 0.1}, "without a residual must have a drop_path of 0"),
        (CNA, {"drop_path": 0.1}, "without a residual must have a drop_path of 0"),
        (FMBC, {"in_channels": 8.0}, "in_channels must be a Python int"),
        (FMBC, {"in_channels": True}, "in_channels must be a Python int"),
        (FMBC, {"hidden": np.int64(24)}, "hidden must be a Python int"),
        (FMBC, {"out_channels": 10**9}, "of at most 100,000,000"),
        (FMBC, {"expansion": math.inf}, "expansion must be a Python float"),
        (FMBC, {"se_ratio": "18"}, "se_ratio must be a Python float"),
        (MBC, {"activation": "Tanh"}, "activation must be one of SiLU, ReLU, ReLU6, Hardswish"),
        (MBC, {"activation": 1}, "activation must be one of"),
        (FMBC, {"pooled": True}, "may be pooled, true or false, where its stride is 2"),
        (MBC, {"pooled": "yes"}, "may be pooled, true or false"),
    ],
)
def test_impossible_layer_is_refused(layer: Layer, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(BlueprintError, match=rule) as caught:
        dataclasses.replace(layer, **changes)
    assert caught.value.value is next(iter(changes.values())) or caught.value.value == next(iter(changes.values()))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"layers": ()}, "at least one layer"),
        ({"resolution": 0}, "resolution must be at least 1"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"latent": -5}, "latent must be at least 0"),
        ({"latent": 20.0}, "latent must be a Python int"),
        ({"num_classes": True}, "num_classes must be a Python int"),
        ({"in_channels": 4}, "first layer must take the image's 4 channels"),
        ({"layers": (CNA, MBC, FMBC)}, "Layer 2 must take the 12 channels that layer 1 gives"),
        ({"resolution": 64}, "Layer 0's output side must be 32"),
        ({"layers": (CNA, dataclasses.replace(FMBC, resolution=8))}, "Layer 1's output side must be 16"),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(BlueprintError, match=rule):
        dataclasses.replace(SMALL, **changes)


@given(side=st.integers(1, 5000))
def test_contracted_side_is_that_of_a_padded_convolution(side: int) -> None:
    assert contracted(side) == (side + 2 - 3) // 2 + 1


def test_residuals_need_equal_widths_and_stride_1() -> None:
    assert [layer.residual for layer in SMALL.layers] == [False, True, False]
    assert not dataclasses.replace(CNA, in_channels=8, stride=1).residual
    assert not dataclasses.replace(FMBC, stride=2, drop_path=0.0).residual


def test_blueprints_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.latent = 7  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        CNA.stride = 1  # type: ignore[misc]


def test_key_is_the_integer_networks_alone() -> None:
    other_ratios = [
        dataclasses.replace(layer, expansion=layer.expansion + 0.001, se_ratio=layer.se_ratio + 0.001)
        for layer in SMALL.layers
    ]

    assert dataclasses.replace(SMALL, layers=tuple(other_ratios)).key == SMALL.key


def test_key_differs_where_any_integer_does() -> None:
    wider = dataclasses.replace(FMBC, out_channels=9, drop_path=0.0), dataclasses.replace(MBC, in_channels=9)
    others = [
        dataclasses.replace(SMALL, num_classes=11),
        dataclasses.replace(SMALL, latent=21),
        dataclasses.replace(SMALL, layers=SMALL.layers[:2]),
        dataclasses.replace(SMALL, layers=(CNA, *wider)),
        dataclasses.replace(SMALL, layers=(CNA, dataclasses.replace(FMBC, hidden=25), MBC)),
        dataclasses.replace(SMALL, layers=(CNA, FMBC, dataclasses.replace(MBC, squeeze=3))),
        dataclasses.replace(SMALL, layers=(CNA, FMBC, dataclasses.replace(MBC, stride=1, resolution=16))),
        dataclasses.replace(SMALL, layers=(CNA, dataclasses.replace(FMBC, kind="MBC", squeeze=1), MBC)),
        dataclasses.replace(SMALL, resolution=31),
        dataclasses.replace(SMALL, in_channels=4, layers=(dataclasses.replace(CNA, in_channels=4), FMBC, MBC)),
    ]

    keys = {blueprint.key for blueprint in [SMALL, *others]}
    assert len(keys) == 1 + len(others)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_vectors_share_a_key_exactly_where_their_integer_networks_are_equal(data: st.DataObject) -> None:
    space = get_space("betanet2", "report")
    vector = {name: data.draw(st.floats(span.low, span.high)) for name, span in space.parameters.items()}
    nearby = vector | {"E1": min(vector["E1"] + data.draw(st.floats(0, 0.01)), 6.0)}
    one, other = (space.blueprint(point, resolution=32, num_classes=10) for point in (vector, nearby))

    same_network = one.latent == other.latent and [a.shape for a in one.layers] == [b.shape for b in other.layers]
    assert (one.key == other.key) == same_network


def test_key_survives_between_processes(betanet3: Blueprint) -> None:
    """A study on disk refers to networks by key: it must never change."""
    assert betanet3.key == "075b50de903781e1"
    assert SMALL.key == "b14c6401ac99e685"


def test_json_gives_an_equal_blueprint_back(betanet3: Blueprint, tmp_path: Path) -> None:
    for indent in (None, 2):
        assert Blueprint.from_json(betanet3.to_json(indent=indent)) == betanet3
    file = tmp_path / "blueprint.json"
    file.write_text(betanet3.to_json(), encoding="utf-8")
    assert Blueprint.load(file) == betanet3
    assert Blueprint.load(str(file)).key == betanet3.key


def damaged(damage: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = json.loads(SMALL.to_json())
    damage(data)
    return dict(data)


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no layers": lambda data: data.pop("layers"),
    "layers are no list": lambda data: data.update(layers={"0": {}}),
    "empty list of layers": lambda data: data.update(layers=[]),
    "no format": lambda data: data.pop("format"),
    "a newer format": lambda data: data.update(format=2),
    "format as text": lambda data: data.update(format="1"),
    "no latent": lambda data: data.pop("latent"),
    "something more": lambda data: data.update(comment="mine"),
    "resolution as text": lambda data: data.update(resolution="32"),
    "resolution as a fraction": lambda data: data.update(resolution=32.0),
    "resolution missing a value": lambda data: data.update(resolution=None),
    "classes as a truth value": lambda data: data.update(num_classes=True),
    "no class": lambda data: data.update(num_classes=0),
    "a latent beyond 64 bits": lambda data: data.update(latent=10**30),
    "a layer that is no object": lambda data: data["layers"].insert(1, [1, 2]),
    "a layer without a field": lambda data: data["layers"][1].pop("hidden"),
    "a layer with a field more": lambda data: data["layers"][1].update(bias=False),
    "a layer of an unknown kind": lambda data: data["layers"][1].update(kind="Transformer"),
    "a width as text": lambda data: data["layers"][1].update(out_channels="8"),
    "a negative width": lambda data: data["layers"][1].update(hidden=-24),
    "a width beyond 64 bits": lambda data: data["layers"][1].update(hidden=10**30),
    "a ratio that is no number": lambda data: data["layers"][1].update(expansion=math.nan),
    "a ratio beyond all numbers": lambda data: data["layers"][1].update(se_ratio=10**400),
    "a ratio as a truth value": lambda data: data["layers"][1].update(expansion=True),
    "a layer missing": lambda data: data["layers"].pop(0),
    "layers in another order": lambda data: data["layers"].reverse(),
    "a wrong side": lambda data: data["layers"][2].update(resolution=9),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_blueprint_is_refused(damage: str) -> None:
    with pytest.raises(BlueprintError):
        Blueprint.from_dict(damaged(DAMAGES[damage]))


@pytest.mark.parametrize("data", [None, [], "blueprint", 3, {}, {"layers": None}])
def test_what_is_no_blueprint_at_all_is_refused(data: object) -> None:
    with pytest.raises(BlueprintError, match="an object with a list of layers") as caught:
        Blueprint.from_dict(data)
    assert "describe --json" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "not JSON", "[" * 100_000, SMALL.to_json()[:-1]])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BlueprintError, match="must be JSON text"):
        Blueprint.from_json(text)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "weights.bin"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    for path in (tmp_path / "missing.json", tmp_path, binary):
        with pytest.raises(BlueprintError, match="must be readable text") as caught:
            Blueprint.load(path)
        assert caught.value.value == str(path)


def test_table_joins_equal_layers_and_averages_their_ratios() -> None:
    longer = dataclasses.replace(FMBC, expansion=4.0, se_ratio=20.0)
    blueprint = dataclasses.replace(SMALL, layers=(CNA, FMBC, longer, MBC))

    rows = blueprint.table()
    assert [row.repeats for row in rows] == [1, 2, 1]
    assert (rows[1].expansion, rows[1].se_ratio, rows[1].resolution) == (3.5, 19.0, 16)
    assert sum(row.repeats for row in rows) == len(blueprint.layers)
    for above, below in pairwise(rows):
        assert above.out_channels == below.in_channels


def test_costs_are_counted_once_and_as_plain_integers() -> None:
    assert type(SMALL.num_params) is int
    assert type(SMALL.macs) is int
    assert type(SMALL.training_memory(4)) is int


def test_batch_gives_its_blueprints_back(betanet3: Blueprint) -> None:
    shallow = dataclasses.replace(betanet3, layers=betanet3.layers[:4])
    batch = BlueprintBatch.of([betanet3, shallow, betanet3])

    assert list(batch) == [betanet3, shallow, betanet3]
    assert batch.present.sum(axis=1).tolist() == [len(betanet3.layers), 4, len(betanet3.layers)]
    assert batch.last_resolution.tolist() == [blueprint.layers[-1].resolution for blueprint in batch]
    assert batch.last_channels.tolist() == [blueprint.layers[-1].out_channels for blueprint in batch]
    for row, blueprint in enumerate(batch):
        count = len(blueprint.layers)
        assert batch.residual[row, :count].tolist() == [layer.residual for layer in blueprint.layers]
        assert not batch.residual[row, count:].any()
        sides = [224, *(layer.resolution for layer in blueprint.layers[:-1])]
        assert batch.entering[row, :count].tolist() == sides
        assert not batch.entering[row, count:].any()


def test_batch_of_different_inputs_is_refused() -> None:
    with pytest.raises(BlueprintError, match="must share input channels"):
        BlueprintBatch.of([SMALL, dataclasses.replace(SMALL, num_classes=11)])
    with pytest.raises(BlueprintError, match="must share input channels"):
        BlueprintBatch.of([])
