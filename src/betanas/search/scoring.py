"""The number that a search maximises: from its objective, to a function of a finished trial and its network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from betanas.blueprint import Blueprint, BlueprintBatch
from betanas.cost.latency import LatencyModel
from betanas.errors import StrategyError
from betanas.quantities import MAX_RESOLUTION
from betanas.search.feasibility import Problem
from betanas.search.objectives import (
    OBJECTIVES,
    Compound,
    CompoundCost,
    ObjectiveSettings,
    OwnFunction,
    Registered,
    Scaling,
)
from betanas.search.records import TrialRecord

# Larger is better; None where the trial has no result.
Score = Callable[[TrialRecord, Blueprint], float | None]


def make_score(objective: ObjectiveSettings, problem: Problem) -> Score:
    """The function that an objective describes.

    Args:
        objective: of the study.
        problem: what is searched.

    Raises:
        StrategyError: there is no such objective, its file cannot be used, or its resolution is not a larger one.
    """
    if isinstance(objective, OwnFunction):
        return partial(_own, objective.file, OBJECTIVES.load(Path(objective.file)))
    if isinstance(objective, Registered):
        return partial(_own, objective.name, OBJECTIVES.get(objective.name))
    if isinstance(objective, Compound):
        table = problem.limits.latency_table
        if objective.cost == "latency" and table is not None:
            return partial(_predicted, objective, table)
        return partial(_compound, objective)
    if isinstance(objective, Scaling):
        if not problem.resolution < objective.resolution <= MAX_RESOLUTION:
            raise StrategyError(
                f"The scaling objective's resolution must lie above the search's {problem.resolution} and be at most "
                f"{MAX_RESOLUTION}.",
                value=objective.resolution,
            )
        return partial(_scaling, objective, problem)
    return _accuracy  # of a front too: its cost is known, and the strategy's business


def _accuracy(record: TrialRecord, _blueprint: Blueprint) -> float | None:
    return record.top1


def _compound(objective: Compound, record: TrialRecord, blueprint: Blueprint) -> float | None:
    return _traded(record, _COSTS[objective.cost](record, blueprint), objective)


def _predicted(objective: Compound, table: LatencyModel, record: TrialRecord, blueprint: Blueprint) -> float | None:
    return _traded(record, float(table.predict(BlueprintBatch.of([blueprint]))[0]), objective)


def _scaling(objective: Scaling, problem: Problem, record: TrialRecord, blueprint: Blueprint) -> float | None:
    ahead = problem.blueprints(problem.space.to_array([record.vector]), objective.resolution)[0]
    return _traded(record, ahead.num_params / blueprint.num_params, objective)


def _traded(record: TrialRecord, cost: float | None, objective: Compound | Scaling) -> float | None:
    if record.top1 is None or cost is None or cost <= 0:
        return None
    return float(record.top1 * (cost / objective.target) ** objective.exponent)


def _latency(record: TrialRecord, _blueprint: Blueprint) -> float | None:
    return 1.0 / record.images_per_second if record.images_per_second else None


_COSTS: Mapping[CompoundCost, Score] = {
    "params": lambda _record, blueprint: float(blueprint.num_params),
    "macs": lambda _record, blueprint: float(blueprint.macs),
    "seconds": lambda record, _blueprint: record.training_seconds,
    "latency": _latency,
}


def _own(file: str, function: Score, record: TrialRecord, blueprint: Blueprint) -> float | None:
    try:
        value = function(record, blueprint)
    except Exception as error:
        raise StrategyError(
            "An objective must run without errors.",
            value=f"{type(error).__name__}: {error}",
            hint=f"Trial {record.index} of {file}.",
        ) from error
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise StrategyError("An objective must return a number or None.", value=value, hint=f"See {file}.")
    return float(value) if math.isfinite(value) else None
