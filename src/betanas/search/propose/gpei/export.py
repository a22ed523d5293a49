"""Reads everything out of a fitted process that an analysis draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.local_search import Screen
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import Process
from betanas.search.propose.surrogate_document import (
    CONTOUR_PARAMETERS,
    CONTOUR_POINTS,
    SLICE_POINTS,
    Contour,
    CrossValidation,
    FeatureRelevance,
    LeftOut,
    ParameterRelevance,
    PredictedBest,
    Slice,
    SurrogateDocument,
)
from betanas.spaces import SearchSpace

MODEL = "Gaussian process: Matern 5/2 kernel with a lengthscale for each {}, inferred noise"
LEVEL = 0.95

# Points of the pool over which importances are averaged: their standard error is then below 0.01.
IMPORTANCE_POINTS = 2048


def surrogate_document(
    process: Process,
    scale: OutcomeScale,
    *,
    space: SearchSpace,
    values: FloatArray,
    trials: Sequence[int],
    best: tuple[FloatArray, float, float],
    pool: FloatArray,
    screen: Screen,
    generator: np.random.Generator,
    features: Sequence[str],
) -> SurrogateDocument:
    """The document of a process fitted to `values` (objectives of `trials`, shape [n]) mapped by `scale`.

    `best` is the predicted one, a point with its mean and deviation; `features` names the process's further inputs.
    """
    point, mean, deviation = best
    lengthscales = process.lengthscales
    relevance = (1.0 / lengthscales) / (1.0 / lengthscales).sum()
    parameters = _parameters(space, lengthscales, relevance, _importances(process, pool[:IMPORTANCE_POINTS], generator))
    order = sorted(range(len(parameters)), key=lambda place: -parameters[place].importance)
    pairs = combinations(sorted(order[:CONTOUR_PARAMETERS]), 2)
    return SurrogateDocument(
        model=MODEL.format("parameter and network feature" if features else "parameter"),
        observations=len(values),
        noise=_noise(process, scale, values),
        parameters=parameters,
        features=_features(features, lengthscales, relevance),
        fixed={name: searched.low for name, searched in space.parameters.items() if searched.fixed},
        best=PredictedBest(space.to_vector(space.from_unit(point[None])[0]), mean, deviation),
        cross_validation=_cross_validation(process, scale, values, trials),
        slices=tuple(_slice(process, scale, space, point, place, screen) for place in range(len(space.free))),
        contours=tuple(_contour(process, scale, space, point, pair, screen) for pair in pairs),
    )


def _noise(process: Process, scale: OutcomeScale, values: FloatArray) -> float:
    """The noise's deviation at the median objective, in its units."""
    median = scale.forward(np.array([np.median(values)]))
    return float(scale.moments(median, np.array([process.noise]))[1][0])


def _parameters(
    space: SearchSpace, lengthscales: FloatArray, relevance: FloatArray, importances: FloatArray
) -> tuple[ParameterRelevance, ...]:
    return tuple(
        ParameterRelevance(
            name=name,
            low=space.parameters[name].low,
            high=space.parameters[name].high,
            lengthscale=float(lengthscales[place]),
            relevance=float(relevance[place]),
            importance=float(importances[place]),
        )
        for place, name in enumerate(space.free)
    )


def _features(names: Sequence[str], lengthscales: FloatArray, relevance: FloatArray) -> tuple[FeatureRelevance, ...]:
    """The kernel's last columns, after those of the parameters."""
    first = len(lengthscales) - len(names)
    return tuple(
        FeatureRelevance(name, float(lengthscales[place]), float(relevance[place]))
        for place, name in enumerate(names, start=first)
    )


def _importances(process: Process, points: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Total-effect indices of the predicted mean by Jansen's estimator, each column permuted among the points."""
    base = process.predict(points)[0]
    variance = float(base.var())
    found = np.zeros(points.shape[1])
    if variance < np.finfo(np.float64).eps:
        return found
    for place in range(points.shape[1]):
        changed = points.copy()
        changed[:, place] = generator.permutation(points[:, place])
        found[place] = float(((process.predict(changed)[0] - base) ** 2).mean() / (2 * variance))
    return found


def _cross_validation(
    process: Process, scale: OutcomeScale, values: FloatArray, trials: Sequence[int]
) -> CrossValidation:
    centre, deviation = process.leave_one_out()
    margin = stats.norm.ppf(0.5 + LEVEL / 2) * deviation
    mean, low, high = scale.backward(centre), scale.backward(centre - margin), scale.backward(centre + margin)
    error = float(((values - mean) ** 2).mean())
    variance = float(values.var())
    varied = len(np.unique(values)) > 1 and len(np.unique(mean)) > 1
    return CrossValidation(
        points=tuple(
            LeftOut(trial, float(observed), float(m), float(lo), float(hi))
            for trial, observed, m, lo, hi in zip(trials, values, mean, low, high, strict=True)
        ),
        level=LEVEL,
        coverage=float(((low <= values) & (values <= high)).mean()),
        rmse=error**0.5,
        r2=1.0 - error / variance if variance > 0 else None,
        rank_correlation=float(stats.spearmanr(values, mean).statistic) if varied else None,
    )


def _slice(
    process: Process,
    scale: OutcomeScale,
    space: SearchSpace,
    point: FloatArray,
    place: int,
    screen: Screen,
) -> Slice:
    name, ticks = space.free[place], np.linspace(0.0, 1.0, SLICE_POINTS)
    points = np.tile(point, (SLICE_POINTS, 1))
    points[:, place] = ticks
    mean, deviation = scale.moments(*process.predict(points))
    searched = space.parameters[name]
    return Slice(
        parameter=name,
        values=tuple((searched.low + searched.span * ticks).tolist()),
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        feasible=tuple(screen(points).tolist()),
    )


def _contour(
    process: Process,
    scale: OutcomeScale,
    space: SearchSpace,
    point: FloatArray,
    pair: tuple[int, int],
    screen: Screen,
) -> Contour:
    ticks = np.linspace(0.0, 1.0, CONTOUR_POINTS)
    shape = (CONTOUR_POINTS, CONTOUR_POINTS)
    points = np.tile(point, (CONTOUR_POINTS**2, 1))
    points[:, pair[0]] = np.tile(ticks, CONTOUR_POINTS)
    points[:, pair[1]] = np.repeat(ticks, CONTOUR_POINTS)
    mean, deviation = scale.moments(*process.predict(points))
    x, y = (space.parameters[space.free[place]] for place in pair)
    return Contour(
        x=space.free[pair[0]],
        y=space.free[pair[1]],
        x_values=tuple((x.low + x.span * ticks).tolist()),
        y_values=tuple((y.low + y.span * ticks).tolist()),
        mean=tuple(map(tuple, mean.reshape(shape).tolist())),
        deviation=tuple(map(tuple, deviation.reshape(shape).tolist())),
        feasible=tuple(map(tuple, screen(points).reshape(shape).tolist())),
    )
