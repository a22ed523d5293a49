"""Where the wall-clock of a search goes beside training, on two cores.

    python benchmarks/search_overhead.py --cifar100 FOLDER [--trials 7] [--budget 20s] [--initial 4] [--quick]

FOLDER holds CIFAR-100 as train/<class>/*.png. One search at R=32 with all cores for each trial, as a person starts it;
its model takes over after --initial trials, so that suggestions of both kinds are among them. The parts of each trial's
wall-clock, from one trial's end to the next one's:

- training: what the budget counts;
- preparation: building the network and the steps before the clock;
- evaluation: the rest of what the worker does, nearly all of it looking at validation images;
- suggestion: from the question to the candidate;
- hand-over: everything else: messages, the store, the network as data, and printing.

The bar, at most 8% outside training, is for all five together; the seconds before the first trial and after the last
one are stated beside it. The ratio of each trial's parts is taken within the trial. `--quick` tries it on digits and
writes no record.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _record import spread, write_record
from betanas.data.cores import let_threads_sleep
from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord
from betanas.search.run import search
from betanas.training.budget import Budget

BAR = 0.08
PARTS = ("preparation", "evaluation", "suggestion", "hand-over")


@dataclass
class Watch(SearchListener):
    """Notes when what happened, by this process's clock."""

    first: float = 0.0
    asked: float = 0.0
    thought: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)

    def on_suggesting(self) -> None:
        """See `SearchListener`."""
        self.asked = time.monotonic()
        self.first = self.first or self.asked

    def on_trial_started(self, record: TrialRecord) -> None:
        """See `SearchListener`."""
        self.thought.append(time.monotonic() - self.asked)

    def on_trial_ended(self, record: TrialRecord) -> None:
        """See `SearchListener`."""
        self.ended.append(time.monotonic())
        self.records.append(record)
        print(f"trial {record.index}: {record.state} {record.top1} in {record.wall_seconds or 0:.1f} s", flush=True)

    def parts(self, place: int) -> dict[str, float]:
        """Seconds of each part of a trial, with what lies between the trial before and it."""
        record = self.records[place]
        training = record.training_seconds or 0.0
        preparation, worked = record.preparation_seconds or 0.0, record.wall_seconds or 0.0
        since = self.ended[place - 1] if place else self.first
        thought = self.thought[place]
        return {
            "training": training,
            "preparation": preparation,
            "evaluation": worked - preparation - training,
            "suggestion": thought,
            "hand-over": self.ended[place] - since - thought - worked,
        }


def main() -> None:
    """Search, and say where the time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path)
    parser.add_argument("--trials", type=int, default=7)
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--initial", type=int, default=4, help="trials after which the model suggests")
    parser.add_argument("--space", default="betanet3")
    parser.add_argument("--name", default="search_overhead", help="of the record")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if not given.quick and given.cifar100 is None:
        parser.error("--cifar100 FOLDER is needed")
    data, budget = ("digits", "1s") if given.quick else (str(given.cifar100), given.budget)
    let_threads_sleep()
    watch, began = Watch(), time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        search(
            data=data,
            space=given.space,
            study=str(Path(place) / "study"),
            resolution=16 if given.quick else 32,
            budget=budget,
            trials=given.trials,
            strategy_options={"initial": given.initial},
            baselines="none",
            devices="cpu",
            listener=watch,
        ).close()
    wall = time.monotonic() - began
    figures = summed_up(watch, began=began, wall=wall, budget=Budget.parse(budget).amount)
    if given.quick:
        print(figures)
        return
    write_record(
        given.name,
        conditions={
            "cores": len(os.sched_getaffinity(0)),
            "images": "CIFAR-100 at 32 pixels, 5,000 of them for validation",
            "space": given.space,
            "budget": budget,
            "trials": given.trials,
            "model from trial": given.initial,
        },
        figures=figures,
    )


def summed_up(watch: Watch, *, began: float, wall: float, budget: float) -> dict[str, Any]:
    """What the parts take of the wall-clock between the first question and the last trial's end."""
    rows = [watch.parts(place) for place in range(len(watch.records))]
    cycles = [sum(row.values()) for row in rows]
    outside = [1 - row["training"] / cycle for row, cycle in zip(rows, cycles, strict=True)]
    whole = 1 - sum(row["training"] for row in rows) / sum(cycles)
    return {
        "outside training": {"share": whole, "bar": BAR, "held": whole <= BAR, "of each trial": spread(outside)},
        "share of each part": {part: sum(row[part] for row in rows) / sum(cycles) for part in PARTS},
        "seconds of each part": {part: spread([row[part] for row in rows]) for part in PARTS},
        "seconds of wall-clock a trial": spread(cycles),
        "seconds before the first question": watch.first - began,
        "seconds after the last trial": wall - (watch.ended[-1] - began),
        "budget in seconds": budget,
    }


if __name__ == "__main__":
    main()
