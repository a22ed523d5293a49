"""Strategies that learn nothing: the feasible points of a fixed sequence, in order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.options import read_options
from betanas.search.propose.screened import (
    Draw,
    FeasibleStream,
    ScreenedStrategy,
    sobol_draw,
    uniform_draw,
)


@dataclass(frozen=True)
class NoOptions:
    """A strategy without options."""


class ScreenedSequence(ScreenedStrategy):
    """Suggests the first point of a screened sequence whose network has not been tried, whatever is maximised."""

    finds_fronts: ClassVar[bool] = True

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        read_options(self.name, NoOptions, options)
        super().__init__(problem, seed=seed, options=options)
        self._stream = FeasibleStream(problem, self.draw(len(problem.space.free), seed))

    @staticmethod
    @abstractmethod
    def draw(dimensions: int, seed: int) -> Draw:
        """The sequence in the unit cube."""

    @override
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        return self.suggest(self.first_new(self._stream, known), self.name)


class Sobol(ScreenedSequence):
    """A scrambled Sobol sequence. No options."""

    name: ClassVar[str] = "sobol"
    draw = staticmethod(sobol_draw)


class Random(ScreenedSequence):
    """Independent uniform points. No options."""

    name: ClassVar[str] = "random"
    draw = staticmethod(uniform_draw)
