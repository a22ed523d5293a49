"""Trials on the nodes of a Ray cluster: one actor for each trial that runs at the same time, kept warm between trials.

An actor rather than a task for each trial: torch and the data are then loaded once on a node and not for every trial,
which takes as long as a short trial trains. Ray finds each actor a node with room for a trial, and says when one is
lost.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from typing_extensions import override

import betanas
from betanas.errors import DeviceError
from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    WorkerReady,
    WorkerSetup,
)
from betanas.search.executors.messages import encode, job_message
from betanas.search.executors.ray.cluster import Node, alive, connect, find_nodes, plan_share
from betanas.search.executors.ray.messages import Order, Report, read_event, read_files
from betanas.search.executors.ray.worker import RayWorker
from betanas.search.executors.refusals import read_refusal
from betanas.search.executors.slots import available_cores
from betanas.training.result import Cause, TrialResult

# An actor answers so often even where nothing happens.
_LISTEN_SECONDS = 5.0

# One that has not answered for so long will not, whatever Ray believes of its node.
_SILENCE_SECONDS = 90.0

# How often the search looks for nodes that have joined.
_LOOK_SECONDS = 5.0

_WAIT_SECONDS = 1.0
_STOP_SECONDS = 5.0

# An actor that dies this often before it was ever ready will not come up at all.
_START_TRIES = 3


@dataclass(slots=True)
class _Running:
    assignment: Assignment
    since: float


class _Worker:
    """A trial's place in the cluster, with the actor that fills it now."""

    def __init__(self) -> None:
        self.actor: Any = None
        self.reply: Any = None  # of the actor's `listen` that is under way
        self.stage: Literal["placing", "starting", "idle", "busy"] = "placing"
        self.node = ""
        self.address = ""
        self.heard = 0.0
        self.running: _Running | None = None
        self.failed_starts = 0


