"""Local workers: long-lived processes, one for each device (or group of cores), watched from outside.

A trial on several devices has a process on each; such a group lives, fails and is replaced as one.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from typing_extensions import override

from betanas import host_memory
from betanas.errors import DeviceError
from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerReady,
    WorkerSetup,
)
from betanas.search.executors.group import Outbox, WorkerGroup
from betanas.search.executors.messages import Message, job_message, read_point, read_result, setup_message
from betanas.search.executors.mps import MultiProcessService, start_service
from betanas.search.executors.process import WorkerProcess
from betanas.search.executors.refusals import read_refusal
from betanas.search.executors.slots import Slot, available_cores, plan_slots
from betanas.training.result import TrialResult

# The watchdog's rhythm: at 2 GB/s a runaway allocation takes less than the memory reserve between two looks.
_WATCH_SECONDS = 0.2

# Nobody looked for so long: the time between two looks is the search's own.
_OWN_GAP_SECONDS = 5.0

# A worker that dies this often before it is ready will not come up at all; where one has come up before, what killed it
# (memory that others took, say) may pass.
_START_TRIES = 3
_RESTART_TRIES = 10

# Of processes that train together, those that live fail too when one dies; so much later its death is known for
# certain.
_SETTLING_SECONDS = 1.0


@dataclass(slots=True)
class _Running:
    """A trial in progress.

    Attributes:
        assignment: what was handed over.
        since: when.
        clocked: when it came to the first step that its budget counts; None before.
        heard: when the worker last said something of it.
        results: what each process that has ended it made of it, in the order they arrived.
        failed: when the first of them failed.
    """

    assignment: Assignment
    since: float
    heard: float
    clocked: float | None = None
    results: dict[WorkerProcess, TrialResult] = field(default_factory=dict)
    failed: float | None = None

    @property
    def failure(self) -> TrialResult:
        """The first result that is one."""
        return next(result for result in self.results.values() if _is_failure(result))


class _Worker:
    """A slot with the processes that fill it now."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.group: WorkerGroup | None = None
        self.stage: Literal["starting", "idle", "busy"] = "starting"
        self.running: _Running | None = None
        self.failed_starts = 0

    def forgive(self, seconds: float) -> None:
        """Do not count some seconds as the worker's."""
        if self.group is not None:
            self.group.started += seconds
        if self.running is not None:
            self.running.since += seconds
            self.running.heard += seconds
            if self.running.clocked is not None:
                self.running.clocked += seconds


