"""What a search maximises: accuracy, accuracy weighed against a cost, or a function of the user's own.

An objective turns a finished trial and its blueprint into one number, larger is better, or into nothing where the
trial has no result. Names carry their settings, so that a study's plan holds everything:

    accuracy                    validation top-1 (the default)
    accuracy*params/5M          accuracy x (parameters / 5M) ** -0.07, MnasNet's compound objective
    accuracy*macs/300M^-0.1     the same with multiply-accumulates and an exponent of one's own
    accuracy*latency/10ms       with the measured seconds of an image in training
    accuracy*scaling/384:3      with parameters at R=384 over parameters at the search's R (section 8.1)
    my_objective.py             the function `objective(record, blueprint)` of a file
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from betanas.blueprint import Blueprint, BoolArray, FloatArray
from betanas.errors import QuantityError, StrategyError
from betanas.quantities import parse_count
from betanas.search.feasibility import Problem
from betanas.search.records import TrialRecord
from betanas.userfile import run_user_file

# Tan et al. (2019), section 3.1: doubling the latency is worth 5% of accuracy, which gives the exponent -0.07.
MNASNET_EXPONENT = -0.07

_COMPOUND = re.compile(
    r"accuracy\*(?P<cost>[a-z]+)/(?P<target>[0-9.]+\s*(?:[kKMGTB]|ms|s)?|[0-9]+:[0-9.]+)(?:\^(?P<exponent>-?[0-9.]+))?"
)
_SECONDS = re.compile(r"([0-9.]+)\s*(ms|s)?")
_HINT = "Type accuracy, or for example accuracy*params/5M, accuracy*latency/10ms^-0.1 or the path of a .py file."


@runtime_checkable
class Objective(Protocol):
    """A number to maximise, from a trial that has ended.

    Attributes:
        name: what the command line calls it; a study keeps it.
    """

    @property
    def name(self) -> str:
        """What the command line calls it."""

    def __call__(self, record: TrialRecord, blueprint: Blueprint) -> float | None:
        """The value; None where the trial has none."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Best validation top-1 within the budget (section 4.4.3 of the report)."""

    name: str = "accuracy"

    def __call__(self, record: TrialRecord, blueprint: Blueprint) -> float | None:
        """See `Objective`."""
        return record.top1


@dataclass(frozen=True, slots=True)
class Compound:
    """accuracy x (cost / target) ** exponent: MnasNet's soft constraint (Tan et al. 2019, equation 2, alpha = beta).

    Attributes:
        name: as typed.
        cost: which of `COSTS`, or `scaling`.
        target: the cost at which accuracy counts as it is; in the cost's unit.
        exponent: negative, unless more is better.
        at: the larger resolution of `scaling`.
    """

    name: str
    cost: str
    target: float
    exponent: float = MNASNET_EXPONENT
    at: int | None = None
    problem: Problem | None = None

    def __call__(self, record: TrialRecord, blueprint: Blueprint) -> float | None:
        """See `Objective`."""
        value = self._scaling(record) if self.cost == "scaling" else COSTS[self.cost](record, blueprint)
        if record.top1 is None or value is None or value <= 0:
            return None
        return float(record.top1 * (value / self.target) ** self.exponent)

    def _scaling(self, record: TrialRecord) -> float:
        """Parameters at the larger resolution over those at the search's: how a network pays for more pixels."""
        if self.problem is None or self.at is None:
            raise StrategyError("The scaling ratio needs the search's space and resolution.", value=self.name)
        row = self.problem.space.to_array([record.vector])
        ahead = self.problem.blueprints(row, self.at)[0]
        return ahead.num_params / self.problem.blueprint(row[0]).num_params


def _latency(record: TrialRecord, blueprint: Blueprint) -> float | None:
    return 1.0 / record.images_per_second if record.images_per_second else None


# Costs a compound objective can weigh. Latency is measured where the trial ran, as seconds of an image in training.
COSTS: Mapping[str, Callable[[TrialRecord, Blueprint], float | None]] = {
    "params": lambda record, blueprint: float(blueprint.num_params),
    "macs": lambda record, blueprint: float(blueprint.macs),
    "seconds": lambda record, blueprint: record.training_seconds,
    "latency": _latency,
}


