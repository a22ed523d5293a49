"""`betanas find` with one strategy and another: what accuracy is judged at the end, paired by seed.

    python benchmarks/find_strategies.py [--cifar100 FOLDER] [--sets fashion-mnist:3m,cifar100:5m] [--seeds 0,1,2]
        [--strategies gpei,multifidelity] [--place FOLDER]

Whole processes, timed from outside. The strategies run at the same time, each on a core of its own, so that a machine
that slows down slows both; with every seed they change cores. digits and fashion-mnist are there always; CIFAR-100 is a
folder with train/<class>/*.png and test/<class>/*.png. Killed and started again with the same place, it goes on.

The rule, laid down before: `find` searches with the second strategy where the mean of the paired differences over all
sets and seeds is above zero with its whole 95% interval. `--quick` tries it on digits and writes no record.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from _finding import found, side_by_side
from _record import spread, write_record
from betanas.intervals import mean_interval


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path)
    parser.add_argument("--sets", default="fashion-mnist:3m,cifar100:5m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--strategies", default="gpei,multifidelity")
    parser.add_argument("--place", type=Path, default=Path("runs/find-strategies"))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    strategies, seeds = given.strategies.split(","), [int(seed) for seed in given.seeds.split(",")]
    sets = [tuple(each.split(":")) for each in given.sets.split(",")]
    if given.quick:
        sets, seeds = [("digits", "1m")], [0]
    if any(name == "cifar100" for name, _ in sets) and not given.cifar100:
        parser.error("--cifar100 FOLDER is needed")
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, length in sets:
        data = str(given.cifar100) if name == "cifar100" else name
        kept = runs.setdefault(f"{name} {length}", {strategy: [] for strategy in strategies})
        for seed in seeds:
            finds = {
                strategy: partial(
                    found,
                    data,
                    length,
                    seed,
                    given.place / f"{name}-{length}-{strategy}-{seed}",
                    options=("--strategy", strategy),
                )
                for strategy in strategies
            }
            for strategy, run in side_by_side(finds, seed).items():
                kept[strategy].append(run)
                print(name, length, seed, strategy, run, flush=True)
    first, second = strategies
    gains = {
        name: [
            100 * (other["accuracy"] - one["accuracy"])
            for one, other in zip(some[first], some[second], strict=True)
            if "failed" not in one and "failed" not in other
        ]
        for name, some in runs.items()
    }
    every = [gain for some in gains.values() for gain in some]
    overall = mean_interval(every)
    figures = {
        "runs": runs,
        f"points of {second} over {first}": {name: spread(some) for name, some in gains.items()},
        "all sets": {"mean": overall.mean, "interval": [overall.low, overall.high], "n": overall.n},
        "find should search with": second if overall.low > 0 else first,
    }
    print(figures["all sets"], figures["find should search with"], flush=True)
    if not given.quick:
        conditions = {"sets": [" ".join(each) for each in sets], "seeds": seeds, "cores of a find": 1}
        write_record("find_strategies", conditions={**conditions, "strategies": strategies}, figures=figures)


if __name__ == "__main__":
    main()
