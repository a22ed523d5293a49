"""Regularised evolution (Real et al. 2019): parents are the newest results, and the best of a few is mutated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from betanas.errors import StrategyError
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.neighbours import NeighbourStrategy
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.screened import usable


@dataclass(frozen=True)
class EvolutionOptions:
    """Options of `evolution`.

    Attributes:
        population: how many of the newest usable results can be parents.
        tournament: how many of them are drawn; the best is mutated.
        step: standard deviation of a mutation, as a part of a parameter's range.
        moved: part of the parameters that a mutation changes, at least one.
    """

    population: int = 20
    tournament: int = 5
    step: float = 0.15
    moved: float = 0.15

    def __post_init__(self) -> None:
        require_at_least("population", self.population, 2)
        require_at_least("tournament", self.tournament, 1)
        require_at_least("step", self.step, 1e-6)
        require_at_least("moved", self.moved, 0.0)
        if self.tournament > self.population:
            raise StrategyError(
                "A tournament must not be larger than the population.", value=f"{self.tournament} of {self.population}"
            )


class Evolution(NeighbourStrategy):
    """Ageing evolution (Real et al. 2019), with mutations of real parameters. Options: `EvolutionOptions`.

    The first population is a Sobol sequence's. Candidates die of age, not of being worse, so a lucky result does not
    stay for ever.
    """

    name: ClassVar[str] = "evolution"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings = read_options(self.name, EvolutionOptions, options)
        super().__init__(problem, seed=seed, options=options)

    @override
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        seen = usable(observations)
        if len(seen) < self.settings.population:
            return self.suggest(self.first_new(self.sobol, known), "sobol")
        generator = np.random.default_rng((self.seed, len(observations)))
        living = seen[-self.settings.population :]
        drawn = generator.choice(len(living), self.settings.tournament, replace=False)
        parent = max((living[place] for place in sorted(drawn)), key=_value)
        return self.suggest(
            self.neighbour(parent.vector, generator, known, size=self.settings.step, moved=self.settings.moved),
            self.name,
        )


def _value(observation: Observation) -> float:
    return observation.objective if observation.objective is not None else -np.inf
