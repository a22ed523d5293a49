"""Counts of a search so far, shared by all reporters."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from betanas.search.chance import advice
from betanas.search.comparable import comparable, leader
from betanas.search.records import StudyPlan, TrialRecord
from betanas.training.result import CurvePoint

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(slots=True)
class RunningTrial:
    """A trial in progress: its record, when it was handed out, and its newest curve point."""

    record: TrialRecord
    since: float
    point: CurvePoint | None = None


@dataclass(slots=True)
class Tally:
    """Trials by state, the best one, the running ones, and how long the rest may take."""

    plan: StudyPlan
    capacity: int = 1
    records: dict[int, TrialRecord] = field(default_factory=dict)
    running: dict[int, RunningTrial] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    first_start: float | None = None
    ended_here: int = 0
    advised: bool = False

    @property
    def counts(self) -> Counter[str]:
        """Trials by state, the running ones not among them."""
        return Counter(record.state for record in self.records.values() if record.state != "running")

    @property
    def done(self) -> int:
        """Trials that count towards the planned ones and have ended."""
        counts = self.counts
        return counts["completed"] + counts["stopped"] + counts["failed"]

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracies of the comparable trials, in the order of their index."""
        ordered = comparable(self.records[index] for index in sorted(self.records))
        return [record.top1 for record in ordered if record.top1 is not None]

    @property
    def best(self) -> TrialRecord | None:
        """The comparable trial with the best objective."""
        return leader(self.records.values())

    @property
    def median(self) -> float | None:
        """Median validation accuracy of the comparable trials."""
        return statistics.median(self.accuracies) if self.accuracies else None

    @property
    def planned(self) -> int | None:
        """Trials planned; None where a time alone ends the search."""
        return self.plan.search.planned

    @property
    def progress(self) -> str:
        """Trials that have ended, of those planned."""
        return f"{self.done} trials" if self.planned is None else f"{self.done} of {self.planned} trials"

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end, from the pace of this session's trials; None before the first has ended."""
        if self.first_start is None or self.ended_here == 0:
            return None
        if self.planned is None:
            return None
        pace = (time.monotonic() - self.first_start) / (self.ended_here + 0.5 * len(self.running))
        return max(self.planned - self.done - 0.5 * len(self.running), 0.0) * pace

    def begin(self, records: Sequence[TrialRecord], capacity: int) -> None:
        """Take over what earlier sessions found."""
        self.records = {record.index: record for record in records}
        self.capacity = capacity

    def start(self, record: TrialRecord) -> None:
        """A trial was handed out."""
        self.first_start = self.first_start or time.monotonic()
        self.records[record.index] = record
        self.running[record.index] = RunningTrial(record, time.monotonic())

    def point(self, index: int, point: CurvePoint) -> None:
        """A running trial was evaluated."""
        if index in self.running:
            self.running[index].point = point

    def advice(self) -> str:
        """What is wrong with the trials as a whole and what to change, said once; empty otherwise."""
        said = "" if self.advised else advice(self.plan, tuple(self.records.values()))
        self.advised = self.advised or bool(said)
        return said

    def end(self, record: TrialRecord) -> bool:
        """A trial has ended; whether it is the best so far."""
        before = self.best
        running = self.running.pop(record.index, None)
        if running is not None and running.point is not None and not record.curve:
            record = replace(record, curve=(running.point,))
        self.records[record.index] = record
        self.ended_here += record.state != "infeasible"
        return record.state == "completed" and self.best is record and (before is None or before.index != record.index)

    def sparkline(self, width: int) -> str:
        """The newest accuracies as a row of bars, scaled from the worst to the best of all."""
        values = self.accuracies
        if not values:
            return ""
        low, span = min(values), (max(values) - min(values)) or 1.0
        return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values[-width:])
