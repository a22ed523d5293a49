"""The default strategy: a screened Sobol sequence, then Gaussian-process expected improvement."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from betanas.blueprint import BoolArray, FloatArray
from betanas.host_memory import give_back
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Prediction, Suggestion
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.screened import FeasibleStream, ScreenedStrategy, pending, sobol_draw, usable

if TYPE_CHECKING:
    from betanas.search.propose.gpei.acquisition import Price
    from betanas.search.propose.gpei.model import Model

# The sequence's points cover d directions no sooner than there are d + 1 of them, as many as a plane needs. More only
# delays the model: its priors hold the lengthscales until there is evidence (Hvarfner et al. 2024), and small initial
# designs won where they were compared (Bossek et al. 2020). On a smooth 15-parameter objective with noise the median
# regret after 32 trials was 4.9 points with 16 initial ones and 10.3 with 32, after 60 trials 1.7 and 1.9 (3 seeds).
SOBOL_BEYOND_PARAMETERS = 1

_TELLS_APART = 2  # results, below which there is nothing to model

# With finished studies to learn from, a model of this search's own needs results to tell what those are worth here.
# Half of them come from the sequence, which is fair to what the studies never tried, half from the studies' processes.
INITIAL_WITH_LESSONS = 6

# The graphs of a fit hold each other in cycles: tens of MiB a suggestion at a thousand trials, next to nothing at
# first. To look for them takes a third of a second, whatever they are: as long as a fit to few results.
FEW_RESULTS, SELDOM = 200, 8


@dataclass(frozen=True)
class GpeiOptions:
    """Options of `gpei`.

    Attributes:
        initial: usable results that the Sobol stage gathers before the model takes over; 0 stands for
            d + 1 with d free parameters, or for fewer where finished studies are learned from.
        pool: feasible points of a Sobol sequence among which the acquisition function looks first.
        network: whether the model sees what networks look like (`network_features`) beside their parameters.
    """

    initial: int = 0
    pool: int = 8192
    network: bool = True

    def __post_init__(self) -> None:
        require_at_least("initial", self.initial, 0)
        require_at_least("pool", self.pool, 16)


class Gpei(ScreenedStrategy):
    """Sobol up to a minimum density, then expected improvement of a Gaussian process, all among feasible candidates.

    The density is counted in usable results, not in suggestions: failed trials do not inform the model, so the
    sequence goes on in their place. No result is made up: infeasible candidates are never suggested and failed ones
    are only not suggested again. Where the problem is a front, expected hypervolume improvement over the objective and
    the cost's logarithm, which is known before a trial, takes the place of expected improvement.

    Where the problem brings lessons, every other trial before the model is what a finished study's own process would
    try next (origin `prior`), and the model's mean follows what those processes expect, as far as results agree.

    Options: `GpeiOptions`.
    """

    name: ClassVar[str] = "gpei"
    finds_fronts: ClassVar[bool] = True
    learns: ClassVar[bool] = True

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings = read_options(self.name, GpeiOptions, options, retired=("threads",))
        super().__init__(problem, seed=seed, options=options)
        dimensions = len(problem.space.free)
        self._sobol = FeasibleStream(problem, sobol_draw(dimensions, seed))
        # Another scrambling than the Sobol stage's, whose points are trained already.
        self._pool = FeasibleStream(problem, sobol_draw(dimensions, (seed, 1)))
        self._model: Model | None = None
        self._modelled = 0

    @property
    def initial(self) -> int:
        """Usable results before the model takes over."""
        usual = len(self.problem.space.free) + SOBOL_BEYOND_PARAMETERS
        return self.settings.initial or (min(usual, INITIAL_WITH_LESSONS) if self.problem.lessons else usual)

    @property
    @override
    def before_model(self) -> int:
        return 0 if self.problem.lessons else self.initial

    @override
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        def first_new(ranking: FloatArray) -> FloatArray:
            row = self.first_new(self.problem.space.from_unit(ranking), known)
            unit: FloatArray = self.problem.space.to_unit(row[None])[0]
            return unit

        seen = usable(observations)
        if len(seen) < max(self.initial, _TELLS_APART):
            turn, odd = divmod(len(observations), 2)
            found = None
            if self.problem.lessons and not odd:
                with self._modelling() as model:
                    found = model.expected(
                        turn, self._unit(observations), first_new=first_new, seed=(self.seed, len(observations))
                    )
            if found is None:
                return self.suggest(self.first_new(self._sobol, known), "sobol")
            return self.suggest(self.problem.space.from_unit(found[None])[0], "prior")
        with self._modelling() as model:
            point = model.propose(
                self._unit(seen),
                _values(seen),
                self._unit(pending(observations)),
                first_new=first_new,
                seed=(self.seed, len(observations)),
                price=self._price(),
            )
        return self.suggest(self.problem.space.from_unit(point[None])[0], self.name)

    @override
    def predict_best(self) -> Prediction | None:
        seen = usable(self.observations)
        if len(seen) < _TELLS_APART:
            return None
        with self._modelling() as model:
            point, mean, deviation = model.best(self._unit(seen), _values(seen), seed=(self.seed, len(seen)))
        return Prediction(self.problem.space.to_vector(self.problem.space.from_unit(point[None])[0]), mean, deviation)

    def export_surrogate(self) -> Mapping[str, Any] | None:
        """See `Strategy.export_surrogate`; the document is `surrogate_document.SurrogateDocument`."""
        seen = usable(self.observations)
        if len(seen) < _TELLS_APART:
            return None
        with self._modelling() as model:
            document = model.export(
                self._unit(seen),
                _values(seen),
                trials=[observation.index for observation in seen],
                space=self.problem.space,
                seed=(self.seed, len(seen)),
            )
        return document.to_dict()

    def screen(self, points: FloatArray) -> BoolArray:
        """Which points of the unit cube are feasible."""
        return self.problem.feasible(self.problem.space.from_unit(points))

    def _price(self) -> Price | None:
        """The logarithm of the cost that the front is against, and of its limit."""
        from betanas.search.propose.gpei.acquisition import Price

        against = self.problem.against
        if not against:
            return None
        most = getattr(self.problem.limits, against)

        def costs(points: FloatArray) -> FloatArray:
            priced = self.problem.price(self.problem.space.from_unit(points))
            return np.asarray(np.log(getattr(priced, against)), dtype=np.float64)

        return Price(costs, None if most is None else float(np.log(most)))

    @contextmanager
    def _modelling(self) -> Iterator[Model]:
        """The model, on the threads that the search allows; memory is given back at the end, now and then or always."""
        with warnings.catch_warnings():
            # Seconds of imports, which a Sobol stage does not wait for. Torch warns about itself.
            warnings.simplefilter("ignore", FutureWarning)
            from betanas.search.propose.gpei.experience import Experience
            from betanas.search.propose.gpei.model import Model
            from betanas.search.propose.gpei.threads import capped_threads
        if self._model is None:
            rows = self._pool.first(self.settings.pool)
            network = NetworkView.over(self.problem, rows) if self.settings.network else None
            experience = Experience.of(self.problem, self.problem.lessons, network) if self.problem.lessons else None
            self._model = Model(self.problem.space.to_unit(rows), self.screen, network, experience)
        with capped_threads(self.threads):
            yield self._model
        self._modelled += 1
        if len(self._observations) > FEW_RESULTS or self._modelled % SELDOM == 0:
            give_back()

    def _unit(self, observations: Sequence[Observation]) -> FloatArray:
        return self.problem.space.to_unit(self.problem.space.to_array(seen.vector for seen in observations))


def _values(observations: Sequence[Observation]) -> FloatArray:
    return np.array([seen.objective for seen in observations], dtype=np.float64)
