"""Shows the Gaussian process what a candidate's network looks like, on the scale of the unit cube."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from betanas.blueprint import BoolArray, FloatArray
from betanas.search.feasibility import Problem
from betanas.search.network_features import NETWORK_FEATURES, network_features

# Deviation of a uniform variable in the unit interval: on this scale a feature is to the kernel what a parameter is.
UNIFORM_DEVIATION = 12**-0.5

# A feature whose deviation is less than this part of its size is the same in every network.
_RELATIVE_NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class NetworkView:
    """The features of networks that vary, standardised over feasible candidates. Called with points of the unit cube.

    On the recorded CIFAR-100 trials of both presets a process that sees them ranks networks better from 32 others than
    one that sees parameters alone does from 64 (`benchmarks/search_model.py`).

    Attributes:
        problem: what is searched.
        varied: which of `NETWORK_FEATURES` differ at all.
        centre, spread: of those, over feasible candidates.
        pool: scaled features of the candidates that every suggestion looks at, by the bytes of their points.
    """

    problem: Problem
    varied: BoolArray
    centre: FloatArray
    spread: FloatArray
    pool: dict[bytes, FloatArray]

    @classmethod
    def over(cls, problem: Problem, rows: FloatArray) -> Self:
        """The view on the scale of some feasible vectors, rows of shape [n, parameters]."""
        features = network_features(problem.blueprints(rows))
        centre, spread = features.mean(axis=0), features.std(axis=0)
        varied = spread > _RELATIVE_NOTHING * np.maximum(np.abs(centre), 1.0)
        view = cls(problem, varied, centre[varied], spread[varied], {})
        points = problem.space.to_unit(rows)
        view.pool.update(zip(map(_key, points), view._scaled(features), strict=True))
        return view

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(name for name, varied in zip(NETWORK_FEATURES, self.varied, strict=True) if varied)

    def __call__(self, points: FloatArray) -> FloatArray:
        """Features of points of the unit cube (shape [n, d]), shape [n, f]."""
        kept = [self.pool.get(_key(point)) for point in points]
        new = np.array([one is None for one in kept], dtype=np.bool_)
        found = np.empty((len(points), len(self.centre)))
        if new.any():
            blueprints = self.problem.blueprints(self.problem.space.from_unit(points[new]))
            found[new] = self._scaled(network_features(blueprints))
        if not new.all():
            found[~new] = [one for one in kept if one is not None]
        return found

    def _scaled(self, features: FloatArray) -> FloatArray:
        scaled: FloatArray = 0.5 + UNIFORM_DEVIATION * (features[:, self.varied] - self.centre) / self.spread
        return scaled


def _key(point: FloatArray) -> bytes:
    return point.tobytes()
