"""The model's side of `gpei`: suggestions, the predicted best, and the export, from points and values alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.acquisition import Price, expected_growth, expected_improvement
from betanas.search.propose.gpei.experience import Experience
from betanas.search.propose.gpei.export import surrogate_document
from betanas.search.propose.gpei.local_search import Score, Screen, ranked
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import Describe, Fitter, Process, refit_size
from betanas.search.propose.surrogate_document import SurrogateDocument
from betanas.spaces import SearchSpace

Seed = tuple[int, ...]


class Model:
    """Keeps the pool and the last fit; everything else comes with each call.

    Args:
        pool: feasible points of the unit cube, shape [n, d].
        screen: which points of the cube are feasible.
        network: what the process sees of candidates beside their parameters; None for nothing.
        experience: what finished studies expect of them; None without any.
    """

    def __init__(
        self, pool: FloatArray, screen: Screen, network: NetworkView | None, experience: Experience | None = None
    ) -> None:
        self._pool = pool
        self._screen = screen
        self._network = network
        self._experience = experience
        self._fitter = Fitter(_together(network, experience), trends=experience.studies if experience else 0)
        if experience is not None:
            experience.keep(pool)

    def propose(
        self,
        points: FloatArray,
        values: FloatArray,
        pending: FloatArray,
        *,
        first_new: Callable[[FloatArray], FloatArray],
        seed: Seed,
        price: Price | None,
    ) -> FloatArray:
        """The next point to train.

        Args:
            points: trained points of the unit cube, shape [n, d], in the order of their trials.
            values: their objectives, shape [n].
            pending: points in training, shape [m, d].
            first_new: chooses from points in the order of their score: the first whose network has not been tried.
            seed: of the local search.
            price: the cost that a front is searched against; None where the best value alone is wanted.
        """
        process, _ = self._fit(points, values)
        if price is None:
            score = expected_improvement(process, points, pending)
        else:
            score = expected_growth(process, points, pending, price)
        return first_new(self._ranked(score, points, seed))

    def expected(
        self, turn: int, tried: FloatArray, *, first_new: Callable[[FloatArray], FloatArray], seed: Seed
    ) -> FloatArray | None:
        """The next point to train by one finished study alone; None without any.

        Args:
            turn: which study, counted round and round.
            tried: points of this search, with or without a result, shape [m, d].
            first_new: as in `propose`.
            seed: of the local search.
        """
        if self._experience is None:
            return None
        return first_new(self._ranked(self._experience.expecting(turn, tried), tried, seed))

    def best(self, points: FloatArray, values: FloatArray, *, seed: Seed) -> tuple[FloatArray, float, float]:
        """The feasible point with the largest predicted mean, with mean and deviation in the values' units."""
        return self._best(*self._fit(points, values), points, seed)

    def export(
        self, points: FloatArray, values: FloatArray, *, trials: Sequence[int], space: SearchSpace, seed: Seed
    ) -> SurrogateDocument:
        """The model as a document; `trials` are the points' trial indices."""
        process, scale = self._fit(points, values)
        return surrogate_document(
            process,
            scale,
            space=space,
            values=values,
            trials=trials,
            best=self._best(process, scale, points, seed),
            pool=self._pool,
            screen=self._screen,
            generator=np.random.default_rng(seed),
            features=() if self._network is None else self._network.names,
        )

    def _fit(self, points: FloatArray, values: FloatArray) -> tuple[Process, OutcomeScale]:
        """A process of the values on a scale that is fitted to what the hyper-parameters are: both stay till then."""
        scale = OutcomeScale.fit(values[: refit_size(len(values))])
        return self._fitter.process(points, scale.forward(values)), scale

    def _ranked(self, score: Score, points: FloatArray, seed: Seed) -> FloatArray:
        pool = np.concatenate([self._pool, points[self._screen(points)]]) if len(points) else self._pool
        return ranked(score, pool, self._screen, np.random.default_rng(seed))

    def _best(
        self, process: Process, scale: OutcomeScale, points: FloatArray, seed: Seed
    ) -> tuple[FloatArray, float, float]:
        point = self._ranked(lambda candidates: process.predict(candidates)[0], points, seed)[0]
        mean, deviation = scale.moments(*process.predict(point[None]))
        return point, float(mean[0]), float(deviation[0])


def _together(network: NetworkView | None, experience: Experience | None) -> Describe | None:
    """What the process sees of points: what their networks look like, then what finished studies expect of them."""
    if network is None or experience is None:
        return experience if network is None else network

    def describe(points: FloatArray) -> FloatArray:
        return np.concatenate([network(points), experience(points)], axis=1)

    return describe
