"""The trials that no other beats in accuracy and a cost at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from betanas.blueprint import BoolArray, FloatArray
from betanas.search.comparable import comparable
from betanas.search.objectives import FrontCost
from betanas.search.records import TrialRecord


def on_front(costs: FloatArray, values: FloatArray) -> BoolArray:
    """Which of n points no other beats by being cheaper and no worse, or better and no dearer. Shape [n]."""
    order = np.lexsort((-values, costs))
    ranked = values[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked)[:-1]])
    front = np.zeros(len(costs), dtype=np.bool_)
    front[order] = ranked > before
    # Equal points do not beat each other.
    for place in np.flatnonzero(front):
        front |= (costs == costs[place]) & (values == values[place])
    return front


def pareto_front(
    records: Sequence[TrialRecord], cost: FrontCost, latencies: Mapping[int, float] = MappingProxyType({})
) -> tuple[TrialRecord, ...]:
    """The comparable trials that none beats in accuracy and a cost at once, cheapest first.

    Args:
        records: of the study.
        cost: that accuracy is traded against.
        latencies: each trial's predicted seconds, where they are the cost; a trial without is left out.
    """

    def costs_of(record: TrialRecord) -> float:
        return latencies[record.index] if cost == "latency" else float(getattr(record, cost))

    kept = sorted(
        (
            record
            for record in comparable(records)
            if record.top1 is not None and (cost != "latency" or record.index in latencies)
        ),
        key=lambda record: (costs_of(record), record.index),
    )
    costs = np.array([costs_of(record) for record in kept], dtype=np.float64)
    best = on_front(costs, np.array([record.top1 for record in kept], dtype=np.float64))
    return tuple(record for record, chosen in zip(kept, best, strict=True) if chosen)
