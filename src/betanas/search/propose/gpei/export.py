"""Reads everything out of a fitted process that an analysis draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import cast

import numpy as np
import torch
from botorch.cross_validation import efficient_loo_cv
from botorch.posteriors.gpytorch import GPyTorchPosterior
from scipy import stats

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.acquisition import predict
from betanas.search.propose.gpei.climb import Screen
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import FeasibleGP, as_tensor
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
    process: FeasibleGP,
    scale: OutcomeScale,
    *,
    space: SearchSpace,
    values: FloatArray,
    trials: Sequence[int],
    best: tuple[FloatArray, float, float],
    pool: FloatArray,
    screen: Screen,
    generator: np.random.Generator,
    network: NetworkView | None,
) -> SurrogateDocument:
    """The document of a process fitted to `values` (objectives of `trials`, shape [n]) mapped by `scale`."""
    point, mean, deviation = best
    lengthscales = process.covar_module.lengthscale.detach().numpy().reshape(-1)
    relevance = (1.0 / lengthscales) / (1.0 / lengthscales).sum()
    parameters = _parameters(space, lengthscales, relevance, _importances(process, pool[:IMPORTANCE_POINTS], generator))
    order = sorted(range(len(parameters)), key=lambda place: -parameters[place].importance)
    features = _features(() if network is None else network.names, lengthscales, relevance)
    pairs = combinations(sorted(order[:CONTOUR_PARAMETERS]), 2)
    return SurrogateDocument(
        model=MODEL.format("parameter and network feature" if features else "parameter"),
        observations=len(values),
        noise=_noise(process, scale, values),
        parameters=parameters,
        features=features,
        fixed={name: searched.low for name, searched in space.parameters.items() if searched.fixed},
        best=PredictedBest(space.to_vector(space.from_unit(point[None])[0]), mean, deviation),
        cross_validation=_cross_validation(process, scale, values, trials),
        slices=tuple(_slice(process, scale, space, point, place, screen) for place in range(len(space.free))),
        contours=tuple(_contour(process, scale, space, point, pair, screen) for pair in pairs),
    )


def _noise(process: FeasibleGP, scale: OutcomeScale, values: FloatArray) -> float:
    """The noise's deviation at the median objective, in its units."""
    deviation = process.likelihood.noise.detach().sqrt().numpy().reshape(-1)[:1]
    return float(scale.moments(scale.forward(np.array([np.median(values)])), deviation)[1][0])


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


def _importances(process: FeasibleGP, points: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Total-effect indices of the predicted mean by Jansen's estimator, each column permuted among the points."""
    base = predict(process, as_tensor(points))[0].numpy()
    variance = float(base.var())
    found = np.zeros(points.shape[1])
    if variance < np.finfo(np.float64).eps:
        return found
    for place in range(points.shape[1]):
        changed = points.copy()
        changed[:, place] = generator.permutation(points[:, place])
        found[place] = float(((predict(process, as_tensor(changed))[0].numpy() - base) ** 2).mean() / (2 * variance))
    return found


def _cross_validation(
    process: FeasibleGP, scale: OutcomeScale, values: FloatArray, trials: Sequence[int]
) -> CrossValidation:
    with torch.no_grad():
        posterior = cast("GPyTorchPosterior", efficient_loo_cv(process, observation_noise=True).posterior)
    centre = posterior.mean.numpy().reshape(-1)
    margin = stats.norm.ppf(0.5 + LEVEL / 2) * posterior.variance.clamp_min(0.0).sqrt().numpy().reshape(-1)
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
    process: FeasibleGP,
    scale: OutcomeScale,
    space: SearchSpace,
    point: FloatArray,
    place: int,
    screen: Screen,
) -> Slice:
    name, ticks = space.free[place], np.linspace(0.0, 1.0, SLICE_POINTS)
    points = np.tile(point, (SLICE_POINTS, 1))
    points[:, place] = ticks
    mean, deviation = _predictions(process, scale, points)
    searched = space.parameters[name]
    return Slice(
        parameter=name,
        values=tuple((searched.low + searched.span * ticks).tolist()),
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        feasible=tuple(screen(points).tolist()),
    )


def _contour(
    process: FeasibleGP,
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
    mean, deviation = _predictions(process, scale, points)
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


def _predictions(process: FeasibleGP, scale: OutcomeScale, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean, deviation = (moment.numpy() for moment in predict(process, as_tensor(points)))
    return scale.moments(mean, deviation)
