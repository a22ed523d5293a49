"""The model's side of `gpei`: suggestions, the predicted best, and the export, from points and values alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from betanas.blueprint import FloatArray
from betanas.host_memory import give_back
from betanas.search.propose.gpei.acquisition import Field, predict
from betanas.search.propose.gpei.climb import Screen, ranked
from betanas.search.propose.gpei.export import surrogate_document
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import (
    FeasibleGP,
    FitMemory,
    as_tensor,
    fitted_process,
    refit_size,
)
from betanas.search.propose.gpei.proposer import propose
from betanas.search.propose.gpei.threads import capped_threads
from betanas.search.propose.surrogate_document import SurrogateDocument
from betanas.spaces import SearchSpace


class Model:
    """Keeps the pool and the last fit; everything else comes with each call.

    Args:
        names: of the free parameters.
        pool: feasible points of the unit cube over them, shape [n, d].
        screen: which points of the cube are feasible.
        threads: most threads of torch.
        shaped: whether objectives are made symmetric, or standardised alone.
        network: what the process sees of candidates beside their parameters; None for nothing.
    """

    def __init__(
        self,
        names: Sequence[str],
        pool: FloatArray,
        screen: Screen,
        *,
        threads: int,
        shaped: bool = True,
        network: NetworkView | None = None,
    ) -> None:
        self._names = tuple(names)
        self._pool = pool
        self._screen = screen
        self._threads = threads
        self._shaped = shaped
        self._network = network
        self._memory = FitMemory()

    def propose(
        self,
        points: FloatArray,
        values: FloatArray,
        waiting: FloatArray,
        *,
        new: Callable[[FloatArray], FloatArray],
        seed: tuple[int, ...],
        price: tuple[Callable[[FloatArray], FloatArray], float | None] | None = None,
    ) -> FloatArray:
        """The next point to train, from trained points (shape [n, d]) with values ([n]) and points in training.

        `new` and `price` are those of `acquisition.Field`.
        """
        field = Field(self._pool, self._screen, new, seed, price=price)
        with capped_threads(self._threads):
            scaled = self._scale(values).forward(values)
            point = propose(self._names, points, scaled, waiting, field, self._memory, self._network)
        # The graphs of a fit hold each other in cycles, tens of MiB a suggestion at a thousand trials.
        give_back()
        return point

    def best(self, points: FloatArray, values: FloatArray, *, seed: tuple[int, ...]) -> tuple[FloatArray, float, float]:
        """The feasible point with the largest predicted mean, with mean and deviation in the values' units."""
        scale = self._scale(values)
        with capped_threads(self._threads):
            process = self._process(points, scale.forward(values))
            return self._best(process, scale, points, seed)

    def export(
        self,
        points: FloatArray,
        values: FloatArray,
        *,
        trials: Sequence[int],
        space: SearchSpace,
        seed: tuple[int, ...],
    ) -> SurrogateDocument:
        """The model as a document; `trials` are the points' trial indices."""
        scale = self._scale(values)
        with capped_threads(self._threads):
            process = self._process(points, scale.forward(values))
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
                network=self._network,
            )

    def _process(self, points: FloatArray, scaled: FloatArray) -> FeasibleGP:
        return fitted_process(as_tensor(points), as_tensor(scaled)[:, None], self._memory, self._network)

    def _best(
        self, process: FeasibleGP, scale: OutcomeScale, points: FloatArray, seed: tuple[int, ...]
    ) -> tuple[FloatArray, float, float]:
        def score(candidates: FloatArray) -> FloatArray:
            return np.asarray(predict(process, as_tensor(candidates))[0].numpy(), dtype=np.float64)

        pool = np.concatenate([self._pool, points[self._screen(points)]])
        point = ranked(score, pool, self._screen, np.random.default_rng(seed))[0]
        mean, deviation = (moment.numpy() for moment in predict(process, as_tensor(point[None])))
        mean, deviation = scale.moments(mean, deviation)
        return point, float(mean[0]), float(deviation[0])

    def _scale(self, values: FloatArray) -> OutcomeScale:
        """Fitted to what the hyper-parameters are fitted to, so that both stay until the next fit."""
        return OutcomeScale.fit(values[: refit_size(len(values))], shaped=self._shaped)
