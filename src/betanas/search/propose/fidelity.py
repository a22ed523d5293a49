"""What the strategies share that train candidates for parts of the budget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from betanas.blueprint import FloatArray
from betanas.errors import SpaceExhausted
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.rungs import Entrant, entrants
from betanas.search.propose.screened import FeasibleStream, ScreenedStrategy, sobol_draw

PROMOTED = "promoted"


class FidelityStrategy(ScreenedStrategy):
    """A strategy that tries candidates for less than the budget, and trains some of them again, for longer.

    A longer training begins anew, since its schedule is another. No network is trained twice for the same share.

    Attributes:
        sobol: the feasible points of a Sobol sequence.
    """

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(problem, seed=seed, options=options)
        self.sobol = FeasibleStream(problem, sobol_draw(len(problem.space.free), seed))

    @abstractmethod
    def choose(
        self, observations: Sequence[Observation], tried: Sequence[Entrant], known: frozenset[bytes]
    ) -> Suggestion:
        """One candidate for a share of the budget.

        Args:
            observations: in the order of their indices.
            tried: the networks among them, in the order of their first trials.
            known: what tells those networks apart.

        Raises:
            SpaceExhausted: it wants a network that is new, and there is none.
        """

    @override
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        rows = self.problem.space.to_array(seen.vector for seen in observations)
        tried = entrants(observations, self.networks(rows))
        try:
            return self.choose(observations, tried, known)
        except SpaceExhausted:
            # Nothing is new, but what has had a part of the budget only can still be trained to the end.
            partly = [each for each in tried if each.longest < 1.0 and np.isfinite(each.value(each.longest))]
            if not partly:
                raise
            return self.longer(max(partly, key=lambda each: (each.longest, each.value(each.longest))), 1.0)

    def new(self, share: float, known: frozenset[bytes]) -> Suggestion:
        """The next network of the Sobol sequence that is new.

        Raises:
            SpaceExhausted: there is none.
        """
        row: FloatArray = self.first_new(self.sobol, known)
        return Suggestion(self.problem.space.to_vector(row), "sobol", share)

    def longer(self, entrant: Entrant, share: float) -> Suggestion:
        """A network that was tried, for a larger share."""
        return Suggestion(dict(entrant.vector), PROMOTED, share)