class RayExecutor(Executor):
    """Trains trials on a Ray cluster.

    Without a number of workers there are as many as the cluster has room for, and more as soon as nodes join it. With
    one, workers that find no room wait for it, which makes a cluster that can grow do so.

    Raises:
        MissingExtraError: Ray is not installed.
        DeviceError: there is no such cluster, or no node has room for a trial.
    """

    name: ClassVar[str] = "ray"

    def __init__(self, setup: WorkerSetup, settings: ExecutorSettings) -> None:
        super().__init__(setup, settings)
        self._nodes = find_nodes(settings.address, settings.devices)
        self._share = plan_share(settings, self._nodes)
        self._order = Order(
            setup=setup,
            slot=self._share.slot(),
            files=read_files(setup),
            patience=settings.patience,
            log_bytes=settings.log_bytes if settings.log_folder else 0,
            version=betanas.__version__,
        ).encode()
        self._workers: list[_Worker] = []
        self._actor_class: Any = None
        self._own_connection = False
        self._here = ""
        self._looked = 0.0

    @override
    def start(self) -> None:
        import ray

        self._own_connection = connect(self.settings.address, self._nodes[0])
        self._here = ray.util.get_node_ip_address()
        self._looked = time.monotonic()
        self._actor_class = ray.remote(RayWorker).options(
            num_cpus=self._share.cpus,
            num_gpus=self._share.gpus,
            resources=dict(self._share.resources),
            max_restarts=0,
            max_concurrency=4,  # `listen` takes one for itself
            scheduling_strategy="SPREAD",
        )
        for _ in range(self._room(self._nodes)):
            self._add_worker()

    @property
    @override
    def capacity(self) -> int:
        return len(self._workers)

    @property
    @override
    def idle(self) -> int:
        return sum(worker.stage == "idle" for worker in self._workers)

    @property
    def proposes_ahead(self) -> bool:
        """See `Executor.proposes_ahead`: unless trials train, or may come to train, on this machine's processor."""
        return self._share.gpus > 0 or all(worker.address not in ("", self._here) for worker in self._workers)

    @contextmanager
    def proposing(self) -> Iterator[int]:
        """See `Executor.proposing`: in one thread while a trial trains on this machine's processor.

        Ray pins no trial to cores, so the system gives that thread those of an idle worker of this machine, if any.
        """
        here = any(worker.stage == "busy" and worker.address == self._here for worker in self._workers)
        yield 1 if here and not self._share.gpus else len(available_cores())

    @property
    def shares_disk(self) -> bool:
        """See `Executor.shares_disk`: its nodes may be other machines."""
        return False

    @override
    def submit(self, assignment: Assignment) -> None:
        worker = next((worker for worker in self._workers if worker.stage == "idle"), None)
        if worker is None:
            raise RuntimeError("no worker is idle")
        worker.stage, worker.running = "busy", _Running(assignment, time.monotonic())
        worker.actor.submit.remote(encode(job_message(assignment)))

    @override
    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        for worker in self._workers:
            if worker.running is not None and worker.running.assignment.index == index:
                worker.actor.answer.remote(index, step, go_on)

    @override
    def poll(self, timeout: float) -> list[ExecutorEvent]:
        import ray

        events: list[ExecutorEvent] = []
        deadline = time.monotonic() + timeout
        while not events:
            left = deadline - time.monotonic()
            replies = [worker.reply for worker in self._workers]
            ready, _ = ray.wait(replies, timeout=max(0.0, min(left, _WAIT_SECONDS)))
            if ready:
                ready, _ = ray.wait(replies, num_returns=len(replies), timeout=0.0)
            for worker in [worker for worker in self._workers if worker.reply in ready]:
                events += self._hear(worker)
            events += self._watch()
            if left <= 0:
                break
        return events

    @override
    def close(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            stops = [worker.actor.stop.remote() for worker in self._workers if worker.stage != "placing"]
            ray.wait(stops, num_returns=len(stops), timeout=_STOP_SECONDS) if stops else None
        for worker in self._workers:
            _kill(worker)
        self._workers = []
        if self._own_connection:
            ray.shutdown()
            self._own_connection = False

    # Actors ----------------------------------------------------------------------------------------------------------

    def _room(self, nodes: list[Node]) -> int:
        """How many workers there are to be."""
        return self.settings.worker_count or max(1, sum(self._share.fits(node) for node in nodes))

    def _add_worker(self) -> None:
        worker = _Worker()
        self._fill(worker)
        self._workers.append(worker)

    def _fill(self, worker: _Worker) -> None:
        worker.actor = self._actor_class.remote(self._order)
        worker.reply = worker.actor.listen.remote(_LISTEN_SECONDS)
        worker.stage, worker.running, worker.node, worker.address = "placing", None, "", ""

    def _hear(self, worker: _Worker) -> list[ExecutorEvent]:
        import ray

        try:
            reports: list[Report] = json.loads(ray.get(worker.reply))
        except ray.exceptions.RayError as error:
            return self._lose(worker, error)
        worker.heard = time.monotonic()
        worker.reply = worker.actor.listen.remote(_LISTEN_SECONDS)
        return [event for report in reports for event in self._take(worker, report)]

    def _take(self, worker: _Worker, report: Report) -> list[ExecutorEvent]:
        if "node" in report:
            worker.stage, worker.node, worker.address = "starting", report["node"], report["address"]
        if "refused" in report:
            raise read_refusal(report["refused"], where=f"So says the node {worker.address}.")
        self._keep_log(report.get("log", {}))
        events: list[ExecutorEvent] = []
        for message in report.get("events", []):
            event = read_event(message)
            if isinstance(event, WorkerReady):
                worker.failed_starts = 0
                events.append(event)
            elif worker.running is not None and worker.running.assignment.index == event.index:
                events.append(event)
                if isinstance(event, TrialEnded):
                    worker.running, worker.stage = None, "starting"
        if report.get("idle") and worker.running is None:
            worker.stage = "idle"
        return events

    def _lose(self, worker: _Worker, error: Exception) -> list[ExecutorEvent]:
        """An actor is gone: say so, and have Ray put another in its place."""
        import ray

        nodes = {node["NodeID"]: node["Alive"] for node in ray.nodes()}
        cause: Cause = "host_memory" if isinstance(error, ray.exceptions.OutOfMemoryError) else "worker_lost"
        if not nodes.get(worker.node, True):
            # The id's letters tell nodes apart: lost on two of them is not the same failure twice.
            reason = f"The node {worker.address} (id {worker.node[:12]}) was lost."
        else:
            words = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason")
            reason = f"The Ray actor on {worker.address or 'a node'} was lost: {words[:300]}"
            if worker.stage in ("placing", "starting"):
                worker.failed_starts += 1
                if worker.failed_starts >= _START_TRIES:
                    raise DeviceError(
                        "A worker must be able to start on the cluster's nodes.",
                        value=worker.address or "a node",
                        hint=f"BetaNAS must be installed on every node. {words[:300]}",
                    )
        return self._replace(worker, cause, reason)

    def _replace(self, worker: _Worker, cause: Cause, reason: str) -> list[ExecutorEvent]:
        running = worker.running
        _kill(worker)
        self._fill(worker)
        if running is None:
            return []
        wall = time.monotonic() - running.since
        device = "cuda" if self._share.gpus else "cpu"
        result = TrialResult("failed", cause, reason, wall_seconds=wall, device=device)
        return [TrialEnded(running.assignment.index, running.assignment.attempt, result)]

    def _watch(self) -> list[ExecutorEvent]:
        """End what is silent, and see whether nodes have come or gone."""
        import ray

        now = time.monotonic()
        events: list[ExecutorEvent] = []
        for worker in self._workers:
            if worker.stage != "placing" and now - worker.heard > _SILENCE_SECONDS:
                reason = f"The Ray actor on {worker.address} has not answered for {_SILENCE_SECONDS:g} seconds."
                events += self._replace(worker, "worker_lost", reason)
        if self.settings.worker_count is None and now - self._looked > _LOOK_SECONDS:
            self._looked = now
            room = self._room(alive(ray.nodes()))
            homeless = [worker for worker in self._workers if worker.stage == "placing"]
            for worker in homeless[: max(0, len(self._workers) - room)]:
                _kill(worker)
                self._workers.remove(worker)
            for _ in range(room - len(self._workers)):
                self._add_worker()
        return events

    def _keep_log(self, pieces: dict[str, str]) -> None:
        if self.settings.log_folder is None:
            return
        for index, text in pieces.items():
            path = Path(self.settings.log_folder) / f"trial-{int(index):05d}.log"
            # A full or read-only disk must not cost the trial: it only loses its log.
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    file.write(text)


def _kill(worker: _Worker) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError, ValueError):
        ray.kill(worker.actor, no_restart=True)
