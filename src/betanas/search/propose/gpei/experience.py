"""What finished studies say of candidates: the means of Gaussian processes of their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from betanas.blueprint import FloatArray
from betanas.search.feasibility import Problem
from betanas.search.lessons import Lesson
from betanas.search.propose.gpei.acquisition import expected_improvement
from betanas.search.propose.gpei.local_search import Score
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import Fitter, Process


@dataclass(frozen=True, eq=False)
class Experience:
    """A process for each finished study, fitted once. Called with points, it gives the means, shape [n, studies].

    A process is of the study's objectives on a scale of their own (`OutcomeScale`), of which only order and spread are
    left: another data set, resolution or budget moves accuracies as a whole. Where a study found nothing that its
    process can tell from noise, its mean is flat, and says nothing.

    Attributes:
        processes: of the studies.
        points: the studies' trials, as points of this search's unit cube, for each study shape [n, d].
        kept: means by the bytes of a point: the pool is asked about at every suggestion.
    """

    processes: tuple[Process, ...]
    points: tuple[FloatArray, ...]
    kept: dict[bytes, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem, lessons: Sequence[Lesson], network: NetworkView | None) -> Self:
        """The experience that lessons give with a problem's own view of networks."""
        processes, points = [], []
        for lesson in lessons:
            at = problem.space.to_unit(problem.space.to_array(lesson.vectors))
            values = np.array(lesson.values)
            processes.append(Fitter(network).process(at, OutcomeScale.fit(values).forward(values)))
            points.append(at)
        return cls(tuple(processes), tuple(points))

    def __call__(self, points: FloatArray) -> FloatArray:
        """What the studies expect of points of shape [n, d], each on its own scale, shape [n, studies]."""
        keys = [point.tobytes() for point in points]
        new = [place for place, key in enumerate(keys) if key not in self.kept]
        if not new:
            return np.array([self.kept[key] for key in keys])
        found = np.stack([process.predict(points[new])[0] for process in self.processes], axis=1)
        fresh = dict(zip(new, found, strict=True))
        return np.array([fresh[place] if place in fresh else self.kept[key] for place, key in enumerate(keys)])

    @property
    def studies(self) -> int:
        """How many there are."""
        return len(self.processes)

    def keep(self, points: FloatArray) -> None:
        """Remember what the studies expect of points that will be asked about again."""
        self.kept.update(zip((point.tobytes() for point in points), self(points), strict=True))

    def expecting(self, turn: int, tried: FloatArray) -> Score:
        """Expected improvement by one study's own process, as if points of this search were in training there.

        Args:
            turn: which study, counted round and round.
            tried: points of this search, with or without a result, shape [m, d].
        """
        place = turn % len(self.processes)
        return expected_improvement(self.processes[place], self.points[place], tried)
