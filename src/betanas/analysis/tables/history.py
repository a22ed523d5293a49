"""What was tried and what came of it, in order: Figures 18 and 22 as numbers, the leaders, and how the trials ended."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table, taken


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A trial with the best comparable objective up to and including it; fields as in `TrialRecord`.

    `latency` is the predicted seconds of an answer, None where the study has no latency table.
    """

    index: int
    origin: str
    state: str
    cause: str
    session: int
    share: float
    objective: float | None
    running_best: float | None
    top1: float | None
    top5: float | None
    params: int
    macs: int
    memory: int
    latency: float | None
    training_seconds: float | None
    wall_seconds: float | None
    repeat_of: int | None
    reason: str


def history(snapshot: StudySnapshot) -> Table[HistoryRow]:
    """Every trial in the order of suggestion, with the running best."""
    rows, best = [], None
    usable = {trial.index for trial in snapshot.usable}
    for trial in snapshot.trials:
        value = trial.objective if trial.index in usable else None
        if value is not None:
            best = value if best is None else max(best, value)
        latency = snapshot.latencies.get(trial.index)
        rows.append(taken(HistoryRow, trial, objective=value, running_best=best, latency=latency))
    return Table(tuple(rows))


@dataclass(frozen=True, slots=True)
class LeaderRow:
    """One of the best trials, with what its network costs and the vector that describes it.

    `latency` is the predicted seconds of an answer, None where the study has no latency table.
    """

    rank: int
    index: int
    origin: str
    objective: float
    top1: float | None
    top5: float | None
    params: int
    macs: int
    latency: float | None
    training_seconds: float | None
    peak_memory: int | None
    vector: Mapping[str, float]


def leaders(snapshot: StudySnapshot, count: int = 10) -> Table[LeaderRow]:
    """The best trials, best first; a network that was suggested twice leads once."""
    rows: list[LeaderRow] = []
    seen: set[str] = set()
    for trial in snapshot.ranked:
        if trial.blueprint_key in seen:
            continue
        seen.add(trial.blueprint_key)
        latency = snapshot.latencies.get(trial.index)
        rows.append(taken(LeaderRow, trial, rank=len(rows) + 1, objective=trial.objective or 0.0, latency=latency))
        if len(rows) == count:
            break
    return Table(tuple(rows))


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """How many trials of one origin ended in one way."""

    origin: str
    state: str
    cause: str
    trials: int
    example: str


def outcomes(snapshot: StudySnapshot) -> Table[OutcomeRow]:
    """Trials by origin, state and cause, with the reason of the first as an example."""
    keys = [(trial.origin, trial.state, trial.cause) for trial in snapshot.trials]
    counts = Counter(keys)
    examples: dict[tuple[str, str, str], str] = {}
    for key, trial in zip(keys, snapshot.trials, strict=True):
        examples.setdefault(key, trial.reason)
    return Table(tuple(OutcomeRow(*key, trials=counts[key], example=examples[key]) for key in counts))


@dataclass(frozen=True, slots=True)
class StudyTotals:
    """A study in numbers.

    Attributes:
        planned, trials: trials planned (None where a time alone ends the search) and started.
        usable, partly, infeasible, failed, running: how they ended; `usable` counts those stopped early with a value,
            `partly` those with a result that had less of the budget.
        best, median: of the usable trials' objectives.
        training_seconds: sum over the trials.
        wall_seconds: from the first trial's start to the last one's end; None where neither is known.
    """

    planned: int | None
    trials: int
    usable: int
    partly: int
    infeasible: int
    failed: int
    running: int
    best: float | None
    median: float | None
    training_seconds: float
    wall_seconds: float | None


def seconds_left(snapshot: StudySnapshot) -> float | None:
    """How long the rest of the planned trials takes at the pace of the newest session.

    None before two have ended, and where a time rather than a number of trials ends the search.
    """
    now = max((trial.session for trial in snapshot.trials), default=0)
    here = [trial for trial in snapshot.trials if trial.session == now and trial.started]
    ends = [trial.ended for trial in here if trial.ended and trial.state != "infeasible"]
    counted = totals(snapshot)
    if len(ends) < 2 or counted.planned is None:
        return None
    pace = (max(ends) - min(trial.started for trial in here if trial.started)).total_seconds() / len(ends)
    return max(counted.planned - counted.usable - counted.partly - counted.failed, 0) * pace


def totals(snapshot: StudySnapshot) -> StudyTotals:
    """Count a study."""
    states = Counter(trial.state for trial in snapshot.trials)
    values = [trial.objective for trial in snapshot.usable if trial.objective is not None]
    starts = [trial.started for trial in snapshot.trials if trial.started]
    ends = [trial.ended for trial in snapshot.trials if trial.ended]
    return StudyTotals(
        planned=snapshot.plan.search.planned,
        trials=len(snapshot.trials),
        usable=len(values),
        partly=len(snapshot.results) - len(values),
        infeasible=states["infeasible"],
        failed=states["failed"],
        running=states["running"],
        best=max(values, default=None),
        median=statistics.median(values) if values else None,
        training_seconds=sum(trial.training_seconds or 0.0 for trial in snapshot.trials if trial.repeat_of is None),
        wall_seconds=(max(ends) - min(starts)).total_seconds() if starts and ends else None,
    )
