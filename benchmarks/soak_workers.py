"""How busy a search keeps its workers, and whether its memory stays flat: 1,000 trials of one second, 40 of 20 s.

    python benchmarks/soak_workers.py [--runs sobol-1s sobol-20s gpei-1s gpei-20s] [--workers 2] [--quick]

Real `betanas search` processes on digits at 16 pixels. A worker is busy while it is at work on a trial: from before it
builds the network to its result, as the trial's own `wall_seconds` say (a monotonic clock in the worker). That holds
the budget itself (`training_seconds`) and what a trial needs beside it: building, a warm-up on throw-away state and the
evaluations, none of which count against the budget. Not in it, and so idle time: the result's way to the search, its
commit, the next suggestion, its commit, the job's way to the worker, tidying up between two trials.

The busy share is the sum of that over the workers' seconds in a window from the moment when every worker had been given
its first trial to the moment when the last trial was given out; before it libraries are loaded, after it there is no
work left for whoever ends first. A trial that lies in the window in part counts in part. The training share counts the
budgets alone. Bars: busy at least 90% at 1 s and 98% at 20 s, by `sobol`, which takes no time to suggest; `gpei` is
stated beside it, since on a processor a suggestion waits for no worker but its own (two cores, two workers: the core it
is computed on is the one that waits).

Memory is the search process's resident size after every hundredth trial (workers are processes of their own). Bar: from
the second sample to the last it grows by less than 5%.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from _record import spread, write_record
from betanas.search.records import TrialRecord
from betanas.search.study import Study

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        strategy: who suggests.
        budget: of a trial.
        trials: how many.
        bar: the least busy share; None where it is only stated.
        sample: trials between two looks at the memory.
    """

    strategy: str
    budget: str
    trials: int
    bar: float | None = None
    sample: int = 100


RUNS = {
    "sobol-1s": Run("sobol", "1s", 1000, 0.90),
    "sobol-20s": Run("sobol", "20s", 40, 0.98),
    "gpei-1s": Run("gpei", "1s", 300),
    "gpei-20s": Run("gpei", "20s", 40),
}
QUICK = {
    "sobol-1s": Run("sobol", "1s", 24, 0.90, sample=6),
    "gpei-1s": Run("gpei", "1s", 24, sample=6),
}
_MOST_GROWTH = 0.05


def search(run: Run, study: Path, workers: int) -> list[dict[str, float]]:
    """Run it in a process of its own; that process's memory as the trials went on."""
    command = [sys.executable, "-m", "betanas", "search", "--data", "digits", "--space", "betanet3"]
    command += ["--study", str(study), "--resolution", "16", "--budget", run.budget, "--trials", str(run.trials)]
    command += ["--strategy", run.strategy, "--workers", str(workers), "--max-params", "500K", "--baselines", "none"]
    samples: list[dict[str, float]] = []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen = psutil.Process(process.pid)
    while process.poll() is None:
        time.sleep(_LOOK_SECONDS)
        ended = trials_ended(study / "study.sqlite")
        if ended >= run.sample * (len(samples) + 1):
            with contextlib.suppress(psutil.Error):
                samples.append({"trials": ended, "MiB": round(seen.memory_info().rss / 2**20, 1)})
    if process.returncode:
        raise SystemExit(f"the search ended with exit code {process.returncode}")
    return samples


def trials_ended(database: Path) -> int:
    """A light look at how far the search is."""
    if not database.exists():
        return 0
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return int(connection.execute("SELECT count(*) FROM trials WHERE state != 'running'").fetchone()[0])
    return 0


def shares(records: list[TrialRecord], workers: int) -> dict[str, Any]:
    """How busy the workers were; the window and the shares are the module's."""
    spans = []
    for record in records:
        if record.started is None or record.ended is None or record.wall_seconds is None:
            raise SystemExit(f"trial {record.index} has no times")
        spans.append((record.started.timestamp(), record.ended.timestamp(), record.wall_seconds))
    starts = sorted(started for started, _, _ in spans)
    opens, closes = starts[workers - 1], starts[-1]
    busy = training = 0.0
    for (_, ended, wall), record in zip(spans, records, strict=True):
        inside = max(0.0, min(ended, closes) - max(ended - wall, opens))
        busy += inside
        training += (record.training_seconds or 0.0) * inside / wall
    available = workers * (closes - opens)
    return {
        "busy share": busy / available,
        "training share": training / available,
        "window seconds": closes - opens,
        "seconds of a trial beside its budget": spread(
            [(record.wall_seconds or 0.0) - (record.training_seconds or 0.0) for record in records]
        ),
        "seconds of a trial between search and worker": spread(
            [ended - started - wall for started, ended, wall in spans]
        ),
    }


def measure(run: Run, folder: Path, workers: int) -> dict[str, Any]:
    """One search's figures."""
    began = time.monotonic()
    samples = search(run, folder, workers)
    wall = time.monotonic() - began
    with Study.open(folder) as study:
        records = [record for record in study.trials() if record.repeat_of is None]
    states = {state: sum(record.state == state for record in records) for state in {r.state for r in records}}
    found = shares([record for record in records if record.state == "completed"], workers)
    sizes = [sample["MiB"] for sample in samples]
    growth = sizes[-1] / sizes[1] - 1 if len(sizes) > 2 else None
    bars: dict[str, bool] = {"all trials completed": states == {"completed": run.trials}}
    if run.bar is not None:
        bars[f"busy at least {run.bar:.0%}"] = found["busy share"] >= run.bar
        if growth is not None:
            bars["memory flat"] = growth < _MOST_GROWTH
    return {
        "trials": states,
        "seconds from the command to its end": wall,
        "training share of all of them": sum(record.training_seconds or 0.0 for record in records) / (workers * wall),
        **found,
        "search's resident MiB": samples,
        "its growth from the second sample to the last": growth,
        "its median": statistics.median(sizes) if sizes else None,
        "bars": bars,
    }


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", nargs="+", choices=sorted(RUNS), default=list(RUNS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two short searches, a record under another name")
    parser.add_argument("--machine", default="nothing else ran", help="what else the machine did, for the record")
    given = parser.parse_args()
    runs = QUICK if given.quick else {name: RUNS[name] for name in given.runs}
    with tempfile.TemporaryDirectory(prefix="betanas-soak-") as folder:
        figures = {name: measure(run, Path(folder) / name, given.workers) for name, run in runs.items()}
    write_record(
        "soak_workers_quick" if given.quick else "soak_workers",
        conditions={
            "workers": given.workers,
            "data": "digits at 16 pixels, betanet3 up to 500K parameters",
            "busy": "at work on a trial: building, warm-up, training within the budget, evaluations",
            "machine": given.machine,
        },
        figures=figures,
    )
    sys.exit(0 if all(all(one["bars"].values()) for one in figures.values()) else 1)


if __name__ == "__main__":
    main()
