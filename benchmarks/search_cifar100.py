"""The main job for real: a search on CIFAR-100 at R=32, killed with `kill -9` in the middle and resumed.

Usage: python benchmarks/search_cifar100.py --data FOLDER [--minutes 40] [--budget 20s] [--study runs/cifar100]

The folder holds train/<class>/*.png and test/<class>/*.png; the search reads the training part alone. The record keeps
the command, the study's status after the kill and at the end, and the trial history.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _record import write_record
from betanas.search.study import Study

# More than fit into the time: the search is ended by the clock.
_TRIALS = 400


def main() -> None:
    """Search, kill, resume, record."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--minutes", type=float, default=40.0)
    arguments.add_argument("--budget", default="20s")
    arguments.add_argument("--space", default="betanet3")
    arguments.add_argument("--study", default="runs/cifar100")
    arguments.add_argument("--name", default="search_cifar100")
    arguments.add_argument("--machine", default="nothing else ran", help="what else the machine did, for the record")
    given = arguments.parse_args()
    command = ["search", "--data", given.data, "--space", given.space, "--study", given.study, "--resolution", "32"]
    command += ["--budget", given.budget, "--trials", str(_TRIALS)]
    half = given.minutes * 30
    began = time.monotonic()
    first = subprocess.Popen([sys.executable, "-m", "betanas", *command])
    while first.poll() is None and time.monotonic() - began < half:
        time.sleep(1)
    # In the middle of a trial, not between two.
    while first.poll() is None and status(given.study)["trials"]["running"] == 0:
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    killed = status(given.study)
    second = subprocess.Popen([sys.executable, "-m", "betanas", "resume", given.study])
    while second.poll() is None and time.monotonic() - began < 2 * half:
        time.sleep(1)
    second.send_signal(signal.SIGINT)
    second.wait()
    end = status(given.study)
    with Study.open(given.study) as study:
        history = [
            {
                "trial": record.index,
                "origin": record.origin,
                "state": record.state,
                "accuracy": record.top1,
                "params": record.params,
                "attempts": record.attempts,
                "session": record.session,
                "training_seconds": record.training_seconds,
                "wall_seconds": record.wall_seconds,
            }
            for record in study.trials()
        ]
    write_record(
        given.name,
        conditions={
            "command": " ".join(["betanas", *command]).replace(given.data, "CIFAR100_FOLDER"),
            "minutes": given.minutes,
            "data": "the real CIFAR-100 as an image folder: 45,000 training and 5,000 validation images",
            "machine": given.machine,
            "exit_code_after_ctrl_c": second.returncode,
        },
        figures={"status_after_kill_9": tidy(killed), "status_at_the_end": tidy(end), "history": history},
    )


def status(study: str) -> dict[str, Any]:
    """The study's status; one without trials before the search has begun."""
    if not (Path(study) / "study.sqlite").exists():
        return {"trials": {"running": 0}}
    with Study.open(study) as opened:
        return opened.status()


def tidy(found: dict[str, Any]) -> dict[str, Any]:
    """The status without this machine's paths."""
    return {**found, "data": "CIFAR100_FOLDER"}


if __name__ == "__main__":
    main()
