"""Local search: steps from the best candidate so far, shorter while they fail; a fresh start where they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.neighbours import NeighbourStrategy
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.screened import usable


@dataclass(frozen=True)
class LocalOptions:
    """Options of `local`.

    Attributes:
        initial: usable Sobol results before the first climb, and after each that has ended.
        step: standard deviation of a climb's first steps, as a part of a parameter's range.
        patience: failed steps in a row after which steps are halved.
        least: a climb ends where its steps have become shorter than this.
        moved: part of the parameters that a step changes, at least one.
    """

    initial: int = 10
    step: float = 0.2
    patience: int = 5
    least: float = 0.02
    moved: float = 0.3

    def __post_init__(self) -> None:
        require_at_least("initial", self.initial, 1)
        require_at_least("step", self.step, 1e-6)
        require_at_least("patience", self.patience, 1)
        require_at_least("least", self.least, 1e-6)
        require_at_least("moved", self.moved, 0.0)


@dataclass(frozen=True)
class _Climb:
    """Where a climb stands: its best candidate (None before it starts), its steps' size, the failures in a row."""

    best: Observation | None
    size: float


class Local(NeighbourStrategy):
    """Hill climbing with restarts, which White et al. (2021) found to be strong in architecture search.

    Where it stands is worked out from the results in the order of their trials. Options: `LocalOptions`.
    """

    name: ClassVar[str] = "local"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings = read_options(self.name, LocalOptions, options)
        super().__init__(problem, seed=seed, options=options)

    @override
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        climb = self._climb(usable(observations))
        if climb.best is None:
            return self.suggest(self.first_new(self.sobol, known), "sobol")
        generator = np.random.default_rng((self.seed, len(observations)))
        row = self.neighbour(climb.best.vector, generator, known, size=climb.size, moved=self.settings.moved)
        return self.suggest(row, self.name)

    def _climb(self, seen: Sequence[Observation]) -> _Climb:
        """Replays the results: a stage of starts, a climb from the best of them, another stage, and so on."""
        options = self.settings
        starts: list[Observation] = []
        best, size, failures = None, options.step, 0
        for observation in seen:
            if best is None:
                starts.append(observation)
                if len(starts) >= options.initial:
                    best, size, failures, starts = max(starts, key=_value), options.step, 0, []
            elif _value(observation) > _value(best):
                best, failures = observation, 0
            else:
                failures += 1
                if failures == options.patience:
                    size, failures = size / 2, 0
                if size < options.least:
                    best = None
        return _Climb(best, size)


def _value(observation: Observation) -> float:
    return observation.objective if observation.objective is not None else -np.inf
