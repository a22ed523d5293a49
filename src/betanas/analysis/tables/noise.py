"""How much a result varies when the same network is trained again."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """A network that was trained more than once.

    Attributes:
        blueprint_key: which network.
        trials: indices of its trainings.
        mean: of their objectives.
        deviation: their standard deviation (n - 1).
        spread: the largest less the smallest.
    """

    blueprint_key: str
    trials: tuple[int, ...]
    mean: float
    deviation: float
    spread: float


@dataclass(frozen=True, slots=True)
class Noise:
    """Repeats, and what they say together.

    Attributes:
        repeats: a row for each network trained more than once.
        pooled: pooled standard deviation of one training; None without repeats.
        degrees: degrees of freedom behind it.
    """

    repeats: Table[RepeatRow]
    pooled: float | None
    degrees: int


def noise(snapshot: StudySnapshot) -> Noise:
    """The spread between trainings of the same network; trials that took over another's result do not count."""
    groups: dict[tuple[str, float], list[tuple[int, float]]] = defaultdict(list)
    for trial in snapshot.results:
        if trial.repeat_of is None and trial.objective is not None and trial.state == "completed":
            groups[trial.blueprint_key, trial.share].append((trial.index, trial.objective))
    rows, squares, degrees = [], 0.0, 0
    for (key, _), members in groups.items():
        if len(members) < 2:
            continue
        values = np.array([value for _, value in members])
        squares += float(((values - values.mean()) ** 2).sum())
        degrees += len(values) - 1
        trials = tuple(index for index, _ in members)
        rows.append(RepeatRow(key, trials, float(values.mean()), float(values.std(ddof=1)), float(np.ptp(values))))
    return Noise(Table(tuple(rows)), math.sqrt(squares / degrees) if degrees else None, degrees)
