"""Local workers: one long-lived process for each device (or group of cores), watched from outside."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal

import betanas.errors as errors
from betanas import host_memory
from betanas.errors import BetanasError, DeviceError, UserError
from betanas.search.executors.base import (
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialJob,
    TrialPoint,
    TrialStarted,
    WorkerReady,
    WorkerSetup,
)
from betanas.search.executors.messages import Message, job_message, read_point, read_result, setup_message
from betanas.search.executors.process import WorkerProcess
from betanas.training.budget import Budget
from betanas.training.result import Cause, TrialResult

# The watchdog's rhythm: at 2 GB/s a runaway allocation takes less than the memory reserve between two looks.
_WATCH_SECONDS = 0.2

# A worker that dies this often before it was ever ready will not come up at all.
_START_TRIES = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one worker runs.

    Attributes:
        device: what the engine is told (`cpu`, `cuda:0`).
        cores: processor cores it may use; empty for all.
        threads: threads a trial computes with on the processor; None where it trains elsewhere.
        environment: variables that show it its devices alone.
    """

    device: str
    cores: tuple[int, ...]
    threads: int | None
    environment: dict[str, str]


@dataclass(slots=True)
class _Running:
    job: TrialJob
    since: float
    heard: float


class _Seat:
    """A slot with the process that fills it now."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.process: WorkerProcess | None = None
        self.stage: Literal["starting", "idle", "busy"] = "starting"
        self.running: _Running | None = None
        self.failed_starts = 0


class LocalExecutor(Executor):
    """Trains trials in child processes of this machine (the default)."""

    name: ClassVar[str] = "local"

    def __init__(self, setup: WorkerSetup, settings: ExecutorSettings) -> None:
        super().__init__(setup, settings)
        self._slots = plan_slots(settings)
        self._seats: list[_Seat] = []
        self._outbox: queue.Queue[tuple[WorkerProcess, Message | None]] = queue.Queue()
        self._watched = 0.0

    def start(self) -> None:
        """See `Executor.start`."""
        self._seats = [_Seat(slot) for slot in self._slots]
        for seat in self._seats:
            self._spawn(seat)

    @property
    def capacity(self) -> int:
        """See `Executor.capacity`."""
        return len(self._slots)

    @property
    def idle(self) -> int:
        """See `Executor.idle`."""
        return sum(seat.stage == "idle" for seat in self._seats)

    @property
    def proposes_ahead(self) -> bool:
        """See `Executor.proposes_ahead`: accelerators leave the processor to the proposer."""
        return all(slot.device != "cpu" for slot in self._slots)

    def submit(self, job: TrialJob) -> None:
        """See `Executor.submit`."""
        seat = next((seat for seat in self._seats if seat.stage == "idle" and seat.process is not None), None)
        if seat is None or seat.process is None:
            raise RuntimeError("no worker is idle")
        now = time.monotonic()
        seat.stage, seat.running = "busy", _Running(job, now, now)
        logs = self.settings.log_folder
        seat.process.log_to(logs / f"trial-{job.index:05d}.log" if logs else None, f"[attempt {job.attempt}]")
        seat.process.send(job_message(job))

    def answer(self, index: int, *, go_on: bool) -> None:
        """See `Executor.answer`."""
        for seat in self._seats:
            if seat.running is not None and seat.running.job.index == index and seat.process is not None:
                seat.process.send({"kind": "answer", "index": index, "body": go_on})

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        """See `Executor.poll`."""
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

    def close(self) -> None:
        """See `Executor.close`."""
        for seat in self._seats:
            if seat.process is not None:
                seat.process.kill()
                seat.process = None
        self._seats = []

    @contextmanager
    def proposing(self) -> Iterator[int]:
        """See `Executor.proposing`.

        While other workers train, the computation runs on the cores of an idle worker and in this thread alone (the
        threads of a pool would stay where they were started).
        """
        busy = any(seat.stage == "busy" for seat in self._seats)
        idle = next((seat.slot.cores for seat in self._seats if seat.stage == "idle" and seat.slot.cores), ())
        if not busy or not idle or not hasattr(os, "sched_setaffinity"):
            yield 1 if busy and not self.proposes_ahead else available_cores_count()
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, idle)
        try:
            yield 1
        finally:
            os.sched_setaffinity(0, before)

    # --------------------------------------------------------------------------------------------------------

    def _spawn(self, seat: _Seat) -> None:
        slot = seat.slot
        seat.stage, seat.running = "starting", None
        seat.process = WorkerProcess(
            self._outbox, cores=slot.cores, environment=slot.environment, log_bytes=self.settings.log_bytes
        )
        seat.process.send(setup_message(self.setup, slot.device, slot.threads))

    def _take(self, process: WorkerProcess, message: Message | None) -> list[ExecutorEvent]:
        seat = next((seat for seat in self._seats if seat.process is process), None)
        if seat is None:
            return []  # the last words of a process that has been replaced
        if message is None:
            return self._bury(seat, process)
        if message["kind"] == "ready":
            seat.stage, seat.failed_starts = "idle", 0
            return [WorkerReady(message["body"])]
        if message["kind"] == "refused":
            raise _refusal(message)
        if seat.running is not None and message.get("index") == seat.running.job.index:
            seat.running.heard = time.monotonic()
            job = seat.running.job
            if message["kind"] == "started":
                return [TrialStarted(job.index, job.attempt, message["body"])]
            if message["kind"] == "point":
                return [TrialPoint(job.index, job.attempt, read_point(message))]
            if message["kind"] == "ended":
                seat.stage, seat.running = "idle", None
                process.log_to(None, "")
                return [TrialEnded(job.index, job.attempt, read_result(message))]
        return []

    def _bury(self, seat: _Seat, process: WorkerProcess) -> list[ExecutorEvent]:
        """A worker has died by itself: say so, and put another in its place."""
        epitaph = process.epitaph()
        if seat.stage == "starting":
            seat.failed_starts += 1
            if seat.failed_starts >= _START_TRIES:
                raise DeviceError("A worker must be able to start.", value=seat.slot.device, hint=epitaph)
        return self._replace(seat, "worker_lost", f"The worker process died: {epitaph}.")

    def _watch(self) -> list[ExecutorEvent]:
        now = time.monotonic()
        if now - self._watched < _WATCH_SECONDS:
            return []
        self._watched = now
        events: list[ExecutorEvent] = []
        for seat in self._seats:
            if overdue := self._overdue(seat, now):
                events += self._replace(seat, "timeout", overdue)
        busy = [seat for seat in self._seats if seat.running is not None and seat.process is not None]
        if busy and host_memory.available() < host_memory.reserve():
            largest = max(busy, key=lambda seat: seat.process.memory() if seat.process else 0)
            used = largest.process.memory() / 2**30 if largest.process else 0.0
            reason = f"The machine ran out of memory; this trial's worker held {used:.1f} GiB and was ended."
            events += self._replace(largest, "host_memory", reason)
        return events

    def _overdue(self, seat: _Seat, now: float) -> str:
        """Why a worker has to go now; empty where it may stay."""
        patience = self.settings.patience
        if seat.process is not None and seat.stage == "starting" and now - seat.process.started > patience.start:
            return f"The worker did not start within {patience.start:g} seconds."
        if seat.running is None:
            return ""
        budget = Budget.parse(seat.running.job.budget)
        if budget.unit == "seconds":
            if now - seat.running.since > budget.amount + patience.grace:
                return (
                    f"The trial outlived its budget of {budget} by more than its grace of {patience.grace:g} seconds."
                )
        elif now - seat.running.heard > patience.silence:
            return f"The trial was silent for {patience.silence:g} seconds."
        return ""

    def _replace(self, seat: _Seat, cause: Cause, reason: str) -> list[ExecutorEvent]:
        running = seat.running
        if seat.process is not None:
            seat.process.kill()
        self._spawn(seat)
        if running is None:
            return []
        wall = time.monotonic() - running.since
        result = TrialResult("failed", cause, reason, wall_seconds=wall, device=seat.slot.device)
        return [TrialEnded(running.job.index, running.job.attempt, result)]


def available_cores() -> tuple[int, ...]:
    """The processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def available_cores_count() -> int:
    """How many processor cores this process may use."""
    return len(available_cores())


