"""`betanas experiment search` as tables: regret of each strategy, and its difference to the one in question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from betanas.analysis.tables.experiment import ends, of_experiment
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray


@dataclass(frozen=True, slots=True)
class RegretRow:
    """A strategy's mean regret at the end, in points of accuracy, with its 95% interval over seeds."""

    strategy: str
    searches: int
    points: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """How much less regret the strategy in question has than another, paired over seeds.

    Attributes:
        strategy, other: the two.
        searches: pairs.
        points: mean difference in points of accuracy; positive where the strategy in question is better.
        low, high: ends of its interval.
        confidence: of the interval, corrected for the number of comparisons.
        better: part of the seeds in which it is better.
        share: median part of its trainings after which it holds what the other holds at the end.
        reached: seeds in which it does.
    """

    strategy: str
    other: str
    searches: int
    points: float | None
    low: float | None
    high: float | None
    confidence: float
    better: float
    share: float | None
    reached: int


@dataclass(frozen=True, slots=True)
class RegretCurve:
    """A strategy's regret after each training, in points: median and quartiles over seeds, shape [trainings]."""

    strategy: str
    trainings: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


def regret_table(document: Mapping[str, Any]) -> Table[RegretRow]:
    """The strategies, least regret first.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        rows = [RegretRow(str(name), int(each["n"]), *ends(each)) for name, each in document["regrets"].items()]
        return Table(tuple(sorted(rows, key=lambda row: np.inf if row.points is None else row.points)))


def difference_table(document: Mapping[str, Any]) -> Table[DifferenceRow]:
    """The strategy in question against each other one.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        strategy = str(document["settings"]["strategy"])
        return Table(
            tuple(
                DifferenceRow(
                    strategy,
                    str(each["other"]),
                    int(each["interval"]["n"]),
                    *ends(each["interval"]),
                    float(each["confidence"]),
                    float(each["better"]),
                    None if each["share"] is None else float(each["share"]),
                    int(each["reached"]),
                )
                for each in document["differences"]
            )
        )


def regret_curves(document: Mapping[str, Any]) -> tuple[RegretCurve, ...]:
    """Every strategy's regret over its trainings, the one in question first.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        best = float(document["derived"]["optimum"])
        held: dict[str, list[list[float]]] = defaultdict(list)
        for each in document["searches"]:
            held[str(each["strategy"])].append([float(value) for value in each["held"]])
        curves = []
        for name, runs in held.items():
            regrets = 100 * (best - np.array(runs, dtype=np.float64))
            low, median, high = np.quantile(regrets, [0.25, 0.5, 0.75], axis=0)
            curves.append(RegretCurve(name, np.arange(1.0, regrets.shape[1] + 1), median, low, high))
        return tuple(curves)
