"""The report's own procedure, to the letter: what every claim of improvement is made against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from betanas.blueprint import BoolArray, FloatArray
from betanas.search.feasibility import Problem, require_free
from betanas.search.propose.base import Observation, Prediction, Strategy, Suggestion
from betanas.search.propose.gpei.loading import model_class
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.screened import pending, sobol_draw

if TYPE_CHECKING:
    from betanas.search.propose.gpei.model import Model


@dataclass(frozen=True)
class ReportOptions:
    """Options of `report`.

    Attributes:
        sobol: Sobol points, infeasible ones included (section 4.5 of the report: 100).
        usable: the report stops at so many results that are not zero (200); the number of trials a study plans is the
            study's own, so this only says when `finished` becomes true.
        pool: points of the whole cube among which the acquisition function looks first.
        threads: most threads of torch.
    """

    sobol: int = 100
    usable: int = 200
    pool: int = 8192
    threads: int = 2

    def __post_init__(self) -> None:
        require_at_least("sobol", self.sobol, 2)
        require_at_least("usable", self.usable, 1)
        require_at_least("pool", self.pool, 16)
        require_at_least("threads", self.threads, 1)


class Report(Strategy):
    """100 Sobol points, then GPEI, over the whole space; a candidate that cannot train scores zero.

    It suggests infeasible candidates, and the same network twice, as the report did. Its kernel, its fit and its
    acquisition function are those of `gpei`, so that a comparison shows the procedures and not two libraries; its
    process sees the parameters alone, and values that are standardised and no more, as the report's did.
    Options: `ReportOptions`.
    """

    name: ClassVar[str] = "report"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        require_free(problem)
        self.settings = read_options(self.name, ReportOptions, options)
        super().__init__(problem, seed=seed, options=options)
        dimensions = len(problem.space.free)
        self._sobol = problem.space.from_unit(sobol_draw(dimensions, seed)(self.settings.sobol))
        self._model: Model | None = None

    @property
    def finished(self) -> bool:
        """Whether the report's search would have ended."""
        return sum(_score(seen) > 0 for seen in self.observations) >= self.settings.usable

    def ask(self, count: int = 1) -> list[Suggestion]:
        """See `Strategy.ask`; several are suggested one after another, the earlier ones pending."""
        observations = list(self.observations)
        suggestions: list[Suggestion] = []
        for _ in range(count):
            suggestion = self._propose(observations)
            suggestions.append(suggestion)
            index = observations[-1].index + 1 if observations else 0
            observations.append(Observation(index, suggestion.vector, suggestion.origin, "running"))
        return suggestions

    def predict_best(self) -> Prediction | None:
        """See `Strategy.predict_best`; over the whole space, as in the report."""
        known = [seen for seen in self.observations if seen.state != "running"]
        if len(known) < self.settings.sobol:
            return None
        point, mean, deviation = self._models().best(self._unit(known), _scores(known), seed=(self.seed, len(known)))
        return Prediction(self.problem.space.to_vector(self.problem.space.from_unit(point[None])[0]), mean, deviation)

    def _propose(self, observations: Sequence[Observation]) -> Suggestion:
        space = self.problem.space
        taken = {tuple(row) for row in space.to_array(seen.vector for seen in observations).tolist()}
        for row in self._sobol:
            if tuple(row.tolist()) not in taken:
                return Suggestion(space.to_vector(row), "sobol")
        known = [seen for seen in observations if seen.state != "running"]
        if len(known) < 2:
            # Everything is in training: there is nothing yet to model.
            extra = sobol_draw(len(space.free), (self.seed, 2))(len(observations) + 1)[-1:]
            return Suggestion(space.to_vector(space.from_unit(extra)[0]), "sobol")
        point = self._models().propose(
            self._unit(known),
            _scores(known),
            self._unit(pending(observations)),
            new=lambda ranking: ranking[0],
            seed=(self.seed, len(observations)),
        )
        return Suggestion(space.to_vector(space.from_unit(point[None])[0]), "gpei")

    def _models(self) -> Model:
        if self._model is None:
            names = self.problem.space.free
            pool = sobol_draw(len(names), (self.seed, 1))(self.settings.pool)
            self._model = model_class()(names, pool, _everywhere, threads=self.settings.threads, shaped=False)
        return self._model

    def _unit(self, observations: Sequence[Observation]) -> FloatArray:
        return self.problem.space.to_unit(self.problem.space.to_array(seen.vector for seen in observations))


def _score(observation: Observation) -> float:
    """The objective, or zero for a candidate that could not be trained."""
    value = observation.objective
    return value if value is not None and math.isfinite(value) else 0.0


def _scores(observations: Sequence[Observation]) -> FloatArray:
    return np.array([_score(seen) for seen in observations], dtype=np.float64)


def _everywhere(points: FloatArray) -> BoolArray:
    return np.ones(len(points), dtype=np.bool_)