def plan_slots(settings: ExecutorSettings) -> list[Slot]:
    """Where the workers go: one for each accelerator, or the processor's cores shared out among them.

    Raises:
        DeviceError: a device is not there, or the numbers do not fit.
    """
    if settings.workers is not None and settings.workers < 1:
        raise DeviceError("There must be at least one worker.", value=settings.workers)
    devices = _find_devices(settings.devices)
    if devices == ["cpu"]:
        return _processor_slots(settings.workers or 1)
    if len(devices) % settings.per_trial_devices:
        raise DeviceError(
            "The devices must divide evenly among the trials.",
            value=f"{len(devices)} devices, {settings.per_trial_devices} for each trial",
        )
    groups = [devices[i : i + settings.per_trial_devices] for i in range(0, len(devices), settings.per_trial_devices)]
    slots = [
        Slot(
            device="cuda" if group[0].startswith("cuda") else group[0],
            cores=(),
            threads=None,
            environment=_visible(group),
        )
        for group in groups
    ]
    # More workers than devices share them in turn: small networks do not fill an accelerator.
    count = settings.workers or len(slots)
    return [replace(slots[place % len(slots)]) for place in range(count)]


def _processor_slots(workers: int) -> list[Slot]:
    cores = available_cores()
    if workers >= len(cores):
        shares: list[tuple[int, ...]] = [(cores[place % len(cores)],) for place in range(workers)]
    else:
        bounds = [round(place * len(cores) / workers) for place in range(workers + 1)]
        shares = [cores[low:high] for low, high in pairwise(bounds)]
    return [
        Slot(
            device="cpu",
            cores=share,
            threads=len(share),
            environment={
                "CUDA_VISIBLE_DEVICES": "",
                "OMP_NUM_THREADS": str(len(share)),
                # Huge pages for activations: with freed memory kept, 1.15 times the steps a second, and 1.12 times
                # without them (benchmarks/training_allocator.py).
                "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
            },
        )
        for share in shares
    ]


def _find_devices(wanted: tuple[str, ...]) -> list[str]:
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    if wanted == ("auto",):
        return cuda or mps or ["cpu"]
    known = ["cpu", *cuda, *mps]
    found = []
    for name in wanted:
        if name == "cuda" and cuda:
            found += cuda
        elif name in known:
            found.append(name)
        else:
            raise DeviceError("A device must be on this machine.", value=name, hint=f"Type one of: {', '.join(known)}.")
    if "cpu" in found and len(found) > 1:
        raise DeviceError("A search uses the processor or accelerators, not both.", value=", ".join(found))
    return list(dict.fromkeys(found))


def _visible(group: list[str]) -> dict[str, str]:
    if not group[0].startswith("cuda"):
        return {}
    return {"CUDA_VISIBLE_DEVICES": ",".join(name.removeprefix("cuda:") for name in group)}


def _refusal(message: Message) -> BetanasError:
    """The error that kept a worker from starting, as it was raised there."""
    body = message["body"]
    kind = getattr(errors, body["type"], BetanasError)
    if not (isinstance(kind, type) and issubclass(kind, UserError)):
        return BetanasError(body["rule"])
    return kind(body["rule"], value=body["value"], hint=body["hint"])
