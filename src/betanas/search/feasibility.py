"""Which candidates can be trained at all: known from their cost, before any network is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from betanas.blueprint import Blueprint, BlueprintBatch, BoolArray, FloatArray, IntArray
from betanas.cost import count_macs, count_params, training_memory
from betanas.errors import LimitError, StrategyError
from betanas.quantities import format_bytes, format_count, format_latency
from betanas.search.lessons import Lesson
from betanas.search.objectives import FrontCost
from betanas.search.settings import Limits
from betanas.spaces import Range, SearchSpace

if TYPE_CHECKING:
    from betanas.search.records import TrialRecord

# Points of a survey: a share of 0.1% is then eight points, enough to tell it from none.
SURVEY_POINTS = 8192

# With fewer feasible points than one in a thousand a search would be confined to a corner that the ranges were not
# meant for, and every suggestion would wait for thousands of vectors to be priced.
LEAST_SHARE = 1e-3

# Advice narrows ranges until this share of the space is feasible, changing at most `MOST_ADVICE` parameters.
ADVISED_SHARE = 0.25
MOST_ADVICE = 4

# A real out-of-memory error at a predicted size says that the limit lies below it.
_MEMORY_CORRECTION = 0.98


@dataclass(frozen=True, eq=False)
class Costs:
    """Costs of n candidates, arrays of shape [n].

    `lookahead` has one column for each look-ahead resolution; `latency` is None without a latency table.
    """

    params: IntArray
    macs: IntArray
    memory: IntArray
    lookahead: IntArray
    latency: FloatArray | None


@dataclass(frozen=True, eq=False)
class Constraint:
    """A limit, and what n candidates cost.

    Attributes:
        rule: the limit in words.
        costs: shape [n], in the limit's unit.
        most: the limit.
        written: writes a cost for a person.
    """

    rule: str
    costs: IntArray | FloatArray
    most: float
    written: Callable[[float], str]

    @property
    def demand(self) -> FloatArray:
        """The costs as multiples of the limit, shape [n]."""
        return np.asarray(self.costs / self.most, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Problem:
    """What is searched: a space at a resolution, for some images, within limits.

    Attributes:
        space: the search space.
        resolution: side of the training images, in pixels.
        num_classes: classes to tell apart.
        in_channels: channels of the images.
        batch_size: images per optimiser step, which decides the training memory.
        limits: what a candidate may cost.
        against: a cost (`params`, `macs`, `memory` or `latency`) that the objective is traded against, where a front is
            searched for; empty for the best objective alone.
        dtype, optimizer: what the recipe trains with, as `betanas.cost.training_memory` names them.
        lessons: what finished studies of the same space found.
    """

    space: SearchSpace
    resolution: int
    num_classes: int
    in_channels: int
    batch_size: int
    limits: Limits = field(default_factory=Limits)
    dtype: str = "float32"
    optimizer: str = "adamw"
    against: FrontCost | Literal[""] = ""
    lessons: tuple[Lesson, ...] = ()

    def blueprints(self, rows: FloatArray, resolution: int | None = None) -> BlueprintBatch:
        """The networks of vectors (rows of shape [n, parameters]) at the search resolution or another."""
        return self.space.blueprints(
            rows,
            resolution=resolution or self.resolution,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
        )

    def blueprint(self, row: FloatArray) -> Blueprint:
        """The network of one vector (shape [parameters]) at the search resolution."""
        return self.blueprints(row[None])[0]

    def price(self, rows: FloatArray) -> Costs:
        """Costs of vectors, rows of shape [n, parameters]."""
        batch = self.blueprints(rows)
        return Costs(
            params=count_params(batch),
            macs=count_macs(batch),
            memory=training_memory(batch, self.batch_size, dtype=self.dtype, optimizer=self.optimizer),
            lookahead=self._lookahead(rows),
            latency=self.limits.latency_table.predict(batch) if self.limits.latency_table else None,
        )

    def constraints(self, rows: FloatArray) -> tuple[Constraint, ...]:
        """What vectors (rows of shape [n, parameters]) cost, for each limit that is set.

        Only what a limit names is counted, which is what screening needs: memory is the costliest of the counts.
        """
        limits, batch, found = self.limits, self.blueprints(rows), []
        if limits.params is not None:
            rule = f"at most {format_count(limits.params)} parameters"
            found.append(Constraint(rule, count_params(batch), limits.params, format_count))
        if limits.macs is not None:
            rule = f"at most {format_count(limits.macs)} multiply-accumulates"
            found.append(Constraint(rule, count_macs(batch), limits.macs, format_count))
        if limits.memory is not None:
            rule = f"at most {format_bytes(limits.memory)} of training memory"
            needed = training_memory(batch, self.batch_size, dtype=self.dtype, optimizer=self.optimizer)
            found.append(Constraint(rule, needed, limits.memory, format_bytes))
        if limits.latency is not None and limits.latency_table is not None:
            rule = f"at most {format_latency(limits.latency)} an answer"
            found.append(Constraint(rule, limits.latency_table.predict(batch), limits.latency, format_latency))
        ahead = self._lookahead(rows)
        for column, (resolution, most) in enumerate(limits.lookahead):
            rule = f"at most {format_count(most)} parameters at resolution {resolution}"
            found.append(Constraint(rule, ahead[:, column], most, format_count))
        return tuple(found)

    def demands(self, rows: FloatArray) -> dict[str, FloatArray]:
        """For each limit that is set, in words, cost as a multiple of the limit (shape [n]); above 1 is too much."""
        return {each.rule: each.demand for each in self.constraints(rows)}

    def excluded(self, rows: FloatArray) -> dict[str, BoolArray]:
        """For each limit that is set, in words, which vectors it excludes (shape [n])."""
        return {rule: demand > 1.0 for rule, demand in self.demands(rows).items()}

    def feasible(self, rows: FloatArray) -> BoolArray:
        """Which vectors (rows of shape [n, parameters]) keep every limit. Shape [n]."""
        verdict = np.ones(len(rows), dtype=np.bool_)
        for excluded in self.excluded(rows).values():
            verdict &= ~excluded
        return verdict

    def _lookahead(self, rows: FloatArray) -> IntArray:
        columns = [count_params(self.blueprints(rows, resolution)) for resolution, _ in self.limits.lookahead]
        return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.int64)


@dataclass(frozen=True)
class Survey:
    """How much of a space keeps the limits, estimated on scrambled Sobol points.

    Attributes:
        points: vectors priced.
        share: part of them that keeps every limit.
        excluded: for each limit that is set, in words, the part it excludes.
        least: for each limit, the smallest cost found as a multiple of the limit.
        cheapest: for each limit, the smallest cost found, in words.
        advice: narrower ranges with which at least `ADVISED_SHARE` would be feasible, or the best that was found;
            empty where the share is large enough, or no narrowing helps.
        advised_share: the feasible part within the advised ranges.
    """

    points: int
    share: float
    excluded: Mapping[str, float]
    least: Mapping[str, float]
    cheapest: Mapping[str, str]
    advice: Mapping[str, Range]
    advised_share: float

    def require(self) -> None:
        """Refuse a search that could hardly find a candidate.

        Raises:
            LimitError: less than `LEAST_SHARE` of the space is feasible. Says which limit excludes what share, and
                which ranges to change.
        """
        if self.share >= LEAST_SHARE:
            return
        faults = ", ".join(f"{rule} excludes {part:.1%}" for rule, part in self.excluded.items())
        found = "none" if self.share == 0 else f"{self.share:.2%}"
        if self.advice:
            flags = " ".join(f"--range {name}={searched}" for name, searched in self.advice.items())
            hint = f"With {flags} about {self.advised_share:.0%} would keep them; or raise a limit."
        else:
            shortfall = ", ".join(
                f"{rule}: the cheapest found needs {self.cheapest[rule]}, {least:.3g} times as much"
                for rule, least in self.least.items()
                if least > 1
            )
            hint = f"No narrower range helps: raise the limit ({shortfall})." if shortfall else "Raise a limit."
        raise LimitError(
            f"At least {LEAST_SHARE:.1%} of the space's networks must keep the limits.",
            value=f"{found} of {self.points:,} vectors ({faults})",
            hint=hint,
        )


def survey(problem: Problem, *, points: int = SURVEY_POINTS, seed: int = 0) -> Survey:
    """Estimate how much of a problem's space is feasible and, where almost nothing is, what to change.

    Raises:
        StrategyError: every parameter is fixed, so that there is nothing to search.
    """
    require_free(problem)
    rows = _sample(problem, points, seed)
    constraints = problem.constraints(rows)
    demands = {each.rule: each.demand for each in constraints}
    feasible = np.ones(points, dtype=np.bool_)
    for demand in demands.values():
        feasible &= demand <= 1.0
    share = float(feasible.mean())
    advice, advised_share = ({}, share) if share >= LEAST_SHARE else _advise(problem, points // 4, seed)
    return Survey(
        points=points,
        share=share,
        excluded={rule: float((demand > 1.0).mean()) for rule, demand in demands.items()},
        least={rule: float(demand.min()) for rule, demand in demands.items()},
        cheapest={each.rule: each.written(float(each.costs.min())) for each in constraints},
        advice=advice,
        advised_share=advised_share,
    )


def require_free(problem: Problem) -> None:
    """Refuse a space whose every parameter is fixed.

    Raises:
        StrategyError: there is nothing to search.
    """
    if not problem.space.free:
        raise StrategyError(
            "A search needs at least one parameter that is not fixed.",
            value=f"{len(problem.space.parameters)} fixed of {len(problem.space.parameters)}",
            hint="Give one of them a range, for example --range B=0:1, or train the one network with `betanas train`.",
        )


def _sample(problem: Problem, points: int, seed: int) -> FloatArray:
    from scipy.stats import qmc  # half a second that a study which is only read need not spend

    engine = qmc.Sobol(len(problem.space.free), scramble=True, rng=np.random.default_rng(seed))
    return problem.space.from_unit(engine.random(points))


def _advise(problem: Problem, points: int, seed: int) -> tuple[dict[str, Range], float]:
    """Halve one range after another until enough of what is left is feasible.

    Each time the half is kept that has the most feasible points or, while none has any, the least excess.
    """
    narrowed, share = problem, 0.0
    for _ in range(3 * MOST_ADVICE):
        rows = _sample(narrowed, points, seed)
        worst = np.max(list(narrowed.demands(rows).values()), axis=0)
        share = float((worst <= 1.0).mean())
        if share >= ADVISED_SHARE:
            break
        changed = _changed(problem, narrowed)
        names = [n for n in narrowed.space.free if len(changed) < MOST_ADVICE or n in changed]
        unit = narrowed.space.to_unit(rows)
        scored = []
        for name in names:
            low = unit[:, narrowed.space.free.index(name)] < 0.5
            for half, part in (("low", low), ("high", ~low)):
                scored.append((float((worst[part] <= 1.0).mean()), -float(np.log(worst[part]).mean()), name, half))
        _, _, name, half = max(scored)
        searched = narrowed.space.parameters[name]
        middle = float(f"{searched.low + searched.span / 2:.3g}")  # a person is to type it
        new = Range(searched.low, middle) if half == "low" else Range(middle, searched.high)
        narrowed = replace(narrowed, space=narrowed.space.replace(ranges={name: new}))
    else:
        share = float(narrowed.feasible(_sample(narrowed, points, seed)).mean())
    return (_changed(problem, narrowed), share) if share >= LEAST_SHARE else ({}, share)


def _changed(before: Problem, after: Problem) -> dict[str, Range]:
    return {name: new for name, new in after.space.parameters.items() if new != before.space.parameters[name]}


def corrected_limits(limits: Limits, records: Sequence[TrialRecord]) -> Limits:
    """The limits, with the memory limit below whatever has really run out of memory."""
    burst = [record.memory for record in records if record.cause == "out_of_memory" and record.memory > 0]
    if not burst:
        return limits
    largest = int(min(burst) * _MEMORY_CORRECTION)
    return replace(limits, memory=min(limits.memory or largest, largest))
