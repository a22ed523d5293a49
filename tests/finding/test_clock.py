from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from betanas.finding.clock import Clock, process_began, seconds_used


def test_what_earlier_sessions_used_counts(tmp_path: Path) -> None:
    clock = Clock(100.0, time.monotonic() - 20.0)
    assert 120 <= clock.elapsed < 1000
    with clock.kept(tmp_path / "used.json"):
        assert seconds_used(tmp_path / "used.json") >= 120
    assert seconds_used(tmp_path / "used.json") <= clock.elapsed
    assert seconds_used(tmp_path / "nothing.json") == 0


def test_a_killed_process_leaves_the_time_it_used(tmp_path: Path) -> None:
    file = tmp_path / "used.json"
    script = f"""
import time
from pathlib import Path
from betanas.finding.clock import Clock
with Clock(5.0, time.monotonic()).kept(Path({str(file)!r})):
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    while seconds_used(file) < 6:
        time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert seconds_used(file) >= 6


def test_a_process_began_before_now() -> None:
    assert process_began() < time.monotonic()
