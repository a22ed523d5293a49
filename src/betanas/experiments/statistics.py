"""What the experiments say of their numbers: rank correlations, uplifts and paired differences, with intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from betanas.blueprint import FloatArray, IntArray
from betanas.intervals import mean_interval

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """What was estimated (a mean, a correlation, a ratio), with its confidence interval.

    Attributes:
        value: the estimate; None where the data leave it undefined.
        low, high: ends of the interval; None where there are too few data for one.
        n: how many independent units (vectors, seeds, pairs of searches) it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Estimate:
        """Read what `dataclasses.asdict` wrote."""
        value, low, high = (None if data[name] is None else float(data[name]) for name in ("value", "low", "high"))
        return cls(value, low, high, int(data["n"]))


def mean_of(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean of independent values with its interval by Student's t; undefined without any."""
    if not values:
        return Estimate(None, None, None, 0)
    found = mean_interval(values, confidence)
    several = found.n > 1
    return Estimate(found.mean, found.low if several else None, found.high if several else None, found.n)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two rankings of the same vectors agree: Spearman's rho and Kendall's tau-b."""

    spearman: Estimate
    kendall: Estimate


def rank_agreement(first: FloatArray, second: FloatArray, *, seed: int = 0) -> Agreement:
    """Rank correlations between two conditions, with 95% bootstrap intervals over vectors and seeds.

    The correlations are those of the means over seeds. The bootstrap has two stages: vectors are drawn with
    replacement, and for each of them, in each condition, its trainings; so the interval holds both what other vectors
    and what other seeds would have changed (percentiles; Davison and Hinkley 1997, section 3.8).

    Args:
        first: accuracies, shape [vectors, seeds].
        second: accuracies of the same vectors in another condition, shape [vectors, other seeds].
        seed: of the resampling.
    """
    vectors = len(first)
    if vectors < 2:
        nothing = Estimate(None, None, None, vectors)
        return Agreement(nothing, nothing)
    draws = np.random.default_rng(seed)
    rows = draws.integers(vectors, size=(RESAMPLES, vectors))
    resampled = [_means_of_draws(values, rows, draws) for values in (first, second)]
    means = [values.mean(axis=1)[None] for values in (first, second)]
    return Agreement(
        spearman=_percentiles(spearman(*means)[0], spearman(*resampled), vectors),
        kendall=_percentiles(kendall(*means)[0], kendall(*resampled), vectors),
    )


def agreement_of_seeds(values: FloatArray) -> float | None:
    """Mean Spearman correlation between the rankings of two single seeds: what training noise leaves of a ranking.

    Args:
        values: accuracies of one condition, shape [vectors, seeds].

    Returns:
        None with a single seed or vector, or where no two seeds have a correlation.
    """
    if len(values) < 2:
        return None
    columns = values.T
    found = [float(spearman(a[None], b[None])[0]) for a, b in itertools.combinations(columns, 2)]
    defined = [value for value in found if math.isfinite(value)]
    return sum(defined) / len(defined) if defined else None


def uplift_per_doubling(costs: FloatArray, accuracies: FloatArray) -> list[float]:
    """For each vector, the slope of its accuracy over log2 of its cost, by least squares.

    Args:
        costs: positive, shape [vectors, scales].
        accuracies: of the same shape.

    Returns:
        A slope for each vector whose cost changes at all.
    """
    slopes = []
    for cost, accuracy in zip(np.log2(costs), accuracies, strict=True):
        if np.ptp(cost) > 0:
            slopes.append(float(np.polyfit(cost, accuracy, 1)[0]))
    return slopes


def spearman(first: FloatArray, second: FloatArray) -> FloatArray:
    """Spearman's rho of each row: the correlation of ranks, ties sharing theirs. Shape [rows]; NaN without variation.

    For thousands of short rows; one at a time, `scipy.stats.spearmanr` says the same.
    """
    ranks = [stats.rankdata(values, axis=1) for values in (first, second)]
    centred = [values - values.mean(axis=1, keepdims=True) for values in ranks]
    return _ratio((centred[0] * centred[1]).sum(axis=1), *((values**2).sum(axis=1) for values in centred))


def kendall(first: FloatArray, second: FloatArray) -> FloatArray:
    """Kendall's tau-b of each row. Shape [rows]; NaN without variation. `scipy.stats.kendalltau` for many rows."""
    left, right = np.triu_indices(first.shape[1], k=1)
    signs = [np.sign(values[:, left] - values[:, right]) for values in (first, second)]
    return _ratio((signs[0] * signs[1]).sum(axis=1), *((values**2).sum(axis=1) for values in signs))


def _ratio(shared: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    scale = np.sqrt(first * second)
    return np.asarray(np.divide(shared, scale, out=np.full(len(shared), np.nan), where=scale > 0))


def _means_of_draws(values: FloatArray, rows: IntArray, draws: np.random.Generator) -> FloatArray:
    seeds = values.shape[1]
    picks = draws.integers(seeds, size=(*rows.shape, seeds))
    return np.asarray(values[rows[..., None], picks].mean(axis=2))


def _percentiles(value: float, resampled: FloatArray, n: int) -> Estimate:
    defined = resampled[np.isfinite(resampled)]  # a resample whose values are all equal has no ranks
    if not math.isfinite(value) or not len(defined):
        return Estimate(None, None, None, n)
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(value), float(low), float(high), n)
