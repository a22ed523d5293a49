#!/usr/bin/env python3
"""Time a folder of ONNX networks on this device. Needs Python 3.10 or newer, numpy and onnxruntime, and no BetaNAS.

`betanas profile --calibrate --for-device FOLDER` writes this file beside a folder `networks`. Copy both to the device,
let it do nothing else, and type

    python measure.py

It writes measurements.json within two minutes, of which BetaNAS makes a table:
betanas profile --calibrate --from measurements.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Passes over all networks, each with some rounds of some calls. Networks are timed in turns, so that whatever else the
# machine does for a while meets a few calls of many networks and not all calls of one.
PASSES, ROUNDS, CALLS = 3, 2, 3

# Networks that are loaded at the same time.
TOGETHER = 16

FORMAT_VERSION = 1


def time_in_turns(
    prepare: Callable[[int], Callable[[], object]],
    count: int,
    seconds: float,
    *,
    threads: int,
    together: int = TOGETHER,
) -> list[list[float]]:
    """Time networks in turns, as many of `count` as the seconds allow.

    Args:
        prepare: loads the network of a number; gives a call that runs it.
        count: networks there are.
        seconds: for everything, loading included.
        threads: of the runtime, which decides the clock.
        together: networks that are loaded at the same time.

    Returns:
        For each network that the first pass reached in a third of the time, the median seconds of a call, round by
        round; a few have fewer rounds where the machine slowed down afterwards.
    """
    started = time.perf_counter()
    rounds: list[list[float]] = []
    for turn in range(PASSES):
        until = started + seconds * (turn + 1) / PASSES
        if turn:
            count = len(rounds)
        for first in range(0, count, together):
            if time.perf_counter() > until and (turn or rounds):
                break
            numbers = range(first, min(first + together, count))
            if not turn:
                rounds.extend([] for _ in numbers)
            calls, found = [prepare(number) for number in numbers], [rounds[number] for number in numbers]
            _time_some(calls, found, clock_for(threads))
    return rounds


def clock_for(threads: int) -> Callable[[], float]:
    """The clock that calls are timed by.

    One thread is timed by the processor time it took, which is the time on the wall where nothing else runs, and leaves
    out the turns of other programs. Several threads wait for each other, which only the wall's clock sees. Windows
    counts a thread's time in steps that are too long.
    """
    return time.thread_time if threads == 1 and sys.platform != "win32" else time.perf_counter


def _time_some(
    calls: Sequence[Callable[[], object]], rounds: Sequence[list[float]], clock: Callable[[], float]
) -> None:
    for call in calls:
        call()
    for _ in range(ROUNDS):
        for call, found in zip(calls, rounds, strict=True):
            call()  # brings its weights back into the caches, as in a program that answers one image after another
            seconds = []
            for _ in range(CALLS):
                before = clock()
                call()
                seconds.append(clock() - before)
            found.append(statistics.median(seconds))


def typical(rounds: Sequence[float]) -> float:
    """A network's time: the median of its rounds, which is what a person measures and compares a prediction with."""
    return statistics.median(rounds)


def onnx_call(model: Any, threads: int, batch_size: int) -> Callable[[], object]:
    """A call that runs a network, from its file's path or bytes, on a batch of random images."""
    import numpy as np
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, sess_options=settings, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    images = np.random.default_rng(0).random((batch_size, *entry.shape[1:]), dtype=np.float32)
    return lambda: session.run(None, {entry.name: images})


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        for name, value in lines.items():
            if name.strip() in ("model name", "Model", "Hardware"):
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def document(
    networks: Sequence[dict[str, Any]],
    *,
    runtime: str,
    threads: int,
    batch_size: int,
    versions: dict[str, str],
) -> dict[str, Any]:
    """Measurements as JSON; each network has its `blueprint` and its `rounds` of seconds."""
    return {
        "format": FORMAT_VERSION,
        "runtime": runtime,
        "threads": threads,
        "batch_size": batch_size,
        "processor": processor(),
        "versions": {"python": platform.python_version(), **versions},
        "measured": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "networks": list(networks),
    }


def main() -> None:
    """Time the networks beside this file."""
    parser = argparse.ArgumentParser(description="Time the networks beside this file, for a latency table of BetaNAS.")
    parser.add_argument("--threads", type=int, default=1, help="of onnxruntime (1)")
    parser.add_argument("--batch-size", type=int, default=1, help="images an answer (1)")
    parser.add_argument("--seconds", type=float, default=110.0, help="how long to measure (110)")
    parser.add_argument("--out", default="measurements.json", help="where to write (measurements.json)")
    asked = parser.parse_args()
    files = sorted((Path(__file__).resolve().parent / "networks").glob("*.onnx"))
    if not files:
        parser.error("there is no folder networks with ONNX files beside this file")
    try:
        import numpy as np
        import onnxruntime
    except ImportError as error:
        parser.error(f"numpy and onnxruntime must be installed ({error})")

    def prepare(number: int) -> Callable[[], object]:
        return onnx_call(str(files[number]), asked.threads, asked.batch_size)

    rounds = time_in_turns(prepare, len(files), asked.seconds, threads=asked.threads)
    networks = []
    for file, seconds in zip(files, rounds, strict=False):  # as many as there was time for
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        described = session.get_modelmeta().custom_metadata_map["betanas"]
        networks.append({"blueprint": json.loads(described), "rounds": seconds})
    found = document(
        networks,
        runtime="onnxruntime",
        threads=asked.threads,
        batch_size=asked.batch_size,
        versions={"numpy": np.__version__, "onnxruntime": onnxruntime.__version__},
    )
    Path(asked.out).write_text(json.dumps(found), encoding="utf-8")
    sys.stdout.write(f"{len(rounds)} networks measured: {asked.out}\n")


if __name__ == "__main__":
    main()
