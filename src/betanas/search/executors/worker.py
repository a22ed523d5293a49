"""A worker process: reads messages on standard input, trains, writes messages on what was standard output.

Started by the local executor as `python -m betanas.search.executors.worker`. It ends when the search that started it
ends, however that happens, and offers itself first when the machine runs out of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from betanas.errors import UserError
from betanas.lifetimes import die_with_parent
from betanas.search.executors.base import WorkerSetup
from betanas.search.executors.messages import Message, decode, encode, read_job, read_setup
from betanas.search.executors.process import Place
from betanas.search.executors.refusals import write_refusal
from betanas.training.result import CurvePoint

if TYPE_CHECKING:
    from betanas.search.executors.runner import TrialRunner

# How long a curve point waits for the search's verdict: while it computes a suggestion, training goes on without one.
_VERDICT_SECONDS = 5.0


def main() -> None:
    """The process's whole life."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--parent", type=int, required=True)
    arguments.add_argument("--cores", default="")
    arguments.add_argument("--rank", type=int, default=0)
    arguments.add_argument("--ranks", type=int, default=1)
    arguments.add_argument("--port", type=int)
    arguments.add_argument("--listening", type=int)
    given = arguments.parse_args()
    die_with_parent(given.parent)
    volunteer_for_the_oom_killer()
    if given.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in given.cores.split(",")})
    messages = _claim_standard_output()
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    _serve(messages, inbox, Place(given.rank, given.ranks, given.port, given.listening))


def volunteer_for_the_oom_killer() -> None:
    """Out of host memory, the worker is to be the victim, not the search."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _claim_standard_output() -> BinaryIO:
    """Keep the pipe to the search for messages alone: whatever a library prints goes to standard error."""
    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return pipe


def _listen(stream: BinaryIO, inbox: queue.Queue[Message]) -> None:
    for line in stream:
        inbox.put(decode(line))
    os._exit(1)  # the search is gone, or wants us gone


def _serve(pipe: BinaryIO, inbox: queue.Queue[Message], place: Place) -> None:
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:
            pipe.write(encode(message))

    setup, device, threads = read_setup(inbox.get()["body"])
    try:
        runner = _make_runner(setup, device, threads, place)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        send({"kind": "refused", "body": write_refusal(error)})
        return
    # What the libraries have made stays for good. To look through it for garbage after every trial took longer than
    # everything else between two trials (benchmarks/soak_workers.py).
    gc.collect()
    gc.freeze()
    send({"kind": "ready", "body": runner.device})
    while True:
        message = inbox.get()
        if message["kind"] != "job":
            continue  # a verdict that came after its trial had gone on without it
        assignment = read_job(message)

        def on_point(point: CurvePoint, index: int = assignment.index, attempt: int = assignment.attempt) -> bool:
            if place.rank > 0:
                return True  # the first process shows the search every point, and all obey its verdict
            body = {name: getattr(point, name) for name in CurvePoint.__dataclass_fields__}
            send({"kind": "point", "index": index, "attempt": attempt, "body": body})
            return _verdict(inbox, index, point.step) if setup.stoppable else True

        def on_clock(index: int = assignment.index, attempt: int = assignment.attempt) -> None:
            if place.rank == 0:
                send({"kind": "clocked", "index": index, "attempt": attempt})

        if place.rank == 0:
            send({"kind": "started", "index": assignment.index, "attempt": assignment.attempt, "body": runner.device})
        result = runner.run(assignment, on_point, on_clock)
        send({"kind": "ended", "index": assignment.index, "attempt": assignment.attempt, "body": result.to_dict()})


def _make_runner(setup: WorkerSetup, device: str, threads: int | None, place: Place) -> TrialRunner:
    """Load libraries and data, and meet the others that train with this process."""
    from betanas.search.executors.runner import TrialRunner

    if place.size == 1:
        return TrialRunner(setup, device=device, threads=threads)
    from betanas.training.distributed import meet_processes

    processes = meet_processes(
        place.rank,
        place.size,
        port=place.port or 0,
        listening=place.listening,
        compression=setup.compression,
        device=device,
    )
    return TrialRunner(setup, device=str(processes.device), threads=threads, processes=processes)


def _verdict(inbox: queue.Queue[Message], index: int, step: int) -> bool:
    """Whether to go on after a curve point: waits a while for its own answer, and obeys a late one to another."""
    deadline = time.monotonic() + _VERDICT_SECONDS
    with contextlib.suppress(queue.Empty):
        while True:
            answer = inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            if answer["kind"] != "answer" or answer["index"] != index:
                continue
            if not answer["body"]["go_on"]:
                return False
            if answer["body"]["step"] == step:
                return True
    return True


if __name__ == "__main__":
    main()
