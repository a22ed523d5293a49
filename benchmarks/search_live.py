"""Searches side by side on CIFAR-100 at R=32, for equal wall-clock: what each finds, trained anew with fresh seeds.

    python benchmarks/search_live.py --data FOLDER [--time 20m] [--budget 20s] [--strategies gpei,multifidelity]
                                     [--seeds 0,1,2] [--fresh 5] [--place runs/live]

FOLDER holds train/<class>/*.png; test/ is not touched. Two strategies search at the same time, each on a core of its
own as a whole process, so that a machine that slows down slows both; with every seed they change cores. A search is
told --time and nothing else of how many trainings it may make. What it holds for the best is then trained --fresh times
with new seeds for the whole budget (`betanas confirm`): the accuracy of those is what is compared, in points between
the same seeds. Killed and started again, it goes on: a search that has ended is not repeated.

--quick tries it on digits with short searches and writes no record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from _record import spread, write_record
from betanas.intervals import mean_interval
from betanas.search.study import Study

DONE = "compared.json"


@dataclass(frozen=True)
class Search:
    """One search and where it is kept.

    Attributes:
        strategy: its name.
        seed: of the search, and so of the images it is judged by.
        core: that it and its trainings may use.
        study: its folder.
    """

    strategy: str
    seed: int
    core: int
    study: Path


def main() -> None:
    """Search by turns of two, compare, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="CIFAR-100 as an image folder")
    parser.add_argument("--time", default="20m")
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--strategies", default="gpei,multifidelity")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--fresh", type=int, default=5)
    parser.add_argument("--place", type=Path, default=Path("runs/live"))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.data, given.time, given.budget, given.seeds, given.fresh = "digits", "40s", "1s", "0", 2
    elif not given.data:
        parser.error("--data FOLDER is needed")
    strategies, seeds = given.strategies.split(","), [int(seed) for seed in given.seeds.split(",")]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < len(strategies):
        parser.error(f"{len(strategies)} searches at the same time need as many cores; there are {len(cores)}")
    runs: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in strategies}
    for seed in seeds:
        turn = [
            Search(name, seed, cores[(place + seed) % len(strategies)], given.place / f"{name}-{seed}")
            for place, name in enumerate(strategies)
        ]
        if not all((each.study / DONE).exists() for each in turn):
            together([partial(start_search, each, given) for each in turn])
            together([partial(start_confirmation, each, given) for each in turn])
        for each in turn:
            runs[each.strategy][seed] = outcome(each)
            print(each.strategy, seed, runs[each.strategy][seed], flush=True)
    if given.quick:
        return
    conditions = {
        "data": "the real CIFAR-100 as an image folder, R=32: 45,000 training and 5,000 validation images",
        "time": given.time,
        "budget": given.budget,
        "seeds": seeds,
        "fresh trainings": given.fresh,
        "cores of a search": 1,
    }
    write_record("search_live", conditions=conditions, figures=compared(runs, strategies[0]))


def together(starts: Sequence[Any]) -> None:
    """Start processes at the same time and wait for all.

    Raises:
        SystemExit: one of them failed.
    """
    processes = [start() for start in starts]
    if any([process.wait() for process in processes]):  # noqa: C419 - all are waited for
        raise SystemExit("A command failed: see above.")


def start_search(each: Search, given: argparse.Namespace) -> subprocess.Popen[bytes]:
    """A search that ends by its time; one that was interrupted is made anew, since its time has passed."""
    if each.study.exists():
        raise SystemExit(f"{each.study} holds a search that did not end: remove it, and start again.")
    options = ["--resolution", "16" if given.quick else "32", "--strategy", each.strategy, "--seed", str(each.seed)]
    options += ["--time", given.time, "--budget", given.budget, "--baselines", "none", "--space", "betanet3"]
    return command(each, "search", "--data", given.data, "--study", str(each.study), *options, "--devices", "cpu")


def start_confirmation(each: Search, given: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Fresh trainings of what the search holds for the best."""
    return command(each, "confirm", str(each.study), "--top", "1", "--seeds", str(given.fresh), "--devices", "cpu")


def command(each: Search, *words: str) -> subprocess.Popen[bytes]:
    """A command on the search's core, with its words in a file beside the study."""
    log = each.study.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "betanas", *words, "--threads", "1"],
            stdout=output,
            stderr=output,
            preexec_fn=partial(os.sched_setaffinity, 0, {each.core}),
        )


def outcome(each: Search) -> dict[str, Any]:
    """What a search found and did; written beside it, which marks it as done."""
    kept = each.study / DONE
    if not kept.exists():
        kept.write_text(json.dumps(read(each)))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def read(each: Search) -> dict[str, Any]:
    """The same from the study."""
    with Study.open(each.study) as study:
        held, found, trials = study.best("observed"), study.best(), study.trials()
        fresh = {one.trial: one.interval.mean for one in study.confirmations() if one.interval}
        seconds = sum(session.seconds for session in study.sessions()[:1])
    shares = [trial.share for trial in trials if trial.state == "completed"]
    return {
        "confirmed": found.accuracy,
        "leader's own trial": held.accuracy,
        "leader with fresh seeds": fresh.get(held.trial),
        "params": found.blueprint.num_params,
        "wall seconds of the search": seconds,
        "trials": len(trials),
        "completed by share of the budget": {f"{share:g}": shares.count(share) for share in sorted(set(shares))},
        "stopped early": sum(trial.state == "stopped" for trial in trials),
    }


def compared(runs: Mapping[str, Mapping[int, Mapping[str, Any]]], against: str) -> dict[str, Any]:
    """Every search, and the points of each strategy over the first one, seed by seed."""
    figures: dict[str, Any] = {"runs": runs, "confirmed": {}, f"points over {against}": {}}
    for name, some in runs.items():
        figures["confirmed"][name] = spread([run["confirmed"] for run in some.values()])
        if name != against:
            gains = [100 * (run["confirmed"] - runs[against][seed]["confirmed"]) for seed, run in some.items()]
            interval = mean_interval(gains)
            figures[f"points over {against}"][name] = {
                "each": gains,
                "mean": interval.mean,
                "interval": [interval.low, interval.high],
            }
    return figures


if __name__ == "__main__":
    main()
