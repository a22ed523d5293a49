"""From measured networks to a latency model: non-negative least squares on the work that each network does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from betanas.blueprint import Blueprint, BlueprintBatch, FloatArray
from betanas.cost.latency import BLOCKS, LATENCY_TERMS, LatencyError, LatencyModel, latency_terms
from betanas.errors import LimitError
from betanas.profiling.calibration.calibrate import LEAST_NETWORKS
from betanas.profiling.calibration.measurements import Measurements

# Parts that the networks are divided into; each is predicted by a fit to the others.
_FOLDS = 5

# Fits that follow each other, the later ones with less weight for networks whose measurement the last one doubted.
_REFITS = 5


def fit_latency(found: Measurements) -> LatencyModel:
    """Fit a model to measurements, and say how well it predicts networks that it was not fitted to.

    The relative error counts, so that small networks weigh as much as large ones. Coefficients are not negative: work
    takes time, and no prediction can become absurd. A network whose error is far beyond the others' counts less
    (Huber's weights), for something else ran while it was measured.

    Raises:
        LimitError: too few networks were measured.
    """
    if len(found.blueprints) < LEAST_NETWORKS:
        raise LimitError(
            f"A latency model needs at least {LEAST_NETWORKS} measured networks.",
            value=len(found.blueprints),
            hint="Measure for longer: --calibrate-for 300, for example.",
        )
    measured = found.seconds
    terms = {block: _terms(found.blueprints, block) for block in BLOCKS}
    predicted = {block: _held_out(counts, measured) for block, counts in terms.items()}
    block = min(BLOCKS, key=lambda block: float(np.mean(np.abs(np.log(predicted[block] / measured)))))
    prices = _fit(terms[block], measured)
    return LatencyModel(
        runtime=found.runtime,
        threads=found.threads,
        batch_size=found.batch_size,
        processor=found.processor,
        versions=found.versions,
        measured=found.measured,
        block=block,
        seconds_of={name: float(price) for name, price in zip(LATENCY_TERMS, prices, strict=True) if price > 0},
        error=LatencyError.of(predicted[block], measured),
        slowest=float(measured.max()),
        reference=found.reference,
    )


def _terms(blueprints: Sequence[Blueprint], block: int) -> FloatArray:
    """Terms of networks for different images and classes, which make no batch together. Shape [networks, terms]."""
    alike: dict[tuple[int, int], list[int]] = {}
    for place, blueprint in enumerate(blueprints):
        alike.setdefault((blueprint.in_channels, blueprint.num_classes), []).append(place)
    terms = np.zeros((len(blueprints), len(LATENCY_TERMS)))
    for places in alike.values():
        terms[places] = latency_terms(BlueprintBatch.of([blueprints[place] for place in places]), block)
    return terms


def _held_out(terms: FloatArray, measured: FloatArray) -> FloatArray:
    """Each network's seconds as a fit to the other folds predicts them."""
    # Networks come space by space in turn: blocks of neighbours hold some of each.
    fold = np.random.default_rng(0).permutation(len(measured)) % _FOLDS
    predicted = np.zeros(len(measured))
    for number in range(_FOLDS):
        left_out = fold == number
        predicted[left_out] = terms[left_out] @ _fit(terms[~left_out], measured[~left_out])
    return predicted


def _fit(terms: FloatArray, measured: FloatArray) -> FloatArray:
    from scipy.optimize import nnls

    size = terms.max(axis=0)
    size[size == 0] = 1.0
    relative = terms / size / measured[:, None]
    weights, prices = np.ones(len(measured)), np.zeros(terms.shape[1])
    for _ in range(_REFITS):
        prices, _ = nnls(relative * weights[:, None], weights, maxiter=100 * terms.shape[1])
        errors = np.abs(relative @ prices - 1.0)
        usual = 1.5 * np.median(errors) + 1e-9
        weights = 1.0 / np.sqrt(np.maximum(errors / usual, 1.0))
    fitted: FloatArray = prices / size
    return fitted
