"""The one loop of every study: ask for the next trial, hand it to the executor, write down what comes back."""

from __future__ import annotations

import shutil
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from betanas.errors import BetanasError
from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    TrialEnded,
    TrialPoint,
    WorkerReady,
)
from betanas.search.failures import MAX_FAILURES_IN_A_ROW, failing_steadily, worth_another_attempt
from betanas.search.progress import SearchListener
from betanas.search.propose.proposer import Proposer
from betanas.search.records import Purpose, TrialRecord, result_fields
from betanas.search.store.store import Store
from betanas.training.result import CurvePoint, TrialResult

_POLL_SECONDS = 1.0

# How often a search learns what others in the same database have done, apart from before each proposal.
_SYNCHRONISE_SECONDS = 5.0


class SearchFailedError(BetanasError):
    """The search cannot go on: its trials all fail."""


@dataclass(frozen=True, eq=False)
class LoopParts:
    """What a study's loop works with.

    Attributes:
        store: where everything is written, before anything else happens.
        proposer: decides what is trained.
        executor: who trains.
        listener: who is told.
        session: the number of this session.
        apart: what the trials are for, where they are kept apart from the study's own.
        curves: whether the proposer needs to know the learning curves of earlier trials.
    """

    store: Store
    proposer: Proposer
    executor: Executor
    listener: SearchListener
    session: int
    apart: Purpose | None = None
    curves: bool = False


