"""Training memory worked out from a blueprint against what torch's MemTracker sees of a step."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint, BlueprintBatch, Layer
from betanas.cost import training_memory
from betanas.cost.saturation import MOST
from betanas.errors import QuantityError
from betanas.spaces import get_space, published

# How far the two may differ. The model leaves out what is a few bytes a layer or a batch (step counters, the noise of
# stochastic depth) and, under autocast, when exactly a gradient is cast; benchmarks/memory_model.py finds far less.
TOLERANCE = 0.01

HEAD = Layer("CNA", 3, 8, 2, 0, 0, 1.0, 1.0, 0.0, 16)
FUSED = Layer("FMBC", 8, 8, 1, 32, 0, 4.0, 1.0, 0.1, 16)
NARROW = Layer("FMBC", 8, 8, 1, 9, 0, 1.1, 1.0, 0.2, 16)
WIDER = Layer("MBC", 8, 24, 2, 40, 10, 5.0, 4.0, 0.0, 8)
MOBILE = Layer("MBC", 24, 24, 1, 48, 4, 2.0, 12.0, 0.2, 8)
SHRINK = [Layer("FMBC", 8, 8, 2, 8, 0, 1.0, 1.0, 0.0, side) for side in (8, 4, 2, 1)]
HEAVY = Layer("MBC", 8, 700, 1, 33, 8, 4.2, 4.0, 0.0, 1)


def network(*layers: Layer, latent: int = 1) -> Blueprint:
    return Blueprint(32, 3, 10, layers, latent)


# By the moment at which a step of 32 images needs most.
WORST_AT = {
    "a network of one layer": network(HEAD),
    "a fused block with a residual": network(HEAD, FUSED, FUSED),
    "the projection of a narrow block": network(HEAD, *[NARROW] * 4),
    "squeeze-excitation": network(HEAD, FUSED, WIDER, MOBILE),
    "the last of many blocks": network(HEAD, WIDER, *[MOBILE] * 3),
    "an early block, beside heavy gradients": network(HEAD, FUSED, *SHRINK, HEAVY, latent=1000),
    "the latent channels": network(HEAD, latent=2000),
    "a layer of heavy weights": network(HEAD, *SHRINK, HEAVY, latent=2000),
}


@pytest.fixture(scope="module")
def tracked_bytes() -> Callable[..., int]:
    """The measurement of benchmarks/memory_model.py."""
    path = Path(__file__).parents[2] / "benchmarks" / "_memory_tracking.py"
    spec = importlib.util.spec_from_file_location("memory_tracking", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    measure: Callable[..., int] = module.tracked_bytes
    return measure


@pytest.mark.parametrize(
    ("worst", "optimizer", "dtype"),
    [
        *((worst, "adam", "float32") for worst in WORST_AT),
        ("the last of many blocks", "sgd", "bfloat16"),
        ("an early block, beside heavy gradients", "sgd", "bfloat16"),
        ("a layer of heavy weights", "sgd", "float32"),
        ("a layer of heavy weights", "adam", "bfloat16"),
    ],
)
def test_memory_is_what_torch_tracks(worst: str, optimizer: str, dtype: str, tracked_bytes: Callable[..., int]) -> None:
    blueprint = WORST_AT[worst]

    tracked = tracked_bytes(blueprint, 32, dtype=dtype, optimizer=optimizer)
    assert blueprint.training_memory(32, dtype, optimizer) == pytest.approx(tracked, rel=TOLERANCE)


@pytest.mark.parametrize("seed", range(3))
def test_memory_of_random_feasible_networks_is_what_torch_tracks(seed: int, tracked_bytes: Callable[..., int]) -> None:
    """The shallowest of many, since tracking takes its time; benchmarks/memory_model.py takes 40 of any depth."""
    rng = np.random.default_rng(seed)
    space = get_space(("betanet2", "betanet3")[seed % 2], ("table1", "default", "report")[seed % 3])
    rows = space.from_unit(rng.random((256, len(space.free))))
    resolution, batch_size = (32, 128, 224)[seed], (128, 64, 16)[seed]
    batch = space.blueprints(rows, resolution=resolution, num_classes=100)
    memory = training_memory(batch, batch_size, optimizer="adamw")

    feasible = np.nonzero((memory < 20 * 2**30) & (batch.depth >= 4))[0]
    shallowest = feasible[np.argmin(batch.depth[feasible])]
    tracked = tracked_bytes(batch[shallowest], batch_size, optimizer="adamw")
    assert memory[shallowest] == pytest.approx(tracked, rel=TOLERANCE)


def test_memory_by_hand() -> None:
    """One image, one layer: 1 channel of 8 pixels square to 2 channels of 4, 4 latent channels, 3 classes."""
    blueprint = Blueprint(8, 1, 3, (Layer("CNA", 1, 2, 2, 0, 0, 1.0, 1.0, 0.0, 4),), latent=4)
    params = (9 * 2 + 2 * 2) + (2 * 4 + 2 * 4) + (4 * 3 + 3)
    running_statistics = 4 * (2 * 2 + 2 * 4)
    images, label, logits = 4 * 64, 8, 4 * 3
    conv = norm = silu = 4 * 2 * 16
    latent_conv = latent_norm = 4 * 4 * 16
    # Saved when the backward pass reaches the latent SiLU, which is the worst moment: the inputs of both norms with
    # their means and deviations, of both SiLUs and of the latent convolution (the images are there anyway).
    saved = (conv + 4 * 2 * 2) + norm + silu + (latent_conv + 4 * 2 * 4) + latent_norm
    live = 2 * latent_norm
    linear_gradients = 4 * (4 * 3 + 3)

    expected = 4 * params * 2 + running_statistics + images + label + logits + saved + live + linear_gradients
    assert blueprint.training_memory(batch_size=1, optimizer="sgd") == expected


@given(data=st.data(), batch_size=st.integers(1, 512))
@settings(max_examples=40, deadline=None)
def test_memory_orders_what_must_be_ordered(
    blueprints: st.SearchStrategy[Blueprint], data: st.DataObject, batch_size: int
) -> None:
    blueprint = data.draw(blueprints)
    memory = blueprint.training_memory(batch_size)

    assert memory > 4 * 4 * blueprint.num_params
    assert blueprint.training_memory(batch_size + 1) > memory
    assert blueprint.training_memory(batch_size, optimizer="adamw") == memory
    assert blueprint.training_memory(batch_size, optimizer="sgd") < memory
    half = blueprint.training_memory(batch_size, dtype="bfloat16")
    assert half == blueprint.training_memory(batch_size, dtype="float16")
    # Weights, gradients and the optimiser's state stay in float32, and are joined by a copy of the weights.
    assert memory / 2 < half < memory + 2 * blueprint.num_params + 4 * batch_size * blueprint.resolution**2 * 8


def test_a_batch_is_priced_like_its_blueprints() -> None:
    shallow, deep = network(HEAD), network(HEAD, WIDER, *[MOBILE] * 5)
    memory = training_memory(BlueprintBatch.of([shallow, deep, shallow]), 16, dtype="bfloat16", optimizer="sgd")

    alone = [blueprint.training_memory(16, "bfloat16", "sgd") for blueprint in (shallow, deep, shallow)]
    assert memory.tolist() == alone
    assert memory.dtype == np.int64


def test_networks_beyond_64_bits_stay_the_most_expensive() -> None:
    space = get_space("betanet3")
    widest = {name: allowed.high for name, allowed in space.domain.items()} | {"k": 1.0}
    batch = space.blueprints(space.to_array([widest]), resolution=4096, num_classes=10)

    assert training_memory(batch, 10**6).tolist() == [MOST]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"batch_size": 0}, "at least 1 image"),
        ({"batch_size": -4}, "at least 1 image"),
        ({"dtype": "float64"}, "data type must be one of float32, bfloat16, float16"),
        ({"optimizer": "lion"}, "optimiser must be one of adam, adamw, sgd"),
    ],
)
def test_unknown_conditions_are_refused(wrong: dict[str, Any], rule: str) -> None:
    blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=32, num_classes=10)
    with pytest.raises(QuantityError, match=rule):
        blueprint.training_memory(**{"batch_size": 8, **wrong})
