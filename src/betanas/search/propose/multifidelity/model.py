"""The model's side of `multifidelity`: the next training, and the predicted best, from points and values alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior

from betanas.blueprint import FloatArray, IntArray
from betanas.search.propose.gpei.acquisition import expected_improvement
from betanas.search.propose.gpei.local_search import Score, Screen, ranked
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import Fitter, Process, kernel_inputs, refit_size
from betanas.search.propose.multifidelity.kernel import fidelity_model
from betanas.search.propose.multifidelity.levels import Levels
from betanas.search.propose.multifidelity.worth import log_worth

Seed = tuple[int, ...]

# New candidates, best first by expected improvement after the whole budget, whose shares are weighed.
WEIGHED = 8


@dataclass(frozen=True, eq=False)
class Told:
    """Trainings with a result, and those in progress.

    Attributes:
        points: of the unit cube, shape [n, d], in the order of their trials.
        values: their objectives, shape [n].
        shares: the parts of the budget that they had, shape [n].
        networks: the number of each one's network, shape [n].
        pending: points in training, shape [m, d].
        pending_shares: the parts that they have, shape [m].
    """

    points: FloatArray
    values: FloatArray
    shares: FloatArray
    networks: IntArray
    pending: FloatArray
    pending_shares: FloatArray


@dataclass(frozen=True, eq=False)
class Choice:
    """A training: a point, the part of the budget, and the place among the known candidates; None for a new one."""

    point: FloatArray
    share: float
    place: int | None


class Model:
    """Keeps the pool and the last fit; everything else comes with each call.

    A candidate with a share of the budget is a point with one more coordinate, its last: how far the share is from the
    whole, on a logarithmic scale, with 1 for the least share that may be chosen.

    Args:
        pool: feasible points of the unit cube, shape [n, d].
        screen: which points of the cube are feasible.
        network: what the process sees of candidates beside their parameters; None for nothing.
        shares: the parts of the budget that may be chosen, ascending, the whole among them.
        overhead: what every training costs beside its own seconds, as a part of the budget.
    """

    def __init__(
        self, pool: FloatArray, screen: Screen, network: NetworkView | None, shares: Sequence[float], overhead: float
    ) -> None:
        self._pool = pool
        self._screen = screen
        self._shares = np.array(shares)
        self._overhead = overhead
        self._fitter = Fitter(
            None if network is None else lambda points: network(points[:, :-1]),
            make=partial(fidelity_model, place=pool.shape[1]),
        )

    def propose(
        self,
        told: Told,
        known: FloatArray,
        reached: FloatArray,
        *,
        first_new: Callable[[FloatArray], FloatArray | None],
        seed: Seed,
    ) -> Choice:
        """The next training.

        Args:
            told: what there is to learn from.
            known: candidates that may be trained longer, shape [k, d].
            reached: the largest share that each of them had, shape [k].
            first_new: chooses from points in the order of their score: the first whose network has not been tried;
                None where there is none.
            seed: of the local search.
        """
        process, _, _ = self._fit(told)
        believer = process.believing(self._placed(told.pending, told.pending_shares))
        whole = told.points[told.shares == 1.0]
        best = float(believer.predict(self._wholly(whole if len(whole) else told.points))[0].max())
        improvement = expected_improvement(believer, self._wholly(whole if len(whole) else told.points), self._nothing)
        ranking = self._ranked(lambda points: improvement(self._wholly(points)), told.points, seed)
        new = first_new(ranking)
        fresh = known[:0] if new is None else new[None]
        candidates = np.concatenate([fresh, known])
        had = np.concatenate([np.zeros(len(fresh)), reached])
        worth = self._worth(believer, candidates, best)
        worth[had[:, None] >= self._shares[None, :]] = -np.inf
        row, column = np.unravel_index(int(worth.argmax()), worth.shape)
        place = int(row) - len(fresh)
        return Choice(candidates[row], float(self._shares[column]), None if place < 0 else place)

    def best(self, told: Told, *, seed: Seed) -> tuple[FloatArray, float, float]:
        """The feasible point with the largest predicted mean after the whole budget, with mean and deviation."""
        process, scale, levels = self._fit(told)
        point = self._ranked(lambda points: process.predict(self._wholly(points))[0], told.points, seed)[0]
        mean, deviation = (float(value[0]) for value in process.predict(self._wholly(point[None])))
        low, middle, high = levels.back(scale.backward(np.array([mean - deviation, mean, mean + deviation])))
        return point, float(middle), float(high - low) / 2.0

    def _fit(self, told: Told) -> tuple[Process, OutcomeScale, Levels]:
        """A process of results on the scale of whole trainings."""
        size = refit_size(len(told.values))
        levels = Levels.fit(told.values[:size], told.shares[:size], told.networks[:size], told.shares)
        values = levels.whole(told.values, told.shares)
        scale = OutcomeScale.fit(values[:size])
        return self._fitter.process(self._placed(told.points, told.shares), scale.forward(values)), scale, levels

    def _worth(self, process: Process, candidates: FloatArray, best: float) -> FloatArray:
        """`log_worth` of each candidate (shape [k, d]) for each share, shape [k, shares]."""
        count, levels = len(candidates), len(self._shares)
        points = self._placed(np.repeat(candidates, levels, axis=0), np.tile(self._shares, count))
        means, covariance = _joint(process, points, levels)
        variances = np.diagonal(covariance, axis1=1, axis2=2)
        deviations = np.sqrt(np.maximum(variances[:, -1], 1e-12))
        known = covariance[:, :, -1] / (deviations[:, None] * np.sqrt(variances + process.noise**2))
        known[:, -1] = 1.0  # whoever is trained for the whole budget is what is wanted, whatever its noise
        return log_worth(
            means[:, -1:],
            deviations[:, None],
            np.clip(known, 1e-6, 1.0),
            (self._shares + self._overhead)[None, :],
            1.0 + self._overhead,
            best,
        )

    def _ranked(self, score: Score, points: FloatArray, seed: Seed) -> FloatArray:
        pool = np.concatenate([self._pool, points[self._screen(points)]])
        return ranked(score, pool, self._screen, np.random.default_rng(seed))

    def _wholly(self, points: FloatArray) -> FloatArray:
        return self._placed(points, np.ones(len(points)))

    def _placed(self, points: FloatArray, shares: FloatArray) -> FloatArray:
        """Points (shape [n, d]) with the coordinate of their shares, shape [n, d + 1]."""
        return np.column_stack([points, np.log(shares) / np.log(self._shares[0])])

    @property
    def _nothing(self) -> FloatArray:
        return np.empty((0, self._pool.shape[1] + 1))


def _joint(process: Process, points: FloatArray, together: int) -> tuple[FloatArray, FloatArray]:
    """Means (shape [k, together]) and covariances (shape [k, together, together]) of points, that number at a time."""
    with torch.no_grad():
        inputs = torch.as_tensor(kernel_inputs(points, process.describe), dtype=torch.float64)
        posterior = cast("GPyTorchPosterior", process.model.posterior(inputs))
        means = posterior.mean.reshape(-1, together).numpy()
        covariance = posterior.distribution.covariance_matrix.numpy()
    count = len(means)
    blocks = covariance.reshape(count, together, count, together)[np.arange(count), :, np.arange(count), :]
    return np.asarray(means), np.array(blocks)