@dataclass(frozen=True, slots=True)
class UserObjective:
    """A function of a file: `objective(record, blueprint)` returns a number, or None for no result."""

    name: str
    function: Callable[[TrialRecord, Blueprint], float | None]

    def __call__(self, record: TrialRecord, blueprint: Blueprint) -> float | None:
        """See `Objective`.

        Raises:
            StrategyError: the function raised, or returned something else than a number.
        """
        try:
            value = self.function(record, blueprint)
        except Exception as error:
            raise StrategyError(
                "An objective must run without errors.",
                value=f"{type(error).__name__}: {error}",
                hint=f"Trial {record.index} of {self.name}.",
            ) from error
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
            raise StrategyError("An objective must return a number or None.", value=value, hint=f"See {self.name}.")
        return float(value) if math.isfinite(value) else None


def get_objective(name: str = "accuracy", problem: Problem | None = None) -> Objective:
    """An objective by name.

    Args:
        name: see the module's docstring.
        problem: what is searched; needed by the scaling ratio alone.

    Raises:
        StrategyError: there is no such objective, or it needs what it was not given.
    """
    if name == "accuracy":
        return Accuracy()
    if name.endswith(".py"):
        return _load_file(Path(name))
    match = _COMPOUND.fullmatch(name.strip())
    if not match or match["cost"] not in (*COSTS, "scaling"):
        raise StrategyError(
            f"The objectives are accuracy and accuracy*COST/TARGET with the costs {', '.join((*COSTS, 'scaling'))}.",
            value=name,
            hint=_HINT,
        )
    exponent = float(match["exponent"]) if match["exponent"] else MNASNET_EXPONENT
    cost, target = match["cost"], match["target"]
    if cost == "scaling":
        if problem is None or ":" not in target:
            raise StrategyError(
                "The scaling ratio takes the larger resolution and a target.",
                value=name,
                hint="Type, for example, accuracy*scaling/384:3.",
            )
        at, ratio = target.split(":")
        return Compound(name, cost, _positive(ratio, name), exponent, at=int(at), problem=problem)
    if ":" in target:
        raise StrategyError("A target is one quantity.", value=target, hint=_HINT)
    return Compound(name, cost, _target(cost, target, name), exponent)


def _target(cost: str, text: str, name: str) -> float:
    if cost in ("seconds", "latency"):
        match = _SECONDS.fullmatch(text)
        return _positive(match[1] if match else "", name) * (1e-3 if match and match[2] == "ms" else 1.0)
    try:
        return float(parse_count(text, what="A target"))
    except QuantityError as error:
        raise StrategyError("An objective's target must be a positive quantity.", value=name, hint=_HINT) from error


def _positive(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise StrategyError("An objective's target must be a positive quantity.", value=name, hint=_HINT)
    return value


def _load_file(path: Path) -> UserObjective:
    kind = "An objective's file"
    hint = "The file must define a function objective(record, blueprint) that returns a number or None."
    function = getattr(run_user_file(path, kind=kind, error=StrategyError, hint=hint), "objective", None)
    if not callable(function):
        raise StrategyError(f"{kind} must define the function objective.", value=str(path), hint=hint)
    return UserObjective(str(path), function)


def non_dominated(values: FloatArray) -> BoolArray:
    """Which of some points no other one beats: the Pareto front.

    Args:
        values: shape [n, m], larger is better in every column; rows with a NaN are never on the front.

    Returns:
        Shape [n]. Equal points are on the front together.
    """
    usable = np.isfinite(values).all(axis=1)
    kept = values[usable]
    at_least = (kept[:, None, :] >= kept[None, :, :]).all(axis=2)
    beats = at_least & (kept[:, None, :] > kept[None, :, :]).any(axis=2)
    front = np.zeros(len(values), dtype=np.bool_)
    front[usable] = ~beats.any(axis=0)
    return front


def pareto_front(records: Sequence[TrialRecord], cost: str = "params") -> list[TrialRecord]:
    """The completed trials that none beats in accuracy and a cost at once, cheapest first.

    Args:
        records: of a study.
        cost: a field of the record that is better where it is smaller: `params`, `macs`, `memory`, `peak_memory`,
            `training_seconds`.

    Raises:
        StrategyError: a record has no such cost.
    """
    known = ("params", "macs", "memory", "peak_memory", "training_seconds")
    if cost not in known:
        raise StrategyError(f"A front is drawn against one of {', '.join(known)}.", value=cost)
    kept = [each for each in records if each.state == "completed" and each.top1 is not None]
    prices = [getattr(each, cost) for each in kept]
    pairs = [(each.top1, np.nan if price is None else -price) for each, price in zip(kept, prices, strict=True)]
    best = non_dominated(np.array(pairs, dtype=np.float64).reshape(-1, 2))
    front = [each for each, chosen in zip(kept, best, strict=True) if chosen]
    return sorted(front, key=lambda each: (getattr(each, cost), each.index))
