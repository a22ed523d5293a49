"""What runs on a node: an actor that keeps one worker warm and watches it, as the local executor does at home.

The actor itself trains nothing. Its worker is a process of its own, so that a trial which crashes, floods its output or
has to be killed takes neither the actor nor Ray's logs along, and a trial on several devices has its processes. When
Ray ends the actor (its search has died, its node is taken away), the kernel ends the worker with it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import betanas
from betanas.errors import DeviceError
from betanas.search.executors.base import Assignment, ExecutorEvent, ExecutorSettings, TrialEnded, WorkerSetup
from betanas.search.executors.local import LocalExecutor
from betanas.search.executors.messages import decode, read_job
from betanas.search.executors.ray.messages import Order, Report, write_event
from betanas.search.executors.refusals import write_refusal
from betanas.training.job import Job

# How long a command waits at most for its worker's watcher to look up.
_STEP_SECONDS = 0.02

_STOP_SECONDS = 10.0


class RayWorker:
    """The actor. Its methods return at once, apart from `listen`, and may be called at the same time.

    Args:
        order: what to train with, an `Order` as JSON.
    """

    def __init__(self, order: bytes) -> None:
        import ray

        self._reports: queue.Queue[Report] = queue.Queue()
        self._jobs: queue.Queue[Assignment] = queue.Queue()
        self._answers: queue.Queue[tuple[int, int, bool]] = queue.Queue()
        self._stopping = threading.Event()
        self._reports.put(
            {"node": ray.get_runtime_context().get_node_id(), "address": ray.util.get_node_ip_address()},
        )
        # The kernel ends a worker together with the thread that started it, so that thread must last.
        self._thread = threading.Thread(target=self._work, args=(Order.decode(order),), daemon=True)
        self._thread.start()

    def listen(self, seconds: float) -> bytes:
        """The reports since the last call, waiting up to `timeout` seconds for one: a JSON list."""
        reports: list[Report] = []
        with contextlib.suppress(queue.Empty):
            reports.append(self._reports.get(timeout=seconds))
            while True:
                reports.append(self._reports.get_nowait())
        return json.dumps(reports).encode()

    def submit(self, message: bytes) -> None:
        """Train a trial (a `job` message)."""
        self._jobs.put(read_job(decode(message)))

    def answer(self, index: int, step: int, go_on: bool) -> None:
        """The search's verdict on a curve point."""
        self._answers.put((index, step, go_on))

    def stop(self) -> None:
        """End the worker and leave nothing on the node."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    # -----------------------------------------------------------------------------------------------------------------

    def _work(self, order: Order) -> None:
        folder = Path(tempfile.mkdtemp(prefix="betanas-ray-"))
        try:
            self._train(order, folder)
        except Exception as error:
            traceback.print_exc()
            self._reports.put({"refused": write_refusal(error)})
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _train(self, order: Order, folder: Path) -> None:
        if order.version != betanas.__version__:
            raise DeviceError(
                f"Every node must have the search's own BetaNAS, {order.version}.", value=betanas.__version__
            )
        logs = _Logs(folder / "logs") if order.log_bytes else None
        settings = ExecutorSettings(
            log_folder=logs.folder if logs else None, log_bytes=order.log_bytes, patience=order.patience
        )
        waiting: deque[Assignment] = deque()
        places = _write_files(order, folder)
        with LocalExecutor(_at_home(order.setup, places), settings, [order.slot]) as executor:
            while not self._stopping.is_set():
                with contextlib.suppress(queue.Empty):
                    while True:
                        index, step, go_on = self._answers.get_nowait()
                        executor.answer(index, step, go_on=go_on)
                with contextlib.suppress(queue.Empty):
                    assignment = self._jobs.get_nowait()
                    waiting.append(replace(assignment, job=_with_images_at_home(assignment.job, places)))
                # A worker that died idle is being replaced: its next trial waits for the new one.
                if waiting and executor.idle:
                    executor.submit(waiting.popleft())
                events = executor.poll(_STEP_SECONDS)
                if events:
                    report: Report = {
                        "events": [write_event(event) for event in events],
                        "idle": executor.idle > 0,
                        "log": logs.news(events) if logs else {},
                    }
                    self._reports.put(report)


class _Logs:
    """What trials have printed, read piece by piece as they train."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[int, int] = {}

    def news(self, events: list[ExecutorEvent]) -> dict[str, str]:
        """What is new since the last call in the logs of the trials that something has happened to."""
        indices = {event.index: isinstance(event, TrialEnded) for event in events if hasattr(event, "index")}
        return {str(index): self._news_of(index, ended=ended) for index, ended in indices.items()}

    def _news_of(self, index: int, *, ended: bool) -> str:
        path = self.folder / f"trial-{index:05d}.log"
        offset = self._read.get(index, 0)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                piece = file.read()
            if ended:
                path.unlink()
        except OSError:
            piece = b""  # the node's disk is full: the trial only loses its log
        self._read[index] = offset + len(piece)
        if ended:
            self._read.pop(index, None)
        return piece.decode(errors="replace")


def _write_files(order: Order, folder: Path) -> dict[str, str]:
    """Write the Python files that came along; gives their places here by their places there."""
    places = {name: str(folder / f"file-{number}" / Path(name).name) for number, name in enumerate(order.files)}
    for name, text in order.files.items():
        place = Path(places[name])
        place.parent.mkdir()
        place.write_text(text, encoding="utf-8")
    return places


def _at_home(setup: WorkerSetup, places: Mapping[str, str]) -> WorkerSetup:
    plugins = tuple(places[name] for name in setup.plugins)
    return replace(setup, first=_with_images_at_home(setup.first, places), plugins=plugins)


def _with_images_at_home(job: Job, places: Mapping[str, str]) -> Job:
    source = job.images.source
    return replace(job, images=replace(job.images, source=places.get(source, source)))
