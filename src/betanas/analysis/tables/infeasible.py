"""What infeasible candidates had in common: the one bound on each parameter that tells them best from the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.blueprint import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class SeparationRow:
    """How well one parameter tells infeasible candidates from feasible ones.

    Attributes:
        parameter: its name.
        above: whether the infeasible ones lie above the bound.
        bound: the value that separates best.
        infeasible_beyond: share of the candidates beyond the bound that are infeasible.
        infeasible_before: the same before it.
        separation: share of the infeasible candidates beyond the bound less the same share of the feasible ones
            (Youden's J): 0 says nothing, 1 tells them apart entirely.
    """

    parameter: str
    above: bool
    bound: float
    infeasible_beyond: float
    infeasible_before: float
    separation: float


def best_split(values: FloatArray, infeasible: BoolArray) -> tuple[float, bool, float]:
    """The bound, its side and Youden's J of the best split of n values (shape [n]); J is 0 where none separates."""
    order = np.argsort(values, kind="stable")
    ranked, bad = values[order], infeasible[order]
    above_bad = 1.0 - np.cumsum(bad)[:-1] / bad.sum()
    above_good = 1.0 - np.cumsum(~bad)[:-1] / (~bad).sum()
    possible = ranked[1:] > ranked[:-1]
    gain = np.where(possible, above_bad - above_good, 0.0)
    place = int(np.argmax(np.abs(gain))) if len(gain) else 0
    if not len(gain) or not possible[place]:
        return float(ranked[0]), True, 0.0
    return float(ranked[place] + ranked[place + 1]) / 2, bool(gain[place] > 0), float(abs(gain[place]))


def infeasible_patterns(snapshot: StudySnapshot) -> Table[SeparationRow]:
    """Every searched parameter with the bound that tells infeasible candidates best from the others, strongest first.

    Raises:
        MissingDataError: no candidate is infeasible, or none is feasible.
    """
    ended = tuple(trial for trial in snapshot.trials if trial.state in ("completed", "stopped", "infeasible"))
    infeasible = np.array([trial.state == "infeasible" for trial in ended], dtype=np.bool_)
    if not infeasible.any() or infeasible.all():
        raise MissingDataError(
            "What infeasible candidates had in common shows where there are some, and some that are feasible.",
            value=f"{int(infeasible.sum())} of {len(ended)} infeasible",
        )
    rows = []
    matrix = snapshot.matrix(ended)
    for column, (name, searched) in enumerate(snapshot.ranges.items()):
        if searched.fixed:
            continue
        bound, above, separation = best_split(matrix[:, column], infeasible)
        beyond = (matrix[:, column] > bound) == above
        within, outside = (float(infeasible[side].mean()) if side.any() else 0.0 for side in (beyond, ~beyond))
        rows.append(SeparationRow(name, above, bound, within, outside, separation))
    return Table(tuple(sorted(rows, key=lambda row: -row.separation)))
