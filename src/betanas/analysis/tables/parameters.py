"""Parameter vectors on a common scale, so that parameters of different units can stand side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray
from betanas.spaces import Range


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A trial's vector normalised to the searched ranges, with its objective and its place among the usable trials."""

    index: int
    objective: float | None
    rank: int | None
    vector: Mapping[str, float]


def normalise(rows: FloatArray, ranges: Mapping[str, Range]) -> FloatArray:
    """Vectors as shares of their ranges: 0 at the low end, 1 at the high one, 0.5 for a fixed parameter.

    Args:
        rows: shape [n, parameters], in the order of `ranges`.
        ranges: the searched ranges.
    """
    low = np.array([searched.low for searched in ranges.values()])
    span = np.array([searched.span for searched in ranges.values()])
    fixed = span == 0
    return np.where(fixed, 0.5, (rows - low) / np.where(fixed, 1.0, span))


def normalised_parameters(snapshot: StudySnapshot) -> Table[ParameterRow]:
    """Every trial's vector normalised to the searched ranges."""
    ranks = {trial.index: place for place, trial in enumerate(snapshot.ranked, start=1)}
    usable = {trial.index for trial in snapshot.usable}
    shares = normalise(snapshot.matrix(), snapshot.ranges)
    rows = []
    for trial, row in zip(snapshot.trials, shares.tolist(), strict=True):
        vector = dict(zip(snapshot.ranges, row, strict=True))
        objective = trial.objective if trial.index in usable else None
        rows.append(ParameterRow(trial.index, objective, ranks.get(trial.index), vector))
    return Table(tuple(rows))
