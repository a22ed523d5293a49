"""What the strategies share that only ever suggest networks that can be trained, each of them once."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from betanas.blueprint import BlueprintBatch, FloatArray
from betanas.errors import SpaceExhausted
from betanas.search.feasibility import Problem, require_free, survey
from betanas.search.propose.base import Observation, Strategy, Suggestion

# Vectors priced at a time. A power of two keeps a Sobol sequence balanced; a larger stretch is no faster.
STRETCH = 1024

# Stretches in a row without a feasible vector after which a search ends. The survey before the first trial has found
# one feasible in a thousand, which 64 stretches miss with probability 10**-28.
MOST_STRETCHES = 64

# Feasible vectors in a row, all of networks that were tried, after which a search ends: fewer than one in a thousand is
# then new (with 98% confidence), as happens where one or two parameters alone are free.
MOST_REPEATS = 4 * STRETCH

# Candidates looked at together for one whose network is new: nearly always the first is.
REPEATS = 16

Draw = Callable[[int], FloatArray]


class FeasibleStream:
    """The feasible points of an endless sequence in the unit cube, screened stretch by stretch and kept.

    The j-th feasible point depends on the sequence alone, not on when or how often it is asked for.
    """

    def __init__(self, problem: Problem, draw: Draw) -> None:
        self._problem = problem
        self._draw = draw
        self._rows = np.zeros((0, len(problem.space.parameters)))

    def first(self, count: int) -> FloatArray:
        """The first `count` feasible vectors, shape [count, parameters].

        Raises:
            SpaceExhausted: the sequence goes on without feasible points.
        """
        found, fruitless = [self._rows], 0
        total = len(self._rows)
        while total < count:
            rows = self._problem.space.from_unit(self._draw(STRETCH))
            kept = rows[self._problem.feasible(rows)]
            found.append(kept)
            total += len(kept)
            fruitless = 0 if len(kept) else fruitless + 1
            if fruitless == MOST_STRETCHES:
                raise SpaceExhausted(
                    "The space must go on yielding networks that keep the limits.",
                    value=f"none among {fruitless * STRETCH:,} vectors in a row",
                    hint="Widen the ranges or raise the limits.",
                )
        self._rows = np.concatenate(found)
        return self._rows[:count]

    def __iter__(self) -> Iterator[FloatArray]:
        place = 0
        while True:
            yield from self.first(place + STRETCH)[place:]
            place += STRETCH


def sobol_draw(dimensions: int, seed: int | Sequence[int]) -> Draw:
    """A scrambled Sobol sequence in the unit cube (Owen 1998), as a function that draws the next n points."""
    from scipy.stats import qmc  # half a second that a study which is only read need not spend

    engine = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))

    def draw(count: int) -> FloatArray:
        with warnings.catch_warnings():
            # A sequence cut anywhere but at a power of two is not balanced; the report's cuts it at 100.
            warnings.filterwarnings("ignore", "The balance properties", UserWarning)
            return np.asarray(engine.random(count), dtype=np.float64)

    return draw


def uniform_draw(dimensions: int, seed: int | Sequence[int]) -> Draw:
    """Independent uniform points in the unit cube, as a function that draws the next n points."""
    generator = np.random.default_rng(seed)

    def draw(count: int) -> FloatArray:
        return generator.random((count, dimensions))

    return draw


def usable(observations: Iterable[Observation]) -> list[Observation]:
    """Those with a finite value: a failed trial or a NaN teaches a strategy nothing but that the point is taken."""
    return [seen for seen in observations if seen.objective is not None and math.isfinite(seen.objective)]


def pending(observations: Iterable[Observation]) -> list[Observation]:
    """Those that are being trained."""
    return [seen for seen in observations if seen.state == "running"]


def networks(batch: BlueprintBatch) -> list[bytes]:
    """What tells a batch's networks apart: equal exactly where their blueprint keys are, and made in microseconds."""
    shapes = batch.layers.integers
    return [
        shapes[row, :depth].tobytes() + latent.tobytes()
        for row, (depth, latent) in enumerate(zip(batch.depth, batch.latent, strict=True))
    ]


class ScreenedStrategy(Strategy):
    """A strategy that suggests feasible candidates only, and no network twice for the same share of the budget.

    Repeats are skipped. Two vectors with the same blueprint key describe the same integer network, so the second trial
    would only measure the noise of training; that is measured better where it matters, by retraining the leaders with
    several seeds (`betanas confirm`), and a trial costs as much as a new network's.

    Several candidates asked for at once are suggested one after another, each knowing the earlier ones as pending: the
    same as asking for one and telling it as running, again and again.
    """

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        require_free(problem)
        super().__init__(problem, seed=seed, options=options)
        self._networks: dict[tuple[float, ...], bytes] = {}
        self._surveyed = False

    @abstractmethod
    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        """One candidate, from observations in the order of their indices and the networks they used up."""

    def ask(self, count: int = 1) -> list[Suggestion]:
        """See `Strategy.ask`.

        Raises:
            LimitError: almost nothing of the space is feasible; said before the first trial.
            SpaceExhausted: every feasible network has been suggested.
        """
        if not self._surveyed:
            survey(self.problem).require()
            self._surveyed = True
        observations = list(self.observations)
        suggestions: list[Suggestion] = []
        for _ in range(count):
            known = frozenset(self.networks(self.problem.space.to_array(seen.vector for seen in observations)))
            suggestion = self.propose(observations, known)
            suggestions.append(suggestion)
            index = observations[-1].index + 1 if observations else 0
            observations.append(
                Observation(index, suggestion.vector, suggestion.origin, "running", share=suggestion.share)
            )
        return suggestions

    def networks(self, rows: FloatArray) -> list[bytes]:
        """The networks of told vectors (rows of shape [n, parameters]); each is worked out once."""
        places = [tuple(row) for row in rows.tolist()]
        missing = [place for place in dict.fromkeys(places) if place not in self._networks]
        if missing:
            self._networks.update(zip(missing, networks(self.problem.blueprints(np.array(missing))), strict=True))
        return [self._networks[place] for place in places]

    def first_new(self, rows: Iterable[FloatArray], known: frozenset[bytes]) -> FloatArray:
        """The first of some feasible vectors whose network is not among the known.

        Raises:
            SpaceExhausted: none of `MOST_REPEATS` is new, or there are no more.
        """
        candidates = islice(rows, MOST_REPEATS + len(known))
        while batch := list(islice(candidates, REPEATS)):
            stacked = np.stack(batch)
            for row, network in zip(stacked, networks(self.problem.blueprints(stacked)), strict=True):
                if network not in known:
                    return np.array(row)
        raise SpaceExhausted(
            "The space must hold a network that has not been tried.",
            value=f"{len(known):,} tried",
            hint="Every network in these ranges is known: see the best with `betanas best`, or widen the ranges.",
        )

    def suggest(self, row: FloatArray, origin: str) -> Suggestion:
        """A vector as a suggestion."""
        return Suggestion(self.problem.space.to_vector(row), origin)
