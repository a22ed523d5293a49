"""`betanas find` beside an earlier version of itself, and beside plain networks that train for all of its time.

    python benchmarks/find_beside.py --before CHECKOUT [--cifar100 FOLDER] [--photos FOLDER]
        [--sets digits:1m,fashion-mnist:3m,cifar100:5m,photos:2m] [--seeds 0,1,2] [--place FOLDER]

Whole processes on one core each. Both versions run at the same time, each on a core of its own, and with every seed
they change cores; then the plain networks train at the same time, by `betanas train` with the same seed and the
resolution that the find chose, for as many seconds as the whole find had: the start of a process, the search, the
export and its check are on the side of the plain networks. The test part is judged once by each. digits and
fashion-mnist are there always; CIFAR-100 and the photographs are folders of class folders with a test part. Killed and
started again with the same place, it goes on. `--quick` tries it on digits and writes no record.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from _finding import found, side_by_side
from _record import write_record
from betanas.intervals import mean_interval

PLAIN = ("plain4", "plain6")
NOW, BEFORE = "now", "before"


def plain(name: str, data: str, length: str, seed: int, place: Path, resolution: int) -> dict[str, Any]:
    """A plain network's test accuracy after all of the time; one that has been trained is read."""
    kept = place / "trained.json"
    if not kept.exists():
        options = ["--data", data, "--resolution", str(resolution), "--budget", length, "--seed", str(seed)]
        command = ["train", name, "--folder", str(place / "training"), *options, "--device", "cpu", "--json"]
        answer = subprocess.run([sys.executable, "-m", "betanas", *command], capture_output=True, text=True, check=True)
        document = json.loads(answer.stdout)
        place.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"accuracy": document["test_top1"], "epochs": document["epochs"]}))
    trained: dict[str, Any] = json.loads(kept.read_text())
    return trained


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--cifar100", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--sets", default="digits:1m,fashion-mnist:3m,cifar100:5m,photos:2m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--place", type=Path, default=Path("runs/find-beside"))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    folders = {"cifar100": given.cifar100, "photos": given.photos}
    sets = [("digits", "1m")] if given.quick else [tuple(each.split(":")) for each in given.sets.split(",")]
    seeds = [0] if given.quick else [int(seed) for seed in given.seeds.split(",")]
    if missing := [name for name, _ in sets if name in folders and folders[name] is None]:
        parser.error(f"--{missing[0]} FOLDER is needed")
    checkouts = {NOW: Path(__file__).parents[1], BEFORE: given.before.absolute()}
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for seed in seeds:
        for name, length in sets:
            data, place = str(folders.get(name, name)), given.place / f"{name}-{length}-{seed}"
            finds = {
                version: partial(found, data, length, seed, place / version, checkout=checkout)
                for version, checkout in checkouts.items()
            }
            measured = side_by_side(finds, seed)
            side = json.loads((place / NOW / "model" / "find.json").read_text())["resolution"]
            rivals = {each: partial(plain, each, data, length, seed, place / each, side) for each in PLAIN}
            measured |= side_by_side(rivals, seed)
            kept = runs.setdefault(f"{name} {length}", {each: [] for each in measured})
            for each, run in measured.items():
                kept[each].append(run)
                print(name, length, seed, each, run, flush=True)
    figures = {"runs": runs, "points of now over": {each: gained(runs, each) for each in (BEFORE, *PLAIN)}}
    print(json.dumps(figures["points of now over"], indent=1))
    if not given.quick:
        conditions = {"sets": [" ".join(each) for each in sets], "seeds": seeds, "cores of each": 1}
        write_record("find_beside", conditions={**conditions, "before": _commit(given.before)}, figures=figures)


def gained(runs: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], other: str) -> dict[str, Any]:
    """Points that the find has now beyond another one's, seed by seed, for each set and over all."""
    found = {
        name: [
            100 * (one["accuracy"] - two["accuracy"])
            for one, two in zip(some[NOW], some[other], strict=True)
            if "failed" not in one and "failed" not in two
        ]
        for name, some in runs.items()
    }
    overall = mean_interval([gain for some in found.values() for gain in some])
    return {**found, "all": {"mean": overall.mean, "interval": [overall.low, overall.high], "n": overall.n}}


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
