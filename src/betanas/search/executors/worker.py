"""A worker process: reads messages on standard input, trains, writes messages on what was standard output.

Started by the local executor as `python -m betanas.search.executors.worker`. It ends when the search that started it
ends, however that happens, and offers itself first when the machine runs out of memory.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import BinaryIO

from betanas.errors import UserError
from betanas.search.executors.messages import Message, decode, encode, read_job, read_setup
from betanas.training.result import CurvePoint

# How long a curve point waits for the search's verdict; training goes on without one.
_VERDICT_SECONDS = 10.0

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """The process's whole life."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--parent", type=int, required=True)
    arguments.add_argument("--cores", default="")
    given = arguments.parse_args()
    die_with_parent(given.parent)
    volunteer_for_the_oom_killer()
    if given.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in given.cores.split(",")})
    messages = _claim_standard_output()
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    _serve(messages, inbox)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (Linux); elsewhere the end of standard input does it."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


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


def _serve(pipe: BinaryIO, inbox: queue.Queue[Message]) -> None:
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:
            pipe.write(encode(message))

    setup, device, threads = read_setup(inbox.get()["body"])
    try:
        from betanas.search.executors.runner import TrialRunner

        runner = TrialRunner(setup, device=device, threads=threads)
    except UserError as error:
        body = {
            "type": type(error).__name__,
            "rule": error.rule,
            "value": str(error.value),
            "hint": error.hint,
        }
        send({"kind": "refused", "body": body})
        return
    except Exception as error:
        traceback.print_exc()
        body = {
            "type": "",
            "rule": f"A worker could not start: {type(error).__name__}: {error}",
            "value": "",
            "hint": "",
        }
        send({"kind": "refused", "body": body})
        return
    send({"kind": "ready", "body": runner.device})
    while True:
        message = inbox.get()
        if message["kind"] != "job":
            continue  # a verdict that came after its trial had gone on without it
        job = read_job(message)

        def on_point(point: CurvePoint, index: int = job.index, attempt: int = job.attempt) -> bool:
            body = {name: getattr(point, name) for name in CurvePoint.__dataclass_fields__}
            send({"kind": "point", "index": index, "attempt": attempt, "body": body})
            return _verdict(inbox, index) if setup.stoppable else True

        send({"kind": "started", "index": job.index, "attempt": job.attempt, "body": runner.device})
        result = runner.run(job, on_point)
        send({"kind": "ended", "index": job.index, "attempt": job.attempt, "body": result.to_dict()})


def _verdict(inbox: queue.Queue[Message], index: int) -> bool:
    with contextlib.suppress(queue.Empty):
        answer = inbox.get(timeout=_VERDICT_SECONDS)
        if answer["kind"] == "answer" and answer["index"] == index:
            return bool(answer["body"])
    return True


if __name__ == "__main__":
    main()
