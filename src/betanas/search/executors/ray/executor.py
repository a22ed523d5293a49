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


class _Seat:
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
        self._seats: list[_Seat] = []
        self._actor_class: Any = None
        self._own_connection = False
        self._here = ""
        self._looked = 0.0

    def start(self) -> None:
        """See `Executor.start`."""
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
            self._add_seat()

    @property
    def capacity(self) -> int:
        """See `Executor.capacity`."""
        return len(self._seats)

    @property
    def idle(self) -> int:
        """See `Executor.idle`."""
        return sum(seat.stage == "idle" for seat in self._seats)

    @property
    def proposes_ahead(self) -> bool:
        """See `Executor.proposes_ahead`: unless trials train, or may come to train, on this machine's processor."""
        return self._share.gpus > 0 or all(seat.address not in ("", self._here) for seat in self._seats)

    @contextmanager
    def proposing(self) -> Iterator[int]:
        """See `Executor.proposing`: in one thread while a trial trains on this machine's processor.

        Ray pins no trial to cores, so the system gives that thread those of an idle worker of this machine, if any.
        """
        here = any(seat.stage == "busy" and seat.address == self._here for seat in self._seats)
        yield 1 if here and not self._share.gpus else len(available_cores())

    @property
    def shares_disk(self) -> bool:
        """See `Executor.shares_disk`: its nodes may be other machines."""
        return False

    def submit(self, assignment: Assignment) -> None:
        """See `Executor.submit`."""
        seat = next((seat for seat in self._seats if seat.stage == "idle"), None)
        if seat is None:
            raise RuntimeError("no worker is idle")
        seat.stage, seat.running = "busy", _Running(assignment, time.monotonic())
        seat.actor.submit.remote(encode(job_message(assignment)))

    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        """See `Executor.answer`."""
        for seat in self._seats:
            if seat.running is not None and seat.running.assignment.index == index:
                seat.actor.answer.remote(index, step, go_on)

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        """See `Executor.poll`."""
        import ray

        events: list[ExecutorEvent] = []
        deadline = time.monotonic() + timeout
        while not events:
            left = deadline - time.monotonic()
            replies = [seat.reply for seat in self._seats]
            ready, _ = ray.wait(replies, timeout=max(0.0, min(left, _WAIT_SECONDS)))
            if ready:
                ready, _ = ray.wait(replies, num_returns=len(replies), timeout=0.0)
            for seat in [seat for seat in self._seats if seat.reply in ready]:
                events += self._hear(seat)
            events += self._watch()
            if left <= 0:
                break
        return events

    def close(self) -> None:
        """See `Executor.close`."""
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            stops = [seat.actor.stop.remote() for seat in self._seats if seat.stage != "placing"]
            ray.wait(stops, num_returns=len(stops), timeout=_STOP_SECONDS) if stops else None
        for seat in self._seats:
            _kill(seat)
        self._seats = []
        if self._own_connection:
            ray.shutdown()
            self._own_connection = False

    # Actors ----------------------------------------------------------------------------------------------------------

    def _room(self, nodes: list[Node]) -> int:
        """How many seats there are to be."""
        return self.settings.workers or max(1, sum(self._share.fits(node) for node in nodes))

    def _add_seat(self) -> None:
        seat = _Seat()
        self._fill(seat)
        self._seats.append(seat)

    def _fill(self, seat: _Seat) -> None:
        seat.actor = self._actor_class.remote(self._order)
        seat.reply = seat.actor.listen.remote(_LISTEN_SECONDS)
        seat.stage, seat.running, seat.node, seat.address = "placing", None, "", ""

    def _hear(self, seat: _Seat) -> list[ExecutorEvent]:
        import ray

        try:
            reports: list[Report] = json.loads(ray.get(seat.reply))
        except ray.exceptions.RayError as error:
            return self._lose(seat, error)
        seat.heard = time.monotonic()
        seat.reply = seat.actor.listen.remote(_LISTEN_SECONDS)
        return [event for report in reports for event in self._take(seat, report)]

    def _take(self, seat: _Seat, report: Report) -> list[ExecutorEvent]:
        if "node" in report:
            seat.stage, seat.node, seat.address = "starting", report["node"], report["address"]
        if "refused" in report:
            raise read_refusal(report["refused"], where=f"So says the node {seat.address}.")
        self._keep_log(report.get("log", {}))
        events: list[ExecutorEvent] = []
        for message in report.get("events", []):
            event = read_event(message)
            if isinstance(event, WorkerReady):
                seat.failed_starts = 0
                events.append(event)
            elif seat.running is not None and seat.running.assignment.index == event.index:
                events.append(event)
                if isinstance(event, TrialEnded):
                    seat.running, seat.stage = None, "starting"
        if report.get("idle") and seat.running is None:
            seat.stage = "idle"
        return events

    def _lose(self, seat: _Seat, error: Exception) -> list[ExecutorEvent]:
        """An actor is gone: say so, and have Ray put another in its place."""
        import ray

        nodes = {node["NodeID"]: node["Alive"] for node in ray.nodes()}
        cause: Cause = "host_memory" if isinstance(error, ray.exceptions.OutOfMemoryError) else "worker_lost"
        if not nodes.get(seat.node, True):
            # The id's letters tell nodes apart: lost on two of them is not the same failure twice.
            reason = f"The node {seat.address} (id {seat.node[:12]}) was lost."
        else:
            words = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason")
            reason = f"The Ray actor on {seat.address or 'a node'} was lost: {words[:300]}"
            if seat.stage in ("placing", "starting"):
                seat.failed_starts += 1
                if seat.failed_starts >= _START_TRIES:
                    raise DeviceError(
                        "A worker must be able to start on the cluster's nodes.",
                        value=seat.address or "a node",
                        hint=f"BetaNAS must be installed on every node. {words[:300]}",
                    )
        return self._replace(seat, cause, reason)

    def _replace(self, seat: _Seat, cause: Cause, reason: str) -> list[ExecutorEvent]:
        running = seat.running
        _kill(seat)
        self._fill(seat)
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
        for seat in self._seats:
            if seat.stage != "placing" and now - seat.heard > _SILENCE_SECONDS:
                reason = f"The Ray actor on {seat.address} has not answered for {_SILENCE_SECONDS:g} seconds."
                events += self._replace(seat, "worker_lost", reason)
        if self.settings.workers is None and now - self._looked > _LOOK_SECONDS:
            self._looked = now
            room = self._room(alive(ray.nodes()))
            homeless = [seat for seat in self._seats if seat.stage == "placing"]
            for seat in homeless[: max(0, len(self._seats) - room)]:
                _kill(seat)
                self._seats.remove(seat)
            for _ in range(room - len(self._seats)):
                self._add_seat()
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


def _kill(seat: _Seat) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError, ValueError):
        ray.kill(seat.actor, no_restart=True)