class LocalExecutor(Executor):
    """Trains trials in child processes of this machine (the default).

    Args:
        setup: what every worker needs to know.
        settings: which devices, and how.
        slots: where the workers run, where that is settled already (by Ray); None looks for this machine's devices.
    """

    name: ClassVar[str] = "local"

    def __init__(self, setup: WorkerSetup, settings: ExecutorSettings, slots: Sequence[Slot] | None = None) -> None:
        super().__init__(setup, settings)
        self._slots = plan_slots(settings) if slots is None else list(slots)
        # Where slots are given, this machine's devices are somebody else's to divide.
        self._shares_gpus = slots is None and any(
            slot.device == "cuda" and slot.shared_by > 1 and slot.processes == 1 for slot in self._slots
        )
        self._service: MultiProcessService | None = None
        self._workers: list[_Worker] = []
        self._outbox: Outbox = queue.Queue()
        self._watched = 0.0
        self._came_up = False

    @override
    def start(self) -> None:
        self._service = start_service() if self._shares_gpus else None
        environment = self._service.environment if self._service is not None else {}
        slots = [replace(slot, environment={**slot.environment, **environment}) for slot in self._slots]
        self._workers = [_Worker(slot) for slot in slots]
        for worker in self._workers:
            self._spawn(worker)

    @property
    @override
    def capacity(self) -> int:
        return len(self._slots)

    @property
    @override
    def idle(self) -> int:
        return sum(worker.stage == "idle" for worker in self._workers)

    @property
    def proposes_ahead(self) -> bool:
        """See `Executor.proposes_ahead`: accelerators leave the processor to the proposer."""
        return all(slot.device != "cpu" for slot in self._slots)

    @override
    def submit(self, assignment: Assignment) -> None:
        worker = next((worker for worker in self._workers if worker.stage == "idle" and worker.group is not None), None)
        if worker is None or worker.group is None:
            raise RuntimeError("no worker is idle")
        now = time.monotonic()
        worker.stage, worker.running = "busy", _Running(assignment, now, now)
        logs = self.settings.log_folder
        log = logs / f"trial-{assignment.index:05d}.log" if logs else None
        worker.group.log_to(log, f"[attempt {assignment.attempt}]")
        worker.group.send(job_message(assignment))

    @override
    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        for worker in self._workers:
            if worker.running is not None and worker.running.assignment.index == index and worker.group is not None:
                worker.group.processes[0].send(
                    {"kind": "answer", "index": index, "body": {"step": step, "go_on": go_on}}
                )

    @override
    def poll(self, timeout: float) -> list[ExecutorEvent]:
        events: list[ExecutorEvent] = []
        deadline = time.monotonic() + timeout
        while not events:
            left = deadline - time.monotonic()
            try:
                process, message = self._outbox.get(timeout=max(0.0, min(left, _WATCH_SECONDS)))
                events += self._take(process, message)
                while True:
                    process, message = self._outbox.get_nowait()
                    events += self._take(process, message)
            except queue.Empty:
                pass
            events += self._watch()
            if left <= 0:
                break
        return events

    @override
    def close(self) -> None:
        for worker in self._workers:
            if worker.group is not None:
                worker.group.kill()
                worker.group = None
        self._workers = []
        if self._service is not None:
            self._service.close()
            self._service = None

    @contextmanager
    def proposing(self) -> Iterator[int]:
        """See `Executor.proposing`.

        While other workers train, the computation runs on the cores of an idle worker and in this thread alone (the
        threads of a pool would stay where they were started).
        """
        busy = any(worker.stage == "busy" for worker in self._workers)
        idle = next((worker.slot.cores for worker in self._workers if worker.stage == "idle" and worker.slot.cores), ())
        if not busy or not idle or not hasattr(os, "sched_setaffinity"):
            yield 1 if busy and not self.proposes_ahead else len(available_cores())
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, idle)
        try:
            yield 1
        finally:
            os.sched_setaffinity(0, before)

    # --------------------------------------------------------------------------------------------------------

    def _spawn(self, worker: _Worker) -> None:
        slot = worker.slot
        worker.stage, worker.running = "starting", None
        worker.group = WorkerGroup(self._outbox, slot, log_bytes=self.settings.log_bytes)
        worker.group.send(setup_message(self.setup, slot.device, slot.threads))

    def _take(self, process: WorkerProcess, message: Message | None) -> list[ExecutorEvent]:
        for worker in self._workers:
            if worker.group is not None and process in worker.group.processes:
                return self._take_from(worker, worker.group, process, message)
        return []  # the last words of a process that has been replaced

    def _take_from(
        self, worker: _Worker, group: WorkerGroup, process: WorkerProcess, message: Message | None
    ) -> list[ExecutorEvent]:
        if message is None:
            return self._replace_dead(worker, group.death(process))
        if message["kind"] == "ready":
            if not group.note_ready(process):
                return []
            worker.stage, worker.failed_starts, self._came_up = "idle", 0, True
            return [WorkerReady(message["body"])]
        if message["kind"] == "refused":
            raise read_refusal(message["body"])
        running = worker.running
        if running is not None and message.get("index") == running.assignment.index:
            running.heard = time.monotonic()
            assignment = running.assignment
            if message["kind"] == "started":
                return [TrialStarted(assignment.index, assignment.attempt, message["body"])]
            if message["kind"] == "clocked":
                running.clocked = running.heard
            if message["kind"] == "point":
                return [TrialPoint(assignment.index, assignment.attempt, read_point(message))]
            if message["kind"] == "ended":
                running.results[process] = read_result(message)
                return self._end(worker, group, running)
        return []

    def _end(self, worker: _Worker, group: WorkerGroup, running: _Running) -> list[ExecutorEvent]:
        """A process has ended its trial: the trial has ended when all have."""
        failed = any(_is_failure(result) for result in running.results.values())
        if failed and running.failed is None:
            running.failed = time.monotonic()
        if len(running.results) < group.size:
            return []
        if failed and group.size > 1:
            return self._replace(worker, running.failure)
        worker.stage, worker.running = "idle", None
        group.log_to(None, "")
        result = replace(running.results[group.processes[0]], shared_by=worker.slot.shared_by)
        return [TrialEnded(running.assignment.index, running.assignment.attempt, result)]

    def _replace_dead(self, worker: _Worker, death: str) -> list[ExecutorEvent]:
        """A worker has died by itself: say so, and put another in its place."""
        if worker.stage == "starting":
            worker.failed_starts += 1
            if worker.failed_starts >= (_RESTART_TRIES if self._came_up else _START_TRIES):
                raise DeviceError("A worker must be able to start.", value=worker.slot.device, hint=death)
        return self._replace(worker, TrialResult("failed", "worker_lost", f"{death}."))

    def _watch(self) -> list[ExecutorEvent]:
        now = time.monotonic()
        gap = now - self._watched
        if gap < _WATCH_SECONDS:
            return []
        if gap > _OWN_GAP_SECONDS and self._watched:
            # This process was stopped (Ctrl-Z, a machine asleep). What its workers said meanwhile may still lie in the
            # pipes, so nobody is late yet.
            for worker in self._workers:
                worker.forgive(gap)
        self._watched = now
        events: list[ExecutorEvent] = []
        for worker in self._workers:
            if overdue := self._overdue(worker, now):
                events += self._replace(worker, overdue)
            elif (
                worker.running and worker.running.failed is not None and now - worker.running.failed > _SETTLING_SECONDS
            ):
                # The others wait for the one that failed, and would do so for ever.
                events += self._replace(worker, worker.running.failure)
        busy = [worker for worker in self._workers if worker.running is not None and worker.group is not None]
        if busy and host_memory.available() < host_memory.reserve():
            largest = max(busy, key=lambda worker: worker.group.memory() if worker.group else 0)
            used = largest.group.memory() / 2**30 if largest.group else 0.0
            reason = f"The machine ran out of memory; this trial's worker held {used:.1f} GiB and was ended."
            events += self._replace(largest, TrialResult("failed", "host_memory", reason))
        return events

    def _overdue(self, worker: _Worker, now: float) -> TrialResult | None:
        """What a worker's trial has come to, because it has to go now; None where it may stay."""
        patience, running = self.settings.patience, worker.running
        if worker.group is not None and worker.stage == "starting" and now - worker.group.started > patience.start:
            return TrialResult("failed", "timeout", f"The worker did not start within {patience.start:g} seconds.")
        if running is None:
            return None
        if running.clocked is None:
            if now - running.since <= patience.preparation:
                return None
            reason = f"The trial did not come to its first step that counts within {patience.preparation:g} seconds."
            return TrialResult("failed", "preparation", reason)
        budget, reason = running.assignment.job.budget, ""
        if budget.unit == "seconds" and now - running.clocked > budget.amount + patience.grace:
            reason = f"The trial outlived its budget of {budget} by more than its grace of {patience.grace:g} seconds."
        elif budget.unit != "seconds" and now - running.heard > patience.silence:
            reason = f"The trial was silent for {patience.silence:g} seconds."
        return TrialResult("failed", "timeout", reason) if reason else None

    def _replace(self, worker: _Worker, result: TrialResult) -> list[ExecutorEvent]:
        """End a worker, put another in its place, and give its trial, if it has one, this result."""
        running = worker.running
        if worker.group is not None:
            worker.group.kill()
        self._spawn(worker)
        if running is None:
            return []
        if not result.device:  # the search's own verdict, not one that a process came to
            wall = time.monotonic() - running.since
            result = replace(result, wall_seconds=wall, device=worker.slot.device, shared_by=worker.slot.shared_by)
        return [TrialEnded(running.assignment.index, running.assignment.attempt, result)]


def _is_failure(result: TrialResult) -> bool:
    return result.outcome in ("failed", "infeasible")
