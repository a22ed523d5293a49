"""`betanas find` as a whole process, timed from outside, and measurements side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from betanas.training.budget import Budget


def found(
    data: str, length: str, seed: int, place: Path, *, options: Sequence[str] = (), checkout: Path | None = None
) -> dict[str, Any]:
    """One find, in a folder of its own; one that has ended there is read, not repeated.

    Args:
        data: the images.
        length: the time it is given.
        seed: of the search.
        place: its folder; the model is in `model` there.
        options: more of the command line.
        checkout: whose code runs; None is the one that is installed.

    Returns:
        What it found and how long it took, or `failed` with its last words.
    """
    kept = place / "timed.json"
    if kept.exists():
        done: dict[str, Any] = json.loads(kept.read_text())
        return done
    command = [sys.executable, "-m", "betanas", "find", data, "--time", length, "--to", str(place / "model")]
    own = {} if checkout is None else {"PYTHONPATH": str(checkout / "src")}
    begun = time.monotonic()
    answer = subprocess.run(
        [*command, *options, "--seed", str(seed), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **own},
    )
    wall = time.monotonic() - begun
    if answer.returncode != 0:
        return {"failed": answer.stderr.strip().splitlines()[-1] if answer.stderr else f"exit {answer.returncode}"}
    document = json.loads(answer.stdout)
    judged = document["judged_on"]
    timed = {
        "accuracy": document[f"{judged}_accuracy"],
        "judged_on": judged,
        "wall_seconds": wall,
        "of_time": wall / Budget.parse(length).amount,
        "params": document["params"],
        "trials": document["trials"],
        "network": document["network"],
    }
    place.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(timed))
    return timed


def side_by_side(measures: Mapping[str, Callable[[], dict[str, Any]]], turn: int) -> dict[str, dict[str, Any]]:
    """Measurements at the same time, each on a core of its own; with every turn they change cores.

    Raises:
        SystemExit: there are fewer cores.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(measures):
        raise SystemExit(f"{len(measures)} at the same time need as many cores; there are {len(cores)}")
    with ThreadPoolExecutor(len(measures)) as pool:
        begun = {
            name: pool.submit(_on_core, cores[(place + turn) % len(measures)], measure)
            for place, (name, measure) in enumerate(measures.items())
        }
        return {name: one.result() for name, one in begun.items()}


def _on_core(core: int, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A measurement whose processes all run on one core: they inherit what this thread may use."""
    os.sched_setaffinity(0, {core})
    return measure()