class StudyLoop:
    """Runs a study from wherever it stands to its planned end.

    The store is written before the world moves on: a trial is in it before it is handed out and its result before the
    next proposal, so a study killed at any moment loses at most the training seconds of the trials in progress, and
    nothing of those whose training keeps checkpoints.
    """

    def __init__(self, parts: LoopParts) -> None:
        self._parts = parts
        self._records: dict[int, TrialRecord] = {}
        self._retries: deque[TrialRecord] = deque()
        self._waiting: deque[TrialRecord] = deque()
        self._running: dict[int, list[CurvePoint]] = {}
        self._last_ended: tuple[TrialRecord, ...] = ()
        self._synchronised = 0.0
        self._synchronise()

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The trials so far, in the order of their index."""
        return tuple(self._records[index] for index in sorted(self._records))

    @property
    def in_progress(self) -> bool:
        """Whether the executor still trains trials that were handed to it: those that the end of the time cut off."""
        return bool(self._running)

    def run(self) -> str:
        """Train to the end.

        Returns:
            How it ended: as the proposer says, or `paused` where a person asked for it.

        Raises:
            SearchFailedError: trial after trial fails.
            LimitError: almost nothing of the space is feasible.
        """
        executor, store, proposer = self._parts.executor, self._parts.store, self._parts.proposer
        while True:
            request = store.request()
            if request == "stop":
                return "paused"
            wanted = self._wanted() if request == "run" else 0
            waits = request == "run" and proposer.has_time() and self._others_run()
            if wanted == 0 and not self._running and not waits:
                return proposer.ending() if request == "run" else "paused"
            for _ in range(min(wanted, executor.idle)):
                self._begin_next()
            if executor.proposes_ahead and not store.shared and self._wanted() > 0:
                proposer.prepare()
            for event in executor.poll(max(0.0, min(_POLL_SECONDS, proposer.seconds_left()))):
                self._handle(event)
            if proposer.seconds_left() <= 0:
                return proposer.ending()
            if store.shared and time.monotonic() - self._synchronised > _SYNCHRONISE_SECONDS:
                self._synchronise()

    # Starting trials -------------------------------------------------------------------------------------------------

    def _wanted(self) -> int:
        """How many trials are to be started: new ones, and those that wait or are started again."""
        proposer = self._parts.proposer
        return proposer.remaining() + len(self._waiting) + len(self._retries) if proposer.has_time() else 0

    def _begin_next(self) -> None:
        store, proposer = self._parts.store, self._parts.proposer
        with store.turn():
            if store.shared:
                self._synchronise()
            if self._waiting or self._retries:
                self._begin_attempt((self._waiting or self._retries).popleft())
            elif proposer.remaining() > 0 and (proposal := proposer.propose(self._parts.session)) is not None:
                record = replace(proposal.record, started=store.now())
                record = record if record.state == "running" else replace(record, ended=store.now())
                store.add_trial(record, proposal.job)
                self._note(record)
                if record.state == "running":
                    self._hand_over(record)
                else:
                    self._parts.listener.on_trial_ended(record)

    def _synchronise(self) -> None:
        """Learn what other searches of the study have done, and which trials a dead one has left behind."""
        parts = self._parts
        self._synchronised = time.monotonic()
        for record in parts.store.trials(curves=parts.curves, apart=parts.apart):
            if record.index not in self._running and self._records.get(record.index) != record:
                self._note(record)
        living = {parts.session, *parts.store.living_sessions()}
        self._waiting = deque(
            record
            for record in self.records
            if (record.state == "waiting" or (record.state == "running" and record.session not in living))
            and parts.proposer.wants(record)
        )

    def _others_run(self) -> bool:
        """Whether trials are in progress elsewhere: should their machine die, they are to be started again here."""
        return self._parts.store.shared and any(record.state == "running" for record in self.records)

    def _begin_attempt(self, record: TrialRecord) -> None:
        store, session = self._parts.store, self._parts.session
        if not store.begin_attempt(record.index, session, seen=record.attempts):
            self._note(store.trial(record.index))  # another machine has begun it, or ended it, meanwhile
            return
        record = replace(record, attempts=record.attempts + 1, session=session, started=store.now(), state="running")
        self._note(record)
        self._hand_over(record)

    def _hand_over(self, record: TrialRecord) -> None:
        self._running[record.index] = []
        job = self._parts.proposer.job(record)
        folder = self._folder(record.index) if job.keep else None
        if folder is None and job.keep:
            job = replace(job, keep=False)
        self._parts.executor.submit(Assignment(record.index, record.attempts, job, folder))
        self._parts.listener.on_trial_started(record)

    def _folder(self, index: int) -> Path | None:
        """Where a trial that resumes exactly keeps its checkpoints; None where its workers may not see this disk."""
        directory = self._parts.store.location.directory
        if directory is None or not self._parts.executor.shares_disk:
            return None
        return directory.resolve() / "running" / f"trial-{index:05d}"

    # What comes back -------------------------------------------------------------------------------------------------

    def _handle(self, event: ExecutorEvent) -> None:
        parts = self._parts
        if isinstance(event, WorkerReady):
            parts.listener.on_workers_ready(event.device)
        elif isinstance(event, TrialPoint):
            record, curve = self._records[event.index], self._running[event.index]
            parts.store.add_point(event.index, event.attempt, event.point)
            parts.listener.on_point(record, event.point)
            curve.append(event.point)
            if parts.executor.setup.stoppable:
                go_on = parts.proposer.goes_on(record, curve)
                parts.executor.answer(event.index, event.point.step, go_on=go_on)
        elif isinstance(event, TrialEnded):
            self._running.pop(event.index, None)
            self._end(event)

    def _end(self, event: TrialEnded) -> None:
        parts, record, result = self._parts, self._records[event.index], event.result
        if result.outcome == "failed":
            earlier = [(past["cause"], past["reason"]) for past in parts.store.attempts(event.index) if past["cause"]]
            if worth_another_attempt(result, earlier):
                if parts.store.end_attempt(event.index, event.attempt, result):
                    parts.listener.on_trial_retried(record, result)
                    self._retries.append(record)
                else:
                    self._note(parts.store.trial(event.index))
                return
        ended = finished_record(record, result, ended=parts.store.now())
        ended = replace(ended, objective=parts.proposer.value(ended))
        if not parts.store.end_trial(event.index, event.attempt, result, objective=ended.objective):
            self._note(parts.store.trial(event.index))
            return
        if (folder := self._folder(event.index)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                folder.parent.rmdir()  # where it was the last one
        self._note(ended)
        parts.listener.on_trial_ended(ended)
        self._last_ended = (*self._last_ended, ended)[-MAX_FAILURES_IN_A_ROW:]
        if parts.proposer.gives_up and (trouble := failing_steadily(self._last_ended)):
            raise SearchFailedError(trouble, hint="Mend the cause, then go on with: betanas resume.")

    # -----------------------------------------------------------------------------------------------------------------

    def _note(self, record: TrialRecord) -> None:
        self._records[record.index] = record
        self._parts.proposer.tell(record)


def finished_record(record: TrialRecord, result: TrialResult, *, ended: datetime) -> TrialRecord:
    """A running trial's record once its result is known (the objective is still to come)."""
    return replace(record, **result_fields(result), ended=ended, curve=result.curve)
