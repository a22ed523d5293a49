"""What the strategies share that are another package's sampler: drawn from until a candidate is feasible and new."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from typing_extensions import override

from betanas.blueprint import FloatArray
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.neighbours import NeighbourStrategy
from betanas.search.propose.options import read_options
from betanas.search.propose.screened import networks, pending, usable

# Where no draw is feasible and new: the size of the steps from the first one to a candidate near it.
STEP = 0.02


class _Staged(Protocol):
    @property
    def initial(self) -> int: ...


_Options = TypeVar("_Options", bound=_Staged)


class SampledStrategy(NeighbourStrategy, Generic[_Options]):
    """A Sobol stage, then draws of a sampler that is made anew from what is known at each suggestion.

    Subclasses turn points of the unit cube into draws, and leave limits, repeats and the Sobol stage to this class.

    Attributes:
        options_type: of the options; their `initial` is how many usable Sobol results the sampler starts with.
        most_draws: draws before a neighbour of the first one is taken.
        settings: the options.
    """

    options_type: ClassVar[type]
    most_draws: ClassVar[int]

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings: _Options = read_options(self.name, self.options_type, options)
        super().__init__(problem, seed=seed, options=options)

    @abstractmethod
    def draws(self, points: FloatArray, values: FloatArray, waiting: FloatArray, seed: int) -> Generator[FloatArray]:
        """Points to try next (shape [d]), the most promising first; the next is asked for where one is refused.

        Args:
            points: trained points of the unit cube, shape [n, d], in the order of their trials.
            values: their objectives (to be maximised), shape [n].
            waiting: points in training, shape [m, d].
            seed: of the sampler, below 2**32.
        """

    @override
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        seen = usable(observations)
        if len(seen) < self.settings.initial:
            return self.suggest(self.first_new(self.sobol, known), "sobol")
        generator = np.random.default_rng((self.seed, len(observations)))
        draws = self.draws(
            self._unit(seen),
            np.array([each.objective for each in seen], dtype=np.float64),
            self._unit(pending(observations)),
            int(generator.integers(2**32)),
        )
        first: FloatArray | None = None
        with closing(draws):
            for unit in islice(draws, self.most_draws):
                row = self.problem.space.from_unit(unit[None])
                if self.problem.feasible(row)[0] and networks(self.problem.blueprints(row))[0] not in known:
                    return self.suggest(row[0], self.name)
                first = row[0] if first is None else first
        if first is None:
            return self.suggest(self.first_new(self.sobol, known), "sobol")
        near = self.neighbour(self.problem.space.to_vector(first), generator, known, size=STEP, moved=1.0)
        return self.suggest(near, self.name)

    def _unit(self, observations: Sequence[Observation]) -> FloatArray:
        return self.problem.space.to_unit(self.problem.space.to_array(each.vector for each in observations))
