"""A search strategy of one's own: each candidate takes every parameter from one of the two best networks so far.

A strategy derived from `NeighbourStrategy` is asked for the next vector; that only networks within the limits are
suggested, and each of them once, is looked after. Its answer may depend on what it was told, its seed and its options,
and on nothing else: a search that is resumed must go on as if it had never stopped.

    betanas search --data digits --space betanet3 --study runs/crossed --strategy examples/custom_strategy.py \
        --budget 6s --trials 12
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import betanas as bn
from betanas.search.feasibility import Problem
from betanas.search.propose import NeighbourStrategy, read_options


@dataclass(frozen=True)
class CrossedOptions:
    """What may be set with `strategy_options`."""

    initial: int = 8
    step: float = 0.05


@bn.register_strategy
class Crossed(NeighbourStrategy):
    """A child of the two best, a small step away from where they cross."""

    name: ClassVar[str] = "crossed"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings = read_options(self.name, CrossedOptions, options)
        super().__init__(problem, seed=seed, options=options)

    def propose(self, observations: Sequence[bn.Observation], known: frozenset[bytes]) -> bn.Suggestion:
        """The next candidate; the first few are those of a Sobol sequence."""
        results = [seen for seen in observations if seen.objective is not None and np.isfinite(seen.objective)]
        if len(results) < self.settings.initial:
            return self.suggest(self.first_new(self.sobol, known), "sobol")
        generator = np.random.default_rng((self.seed, len(observations)))
        first, second = sorted(results, key=lambda seen: -seen.objective)[:2]
        heads = generator.random(len(first.vector)) < 0.5
        child = {
            name: value if first_parent else second.vector[name]
            for (name, value), first_parent in zip(first.vector.items(), heads, strict=True)
        }
        row = self.neighbour(child, generator, known, size=self.settings.step, moved=1.0)
        return self.suggest(row, self.name)
