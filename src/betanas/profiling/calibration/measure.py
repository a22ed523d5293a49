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

# Passes over all networks, each with some rounds. Networks are timed in turns, so that whatever else the machine does
# for a while meets a few calls of many networks and not all calls of one.
PASSES, ROUNDS = 3, 3

# A round: calls that bring a network's weights back into the caches, as in a program that answers one image after
# another, and then calls that count. So many at least, and more where they fit into so long: a small network's first
# calls take longest, and its times jump about.
WARM_UP, CALLS, SECONDS, MOST_CALLS = 1, 3, 0.002, 15

# Networks that are loaded at the same time.
TOGETHER = 16

FORMAT_VERSION = 1

# The reference network's file.
REFERENCE = "reference.onnx"

# A round's seconds of a call, and those of the reference network at that moment.
Round = tuple[float, float]


def time_in_turns(
    prepare: Callable[[int], Callable[[], object]],
    count: int,
    seconds: float,
    *,
    reference: Callable[[], Callable[[], object]],
    threads: int,
    together: int = TOGETHER,
    passes: int = PASSES,
    rounds_a_pass: int = ROUNDS,
) -> list[list[Round]]:
    """Time networks in turns, as many of `count` as the seconds allow.

    Several threads of a runtime wait for work by spinning, for some while after a call has ended. Then they would take
    the processor from the next network, so that with several threads one network is loaded at a time.

    Args:
        prepare: loads the network of a number; gives a call that runs it.
        count: networks there are.
        seconds: for everything, loading included.
        reference: loads a network that is timed again and again beside the others: it says how fast the machine is.
        threads: of the runtime, which decides the clock.
        together: networks that are loaded at the same time, and timed in turns.
        passes: over all networks.
        rounds_a_pass: of each network in a pass.

    Returns:
        For each network that the first pass reached in its share of the time, its rounds; a few have fewer where the
        machine slowed down afterwards.
    """
    started = time.perf_counter()
    clock = clock_for(threads)
    held = reference() if threads == 1 else None
    rounds: list[list[Round]] = []
    for turn in range(passes):
        until = started + seconds * (turn + 1) / passes
        if turn:
            count = len(rounds)
        for first in range(0, count, together):
            if time.perf_counter() > until and (turn or rounds):
                break
            numbers = range(first, min(first + together, count))
            if not turn:
                rounds.extend([] for _ in numbers)
            if held is None:
                for number in numbers:
                    beside = time_one(reference(), clock)
                    call = prepare(number)
                    rounds[number] += [(time_one(call, clock), beside) for _ in range(rounds_a_pass)]
                    del call  # and with it the threads, before the next one's begin
                continue
            calls = [prepare(number) for number in numbers]
            for _ in range(rounds_a_pass):
                before = time_one(held, clock)
                for call, number in zip(calls, numbers, strict=True):
                    seconds_of_call, after = time_one(call, clock), time_one(held, clock)
                    rounds[number].append((seconds_of_call, (before + after) / 2))
                    before = after
    return rounds


def clock_for(threads: int) -> Callable[[], float]:
    """The clock that calls are timed by.

    One thread is timed by the processor time it took, which is the time on the wall where nothing else runs, and leaves
    out the turns of other programs. Several threads wait for each other, which only the wall's clock sees. Windows
    counts a thread's time in steps that are too long.
    """
    return time.thread_time if threads == 1 and sys.platform != "win32" else time.perf_counter


def time_one(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """The median seconds of a round's calls."""
    _time_calls(call, clock, WARM_UP)
    return statistics.median(_time_calls(call, clock, CALLS))


def _time_calls(call: Callable[[], object], clock: Callable[[], float], least: int) -> list[float]:
    seconds: list[float] = []
    while len(seconds) < least or (len(seconds) < MOST_CALLS and sum(seconds) < SECONDS):
        before = clock()
        call()
        seconds.append(clock() - before)
    return seconds


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


def measured(blueprint: dict[str, Any], rounds: Sequence[Round]) -> dict[str, Any]:
    """A network's measurements as JSON."""
    seconds, beside = zip(*rounds, strict=True)
    return {"blueprint": blueprint, "rounds": list(seconds), "beside": list(beside)}


def document(
    networks: Sequence[dict[str, Any]],
    *,
    runtime: str,
    threads: int,
    batch_size: int,
    versions: dict[str, str],
) -> dict[str, Any]:
    """Measurements as JSON; each network has its `blueprint`, its `rounds` of seconds, and the reference's `beside`."""
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

    def load(file: Path) -> Callable[[], object]:
        return onnx_call(str(file), asked.threads, asked.batch_size)

    rounds = time_in_turns(
        lambda number: load(files[number]),
        len(files),
        asked.seconds,
        reference=lambda: load(Path(__file__).resolve().parent / REFERENCE),
        threads=asked.threads,
    )
    networks = []
    for file, found in zip(files, rounds, strict=False):  # as many as there was time for
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        described = session.get_modelmeta().custom_metadata_map["betanas"]
        networks.append(measured(json.loads(described), found))
    made = document(
        networks,
        runtime="onnxruntime",
        threads=asked.threads,
        batch_size=asked.batch_size,
        versions={"numpy": np.__version__, "onnxruntime": onnxruntime.__version__},
    )
    Path(asked.out).write_text(json.dumps(made), encoding="utf-8")
    sys.stdout.write(f"{len(rounds)} networks measured: {asked.out}\n")


if __name__ == "__main__":
    main()
