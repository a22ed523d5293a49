"""The latency model: what it counts, that it counts batches as it counts networks, and what it refuses to read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint, BlueprintBatch, Layer
from betanas.cost.latency import BLOCKS, LATENCY_TERMS, LatencyError, LatencyModel, latency_terms
from betanas.errors import LimitError
from betanas.spaces import get_space

GOLDEN = Path(__file__).parents[1] / "golden" / "latency.json"


@pytest.fixture(scope="module")
def model() -> LatencyModel:
    return LatencyModel.load(GOLDEN)


def terms_of(blueprint: Blueprint, block: int = 16) -> dict[str, float]:
    (row,) = latency_terms(BlueprintBatch.of([blueprint]), block)
    return {name: float(value) for name, value in zip(LATENCY_TERMS, row, strict=True) if value}


def layer(kind: str, takes: int, gives: int, side: int, **others: Any) -> Layer:
    values = {"stride": 1, "hidden": 0, "squeeze": 0, "expansion": 1.0, "se_ratio": 1.0, "drop_path": 0.0}
    return Layer(kind=kind, in_channels=takes, out_channels=gives, resolution=side, **(values | others))


def test_the_work_of_a_convolution_that_fits_blocks_and_of_one_that_does_not() -> None:
    head = layer("CNA", 3, 20, 4, stride=2, activation="ReLU")
    body = layer("CNA", 20, 30, 4, activation="ReLU")
    tail = layer("CNA", 30, 7, 4, activation="ReLU")
    found = terms_of(Blueprint(8, 3, 5, (head, body, tail), latent=0))
    assert found["dense blocked: started"] == 2  # 3 channels are fewer than a block, 20 are a multiple of 4
    assert found["dense plain: started"] == 1  # 30 are neither
    assert found["dense blocked: macs"] == 16 * 9 * (3 * 32 + 32 * 32)  # in whole blocks of 16
    assert found["dense blocked: padded macs"] == 16 * 9 * (3 * 64 + 32 * 64)
    assert found["dense plain: macs"] == 16 * 9 * 30 * 7
    assert found["dense plain: weights"] == 9 * 30 * 7
    assert found["reordering: values"] == 16 * (20 + 30)
    assert found["ReLU: values"] == 16 * (20 + 30 + 7)
    assert found["network: classifier"] == 7 * 5
    assert found["network: pixels"] == 3 * 64


def test_the_work_of_a_block_with_squeeze_excitation_and_latent_channels() -> None:
    head = layer("CNA", 3, 8, 8)
    block = layer("MBC", 8, 8, 8, hidden=18, squeeze=2, drop_path=0.1)
    found = terms_of(Blueprint(8, 3, 5, (head, block), latent=12))
    assert found["depthwise plain: started"] == 1
    assert found["depthwise plain: macs"] == 64 * 9 * 18
    assert found["depthwise plain: rows"] == 8 * 18
    assert found["squeeze-excitation: weights"] == 2 * 18 * 2
    assert found["squeeze-excitation: values"] == 64 * 18
    assert found["residual: values"] == 64 * 8
    assert found["pointwise blocked: started"] == 2  # expand and latent; the projection takes 18 channels
    assert found["SiLU: started"] == 4


def test_a_pool_works_on_the_larger_side_and_leaves_the_smaller() -> None:
    pooled = layer("CNA", 3, 8, 4, stride=2, pooled=True)
    found = terms_of(Blueprint(8, 3, 5, (pooled, layer("CNA", 8, 8, 4)), latent=0))
    assert found["max pool: values"] == 64 * 8
    assert found["SiLU: values"] == 64 * 8 + 16 * 8


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_batch_is_predicted_as_its_networks_are(
    blueprints: st.SearchStrategy[Blueprint], model: LatencyModel, data: st.DataObject
) -> None:
    block = data.draw(st.sampled_from(BLOCKS))
    first = data.draw(blueprints)
    others = [data.draw(blueprints) for _ in range(2)]
    alike = [replace(each, num_classes=first.num_classes) for each in others if each.in_channels == first.in_channels]
    together = latency_terms(BlueprintBatch.of([first, *alike]), block)
    alone = np.concatenate([latency_terms(BlueprintBatch.of([each]), block) for each in (first, *alike)])
    np.testing.assert_array_equal(together, alone)
    assert (together >= 0).all()


@pytest.mark.parametrize("space", ["betanet2", "betanet3", "convnet"])
def test_a_space_s_batches_are_predicted_row_by_row(space: str, model: LatencyModel) -> None:
    made = get_space(space)
    rows = made.from_unit(np.random.default_rng(0).random((50, len(made.free))))
    batch = made.blueprints(rows, resolution=32, num_classes=10)
    assert model.predict(batch) == pytest.approx([model.predict(BlueprintBatch.of([each]))[0] for each in batch])


def test_a_model_is_the_same_from_its_document(model: LatencyModel) -> None:
    document = json.loads(json.dumps(model.to_document()))
    assert LatencyModel.from_document(document) == model
    assert str(model) == "onnxruntime, 1 thread, 1 image, made up for tests"


def test_errors_are_shares_of_what_was_measured() -> None:
    error = LatencyError.of(np.array([1.0, 2.2, 2.0, 1.05]), np.array([1.0, 2.0, 4.0, 1.0]))
    assert (error.networks, error.most, error.within_10) == (4, 0.5, pytest.approx(0.5, abs=0.26))
    assert error.median == pytest.approx(0.075)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 9}, "reads latency tables of format 1"),
        ({"seconds_of": {"dense blocked: wishes": 1.0}}, "dense blocked: wishes"),
        ({"seconds_of": {}}, "numbers must make sense"),
        ({"seconds_of": {"network: started": -1.0}}, "numbers must make sense"),
        ({"block": 7}, "block 7"),
        ({"threads": "many"}, "must have all of its fields"),
        ({"error": {}}, "must have all of its fields"),
    ],
)
def test_a_wrong_table_is_refused(change: dict[str, Any], says: str) -> None:
    document = json.loads(GOLDEN.read_text(encoding="utf-8")) | change
    with pytest.raises(LimitError, match=says):
        LatencyModel.from_document(document)


def test_a_table_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "bare.json").write_text("{}")
    (tmp_path / "text.json").write_text("not JSON")
    for name, says in (
        ("list.json", "no JSON object"),
        ("bare.json", "object with a format"),
        ("text.json", "readable"),
        ("none.json", "readable"),
    ):
        with pytest.raises(LimitError, match=says):
            LatencyModel.load(tmp_path / name)
