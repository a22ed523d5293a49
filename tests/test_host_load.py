from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from betanas.host_load import OthersLoad, ProcessorTimes

CORES = psutil.cpu_count() or 1


@pytest.mark.parametrize(
    ("seconds", "busy", "ours", "warned"),
    [
        (10, 0.9, 0.0, True),
        (10, 0.9, 0.8, False),  # it is this process that works
        (10, 0.2, 0.0, False),
        (0.5, 1.0, 0.0, False),  # too little has been seen
    ],
)
def test_other_programs_alone_are_warned_of(seconds: float, busy: float, ours: float, warned: bool) -> None:
    began = ProcessorTimes(1000.0, 500.0, 20.0)
    passed = seconds * CORES
    now = ProcessorTimes(began.all + passed, began.busy + busy * passed, began.ours + ours * passed)
    found = OthersLoad(began).warning(now)
    assert bool(found) == warned
    assert "90% of its processor" in found or not warned


def test_a_busy_program_is_seen() -> None:
    load = OthersLoad()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(CORES)]
    try:
        while (now := ProcessorTimes.now()).all - load.since.all < 3 * CORES:
            time.sleep(0.1)
    finally:
        for each in busy:
            each.kill()
            each.wait()
    assert load.warning(now)
