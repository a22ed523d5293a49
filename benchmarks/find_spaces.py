"""`betanas find` in each space: what accuracy is judged at the end, and how exactly the time is kept.

    python benchmarks/find_spaces.py --cifar100 FOLDER --photos FOLDER [--times 2m,5m] [--seeds 0,1,2]
        [--spaces convnet,betanet3] [--place FOLDER]

Whole processes, one after another, timed from outside. digits and fashion-mnist are there always; CIFAR-100 is a folder
with train/<class>/*.png and test/<class>/*.png, the photographs a folder of class folders, best with a test part. The
spaces take turns, so that a change of the machine meets them alike. Killed and started again with the same place, it
goes on: a find that has ended is not repeated. A find that refuses a time is recorded with its message. `--quick` tries
it on digits with one seed and writes no record.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _finding import found
from _record import spread, write_record

SPACES = ("convnet", "betanet3")


def summed_up(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracy and time kept, over the seeds that came to an end."""
    ended = [run for run in runs if "failed" not in run]
    if not ended:
        return {"failed": [run["failed"] for run in runs]}
    return {
        "accuracy": spread([run["accuracy"] for run in ended]),
        "of_time": spread([run["of_time"] for run in ended]),
        "params": statistics.median(run["params"] for run in ended),
        "trials": statistics.median(run["trials"] for run in ended),
        "failed": [run["failed"] for run in runs if "failed" in run],
        "runs": list(runs),
    }


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--times", default="2m,5m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--spaces", default=",".join(SPACES))
    parser.add_argument("--place", type=Path, default=Path("runs/find-spaces"))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    data = {"digits": "digits", "fashion-mnist": "fashion-mnist"}
    data |= {name: str(folder) for name, folder in (("cifar100", given.cifar100), ("photos", given.photos)) if folder}
    times, seeds, spaces = (
        given.times.split(","),
        [int(seed) for seed in given.seeds.split(",")],
        given.spaces.split(","),
    )
    if given.quick:
        data, times, seeds = {"digits": "digits"}, times[:1], seeds[:1]
    figures: dict[str, Any] = {}
    for name, source in data.items():
        for length in times:
            runs: dict[str, list[dict[str, Any]]] = {space: [] for space in spaces}
            for seed in seeds:
                for space in spaces:
                    place = given.place / f"{name}-{length}-{space}-{seed}"
                    runs[space].append(found(source, length, seed, place, options=("--space", space)))
                    print(name, length, space, seed, runs[space][-1], flush=True)
            figures[f"{name} {length}"] = {space: summed_up(each) for space, each in runs.items()}
    if not given.quick:
        write_record(
            "find_spaces",
            conditions={"data": sorted(data), "times": times, "seeds": seeds, "spaces": spaces, "processes": "whole"},
            figures=figures,
        )


if __name__ == "__main__":
    main()
