"""Maximises a function over the feasible space: a large screened pool, then a local search from its best points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from betanas.blueprint import BoolArray, FloatArray
from betanas.search.propose.steps import stepped

Score = Callable[[FloatArray], FloatArray]
Screen = Callable[[FloatArray], BoolArray]


@dataclass(frozen=True, slots=True)
class LocalSearch:
    """How long to search near the best points; `benchmarks/search_feasible_acquisition.py` chose the values.

    Attributes:
        centres: best points that are refined side by side.
        rounds: of steps, each `shrink` times the size of the last.
        steps: candidates a round, over all centres.
        first: standard deviation of the first round's steps, as a part of a parameter's range.
        shrink: factor from one round to the next.
        moved: part of the coordinates that a step changes, at least one.
    """

    centres: int = 8
    rounds: int = 8
    steps: int = 512
    first: float = 0.2
    shrink: float = 0.6
    moved: float = 0.3


def ranked(
    score: Score,
    pool: FloatArray,
    feasible: Screen,
    generator: np.random.Generator,
    search: LocalSearch | None = None,
) -> FloatArray:
    """Feasible points of the unit cube in the order of their score, best first: the pool's and better ones near them.

    Feasibility is a step function of the parameters (channels are integers), so there is no gradient to follow along
    its border: steps are drawn, screened and scored in large batches, which cost the same as a few gradients.

    Args:
        score: what to maximise, for points of shape [n, d].
        pool: feasible points, shape [n, d], at least one.
        feasible: which points are.
        generator: of the steps.
        search: how long to search; None for the chosen values.
    """
    search = search or LocalSearch()
    scores = score(pool)
    points, size = pool, search.first
    for _ in range(search.rounds):
        order = np.argsort(-scores, kind="stable")[: search.centres]
        centres = points[np.resize(order, search.steps)]
        steps = stepped(centres, generator, size=size, moved=search.moved)
        steps = steps[feasible(steps)]
        if len(steps):
            points, scores = np.concatenate([points, steps]), np.concatenate([scores, score(steps)])
        size *= search.shrink
    return points[np.argsort(-scores, kind="stable")]
