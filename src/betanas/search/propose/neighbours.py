"""What the strategies share that look around candidates they know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from betanas.blueprint import FloatArray
from betanas.search.feasibility import Problem
from betanas.search.propose.screened import FeasibleStream, ScreenedStrategy, networks, sobol_draw
from betanas.search.propose.steps import stepped

# Steps drawn at a time, and how often the size doubles before the neighbourhood counts as used up.
STEPS, DOUBLINGS = 64, 6


class NeighbourStrategy(ScreenedStrategy):
    """A strategy that starts with a Sobol sequence and goes on with steps from what it found.

    Attributes:
        sobol: the feasible points of the sequence.
    """

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(problem, seed=seed, options=options)
        self.sobol = FeasibleStream(problem, sobol_draw(len(problem.space.free), seed))

    def neighbour(
        self,
        centre: Mapping[str, float],
        generator: np.random.Generator,
        known: frozenset[bytes],
        *,
        size: float,
        moved: float,
    ) -> FloatArray:
        """A feasible vector near another, whose network is new; a Sobol point where there is none.

        Args:
            centre: where to look.
            generator: of the steps.
            known: networks that are used up.
            size: of a step, see `steps.stepped`.
            moved: part of the coordinates that a step changes.
        """
        space = self.problem.space
        start = space.to_unit(space.to_array([centre]))
        for doubling in range(DOUBLINGS):
            steps = stepped(np.repeat(start, STEPS, axis=0), generator, size=size * 2**doubling, moved=moved)
            rows = space.from_unit(steps)
            fitting = rows[self.problem.feasible(rows)]
            if not len(fitting):
                continue
            for row, network in zip(fitting, networks(self.problem.blueprints(fitting)), strict=True):
                if network not in known:
                    return np.array(row)
        return self.first_new(self.sobol, known)
