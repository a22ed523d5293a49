"""Trials that no other beats in both accuracy and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.search.front import on_front
from betanas.search.objectives import Pareto

Cost = Literal["params", "macs", "memory", "training_seconds", "latency"]


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """A usable trial and whether it lies on the front."""

    index: int
    cost: float
    objective: float
    front: bool


def traded_cost(snapshot: StudySnapshot) -> Cost:
    """The cost that a study's accuracy is traded against: its objective's, where that is a front.

    Otherwise the predicted latency where the study has a latency table, and the parameters where it has none.
    """
    objective = snapshot.plan.search.objective
    if isinstance(objective, Pareto):
        return objective.cost
    return "latency" if snapshot.latencies else "params"


def pareto(snapshot: StudySnapshot, cost: Cost = "params") -> Table[ParetoRow]:
    """The usable trials by cost, cheapest first.

    Raises:
        MissingDataError: no trial has both a result and that cost.
    """
    costs_of = {
        trial.index: snapshot.latencies.get(trial.index) if cost == "latency" else getattr(trial, cost)
        for trial in snapshot.usable
    }
    known = [trial for trial in snapshot.usable if costs_of[trial.index]]
    if not known:
        raise MissingDataError("A Pareto front needs trials with a result and a known cost.", value=cost)
    costs = np.array([costs_of[trial.index] for trial in known], dtype=np.float64)
    objectives = np.array([trial.objective for trial in known], dtype=np.float64)
    front = on_front(costs, objectives)
    rows = [
        ParetoRow(trial.index, float(price), float(value), bool(chosen))
        for trial, price, value, chosen in zip(known, costs, objectives, front, strict=True)
    ]
    return Table(tuple(sorted(rows, key=lambda row: (row.cost, -row.objective, row.index))))
