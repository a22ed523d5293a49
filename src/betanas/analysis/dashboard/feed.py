"""A study as the dashboard follows it: read once when it has changed, however many browsers look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from betanas.analysis.snapshot import LEADING_CURVES, MOST_CURVES, StudySnapshot
from betanas.blueprint import Blueprint
from betanas.errors import BetanasError
from betanas.search.records import TrialRecord
from betanas.search.store.location import DATABASE_FILE
from betanas.search.store.lock import is_locked
from betanas.search.store.store import Request
from betanas.search.study import Study
from betanas.training.result import CurvePoint

# Up to this number of changed trials are read one by one, more of them all at once.
_FEW = 20
_LOG_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A study at one moment.

    Attributes:
        version: rises by one with every change.
        snapshot: its records.
        problem: why it could not be read the last time; empty otherwise (the snapshot is then the last good one).
    """

    version: int
    snapshot: StudySnapshot
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TrialDetails:
    """Everything that is kept about one trial.

    Attributes:
        record: with its learning curve.
        blueprint: its network.
        attempts: what happened to each attempt.
        log: the end of what it printed.
        latency: seconds of an answer that the study's latency table predicts; None without a table.
    """

    record: TrialRecord
    blueprint: Blueprint
    attempts: tuple[Mapping[str, Any], ...]
    log: str
    latency: float | None = None


class StudyFeed:
    """Follows a study that another process may be writing; safe to use from several threads.

    Args:
        location: as a person types it.
        interval: seconds within which the store is not looked at twice.
        clock: seconds that never go back.

    Raises:
        StudyError: there is no study, or it is damaged.
    """

    def __init__(self, location: str, *, interval: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.location = location
        self.reads = 0
        self._study = Study.open(location)
        self._interval, self._clock = interval, clock
        self._guard = threading.Lock()
        self._curves: dict[int, tuple[TrialRecord, tuple[CurvePoint, ...]]] = {}
        self._latencies: dict[int, float] = {}
        self._stamp = self._current_stamp()
        self._looked = clock()
        self._seen = Seen(1, self._read())

    @property
    def name(self) -> str:
        """The study's name."""
        return self._study.name

    @property
    def shown_location(self) -> str:
        """Where the study lives, without a password."""
        return self._study.location

    def look(self) -> Seen:
        """The study as it stands; the store is read only where it has changed since the last look."""
        with self._guard:
            now = self._clock()
            if now - self._looked < self._interval:
                return self._seen
            self._looked = now
            try:
                stamp = self._current_stamp()
                if stamp is None or stamp != self._stamp or self._seen.problem:
                    snapshot = self._read()
                    self._stamp = stamp
                    if snapshot != self._seen.snapshot or self._seen.problem:
                        self._seen = Seen(self._seen.version + 1, snapshot)
            except BetanasError as error:
                if str(error) != self._seen.problem:
                    self._seen = replace(self._seen, version=self._seen.version + 1, problem=str(error))
            return self._seen

    def details(self, index: int) -> TrialDetails:
        """Everything about one trial.

        Raises:
            StudyError: there is no such trial.
            BlueprintError: its stored network is damaged.
        """
        study = self._study
        record = study.trial(index)
        return TrialDetails(
            record,
            study.blueprint(index),
            study.attempts(index),
            study.log(index)[-_LOG_CHARACTERS:],
            study.latencies([record]).get(index),
        )

    def request(self, request: Request) -> None:
        """Ask something of the search that works on the study."""
        with Study.open(self.location, read_only=False) as study:
            study.request(request)
        self._look_again()

    def set_trials_planned(self, trials: int) -> None:
        """Change how many trials are to be run.

        Raises:
            StudyError: the number is not positive.
        """
        with Study.open(self.location, read_only=False) as study:
            study.set_trials_planned(trials)
        self._look_again()

    def close(self) -> None:
        """Let go of the database."""
        self._study.close()

    def _look_again(self) -> None:
        with self._guard:
            self._looked, self._stamp = -float("inf"), None

    def _current_stamp(self) -> tuple[object, ...] | None:
        """What tells cheaply that nothing has changed; None where only a read can tell (a database server)."""
        directory = self._study.directory
        if directory is None:
            return None
        stamps: list[object] = [is_locked(directory)]
        for name in (DATABASE_FILE, f"{DATABASE_FILE}-wal"):
            try:
                found = (directory / name).stat()
                stamps.append((found.st_mtime_ns, found.st_size))
            except OSError:
                stamps.append(None)
        return tuple(stamps)

    def _read(self) -> StudySnapshot:
        self.reads += 1
        study = self._study
        records, sessions = study.trials(), study.sessions()
        bare = StudySnapshot(study.name, study.plan, records, sessions, (), study.state_of(sessions, records))
        # A trial's network never changes.
        self._latencies |= study.latencies([trial for trial in bare.trials if trial.index not in self._latencies])
        return replace(bare, trials=self._with_curves(bare), latencies=dict(self._latencies))

    def _with_curves(self, bare: StudySnapshot) -> tuple[TrialRecord, ...]:
        """The records with their curves; only what has changed since the last read is read."""
        wanted: tuple[TrialRecord, ...] = bare.trials
        if len(wanted) > MOST_CURVES:
            running = (trial for trial in bare.trials if trial.state == "running")
            wanted = (*bare.ranked[:LEADING_CURVES], *running)
        # A trial that has ended does not change; one that runs grows.
        known = {
            index: curve
            for index, (record, curve) in self._curves.items()
            if index < len(bare.trials) and bare.trials[index] == record and record.state != "running"
        }
        changed = [trial for trial in wanted if trial.index not in known]
        if len(changed) > _FEW and len(bare.trials) <= MOST_CURVES:
            known |= {trial.index: trial.curve for trial in self._study.trials(curves=True)}
        else:
            known |= {trial.index: self._study.trial(trial.index).curve for trial in changed}
        self._curves = {trial.index: (trial, known[trial.index]) for trial in bare.trials if trial.index in known}
        return tuple(
            replace(trial, curve=known[trial.index]) if trial.index in known else trial for trial in bare.trials
        )
