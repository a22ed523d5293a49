"""Which candidate to train, and for which part of the budget: a Gaussian process over both."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from betanas.blueprint import BoolArray, FloatArray
from betanas.errors import SpaceExhausted
from betanas.host_memory import give_back
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Prediction, Suggestion
from betanas.search.propose.fidelity import PROMOTED, FidelityStrategy
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.halving import require_share
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.rungs import Entrant, shares_from
from betanas.search.propose.screened import FeasibleStream, pending, sobol_draw, usable

if TYPE_CHECKING:
    from betanas.search.propose.multifidelity.model import Model, Told

# Brief trainings are cheap enough to see the space more widely than `gpei` can, whose d + 1 whole ones take longer:
# on the replay the regret after the seconds of 50 whole ones was 1.95 points for 3.26 (means of seeds 1000 to 1003).
SOBOL_A_PARAMETER = 2.5

_TELLS_APART = 2  # results, below which there is nothing to model


@dataclass(frozen=True)
class MultiFidelityOptions:
    """Options of `multifidelity`.

    Attributes:
        least: the smallest part of the budget that a candidate is trained for.
        factor: how many times longer the next larger part is.
        initial: usable results of a Sobol sequence before the model takes over, each after the part `first` of the
            budget; 0 stands for five for every two of d + 1 with d free parameters.
        first: that part.
        wholes: how many of the best of those are trained for the whole budget, before the model takes over.
        overhead: what a training costs beside its own seconds, whatever its share, as a part of the budget.
        pool: feasible points of a Sobol sequence among which the acquisition function looks first.
        network: whether the model sees what networks look like (`network_features`) beside their parameters.
    """

    least: float = 0.125
    factor: int = 2
    initial: int = 0
    first: float = 0.25
    wholes: int = 1
    overhead: float = 0.12
    pool: int = 2048
    network: bool = True

    def __post_init__(self) -> None:
        require_share("least", self.least)
        require_share("first", self.first)
        require_at_least("factor", self.factor, 2)
        require_at_least("initial", self.initial, 0)
        require_at_least("wholes", self.wholes, 0)
        require_at_least("overhead", self.overhead, 0.0)
        require_at_least("pool", self.pool, 16)


class MultiFidelity(FidelityStrategy):
    """Expected improvement after the whole budget, over the seconds that it takes to get there.

    Sobol candidates are trained briefly, the best of them for the whole budget. From then on a Gaussian process over
    parameters, network and the logarithm of the share predicts what every candidate reaches after the whole budget,
    and the training is chosen that is worth most a second (`multifidelity.worth`): a new candidate's for some share, or
    a longer one of a candidate that is known.

    Options: `MultiFidelityOptions`.
    """

    name: ClassVar[str] = "multifidelity"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings = read_options(self.name, MultiFidelityOptions, options)
        super().__init__(problem, seed=seed, options=options)
        self.shares = shares_from(self.settings.least, self.settings.factor)
        self.least_share = min(self.shares[0], self.settings.first)
        # Another scrambling than the Sobol stage's, whose points are trained already.
        self._pool = FeasibleStream(problem, sobol_draw(len(problem.space.free), (seed, 1)))
        self._model: Model | None = None

    @property
    def initial(self) -> int:
        """Usable results before the model takes over."""
        return self.settings.initial or ceil(SOBOL_A_PARAMETER * (len(self.problem.space.free) + 1))

    @override
    def choose(
        self, observations: Sequence[Observation], tried: Sequence[Entrant], known: frozenset[bytes]
    ) -> Suggestion:
        seen = usable(observations)
        if len(seen) < max(self.initial, _TELLS_APART):
            return self.new(self.settings.first, known)
        if leader := self._first_whole(tried):
            return self.longer(leader, 1.0)
        ready = [each for each in tried if each.longest < 1.0 and each.value(each.longest) > -np.inf]

        def first_new(ranking: FloatArray) -> FloatArray | None:
            try:
                row = self.first_new(self.problem.space.from_unit(ranking), known)
            except SpaceExhausted:
                if not ready:
                    raise
                return None
            unit: FloatArray = self.problem.space.to_unit(row[None])[0]
            return unit

        with self._modelling() as model:
            choice = model.propose(
                self._told(observations),
                self._unit([each.vector for each in ready]),
                np.array([each.longest for each in ready]),
                first_new=first_new,
                seed=(self.seed, len(observations)),
            )
        if choice.place is not None:
            return Suggestion(dict(ready[choice.place].vector), PROMOTED, choice.share)
        row = self.problem.space.from_unit(choice.point[None])[0]
        return Suggestion(self.problem.space.to_vector(row), self.name, choice.share)

    @override
    def predict_best(self) -> Prediction | None:
        seen = usable(self.observations)
        if len(seen) < _TELLS_APART:
            return None
        with self._modelling() as model:
            point, mean, deviation = model.best(self._told(self.observations), seed=(self.seed, len(seen)))
        return Prediction(self.problem.space.to_vector(self.problem.space.from_unit(point[None])[0]), mean, deviation)

    def screen(self, points: FloatArray) -> BoolArray:
        """Which points of the unit cube are feasible."""
        return self.problem.feasible(self.problem.space.from_unit(points))

    def _first_whole(self, tried: Sequence[Entrant]) -> Entrant | None:
        """The best of the first candidates, as long as too few have been trained for the whole budget."""
        if sum(each.longest == 1.0 for each in tried) >= self.settings.wholes:
            return None
        known = [each for each in tried if each.longest < 1.0 and each.value(each.longest) > -np.inf]
        return max(known, key=lambda each: each.value(each.longest), default=None)

    def _told(self, observations: Sequence[Observation]) -> Told:
        from betanas.search.propose.multifidelity.model import Told

        seen, waiting = usable(observations), pending(observations)
        numbers = {network: place for place, network in enumerate(dict.fromkeys(self._keys(seen)))}
        return Told(
            points=self._unit([each.vector for each in seen]),
            values=np.array([each.objective for each in seen], dtype=np.float64),
            shares=np.array([each.share for each in seen]),
            networks=np.array([numbers[network] for network in self._keys(seen)]),
            pending=self._unit([each.vector for each in waiting]),
            pending_shares=np.array([each.share for each in waiting]),
        )

    def _keys(self, observations: Sequence[Observation]) -> list[bytes]:
        return self.networks(self.problem.space.to_array(seen.vector for seen in observations))

    def _unit(self, vectors: Sequence[Mapping[str, float]]) -> FloatArray:
        return self.problem.space.to_unit(self.problem.space.to_array(vectors))

    @contextmanager
    def _modelling(self) -> Iterator[Model]:
        """The model, on the threads that the search allows; memory is given back at the end."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch warns about itself
            from betanas.search.propose.gpei.threads import capped_threads
            from betanas.search.propose.multifidelity.model import Model
        if self._model is None:
            rows = self._pool.first(self.settings.pool)
            network = NetworkView.over(self.problem, rows) if self.settings.network else None
            points = self.problem.space.to_unit(rows)
            self._model = Model(points, self.screen, network, self.shares, self.settings.overhead)
        with capped_threads(self.threads):
            yield self._model
        give_back()
