"""Learning curves: accuracy against training seconds, steps and epochs."""

from __future__ import annotations

from dataclasses import dataclass

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table, taken


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A point of a trial's learning curve; fields as in `CurvePoint`. `rank` is the trial's place, 1 for the best."""

    index: int
    rank: int | None
    seconds: float
    step: int
    epoch: float
    loss: float
    accuracy: float


def learning_curves(snapshot: StudySnapshot, *, best: int | None = None) -> Table[CurveRow]:
    """The learning curves that were recorded, best trial first, then those without a place in the ranking.

    Args:
        snapshot: the study, read with its curves.
        best: only of this number of the best trials; all by default.
    """
    ranks = {trial.index: place for place, trial in enumerate(snapshot.ranked, start=1)}
    chosen = list(snapshot.ranked[:best])
    if best is None:
        chosen += [trial for trial in snapshot.trials if trial.index not in ranks and trial.repeat_of is None]
    return Table(
        tuple(
            taken(CurveRow, point, index=trial.index, rank=ranks.get(trial.index))
            for trial in chosen
            for point in trial.curve
        )
    )
