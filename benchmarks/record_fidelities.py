"""Records what short, annealed trainings say of long ones: CIFAR-100 at a sixteenth to the whole of 20 seconds.

    python benchmarks/record_fidelities.py speeds --data FOLDER [--part 0/2]
    python benchmarks/record_fidelities.py train --data FOLDER [--part 0/2] [--hours 2]
    python benchmarks/record_fidelities.py gather

FOLDER holds train/<class>/*.png; networks are judged on 5,000 of those images, and test/ is not touched. The vectors
are those of the recorded trials of both presets, and the best of the real searches, so that the recording knows the
region where searches go.

A budget in seconds means something on an undisturbed core alone. `speeds` therefore measures, on a machine at rest and
with one thread, how many steps of the recipe `fast` each network makes in a second; `train` trains for the number of
steps that each share of 20 seconds would have held, which gives the same accuracies on a machine that does other things
besides. Each share is a training of its own, whose schedule is annealed to its end.

Both go on where they stood when they are started again. Several processes divide the work: --part 0/2 and --part 1/2.
`gather` writes what is there into benchmarks/data/fidelities_cifar100.jsonl, one training a line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _replay import REAL_SEARCHES, RECORDINGS, RESOLUTION, problem
from betanas.blueprint import Blueprint
from betanas.data.images import Splits
from betanas.files import write_atomically
from betanas.search.simulation.recording import read_recordings
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.job import JobImages
from betanas.training.recipe import load_recipe
from betanas.training.trainer import Trainer

RECORDING = Path(__file__).parent / "data" / "fidelities_cifar100.jsonl"

TARGET = 20.0  # seconds of one core
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
SMALLER = (16, 24)  # resolutions at which some vectors are trained for the whole time

EACH_PRESET, OF_REAL = 60, 30
REPEATED, SEEDS, AT_SMALLER = 12, 3, 40

# Seconds of the speed measurement: with the smaller images at its start, in the same parts as of any budget.
MEASURED = 1.5


@dataclass(frozen=True)
class Training:
    """One training to record: a vector, its image side, the share of the target and the seed."""

    vector: int
    resolution: int
    share: float
    seed: int

    @property
    def key(self) -> str:
        """What tells it apart."""
        return f"{self.vector}, {self.resolution} px, {self.share:g}, seed {self.seed}"


@dataclass(frozen=True)
class Candidate:
    """A vector and where it comes from: a preset, or the real searches."""

    preset: str
    vector: Mapping[str, float]

    def blueprint(self, resolution: int) -> Blueprint:
        """Its network."""
        one = problem("default").space
        return one.blueprint(self.vector, resolution=resolution, num_classes=100, in_channels=3)


def candidates() -> list[Candidate]:
    """The vectors, those of the presets and of the real searches by turns."""
    unique = list({tuple(each.vector.values()): each.vector for each in read_recordings(RECORDINGS)}.values())
    half = len(unique) // 2
    searches = json.loads(REAL_SEARCHES.read_text(encoding="utf-8"))["searches"]
    trials = [trial for search in searches.values() for trial in search["trials"] if trial["state"] == "completed"]
    best = {tuple(each["vector"].values()): each["vector"] for each in sorted(trials, key=lambda one: -one["accuracy"])}
    default = [Candidate("default", each) for each in unique[:EACH_PRESET]]
    table1 = [Candidate("table1", each) for each in unique[half : half + EACH_PRESET]]
    real = [Candidate("real", each) for each in list(best.values())[:OF_REAL]]
    found: list[Candidate] = []
    for turn in range(OF_REAL):
        found += [*default[2 * turn : 2 * turn + 2], *table1[2 * turn : 2 * turn + 2], real[turn]]
    return found


def trainings(count: int) -> Iterator[Training]:
    """What is trained, in an order that leaves a balanced recording wherever it ends."""
    first = count * 2 // 5
    for vector in range(first):
        yield from (Training(vector, RESOLUTION, share, 0) for share in SHARES)
    for seed in range(1, SEEDS):
        yield from (Training(vector, RESOLUTION, share, seed) for vector in range(REPEATED) for share in SHARES)
    for vector in range(AT_SMALLER):
        yield from (Training(vector, side, 1.0, 0) for side in SMALLER)
    for vector in range(first, count):
        yield from (Training(vector, RESOLUTION, share, 0) for share in SHARES)


class Lines:
    """A file of JSON lines that several runs add to."""

    def __init__(self, folder: Path, name: str, part: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}-{part}.jsonl"
        self.known: dict[str, dict[str, Any]] = {}
        for file in folder.glob(f"{name}-*.jsonl"):
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.known[row["key"]] = row

    def add(self, key: str, **values: Any) -> None:
        """Write one more, at once."""
        self.known[key] = {"key": key, **values}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.known[key]) + "\n")
        print(key, {name: value for name, value in values.items() if name != "vector"}, flush=True)


def engines(data: str, *, few: bool) -> Mapping[int, TrialEngine]:
    """An engine for each resolution, with one thread; with `few` validation images where only steps count."""
    trainer = Trainer(device="cpu", threads=1)
    fingerprint = _fingerprint(data)
    recipe = load_recipe("fast").with_settings(evaluations=1)
    found = {}
    for side in (RESOLUTION, *SMALLER):
        splits = trainer.divided(JobImages(data, fingerprint, side))
        assert isinstance(splits, Splits)
        if few:
            import torch

            splits = Splits(splits.train, splits.validation.subset(torch.arange(100)), splits.classes)
        found[side] = TrialEngine(splits, resolution=side, recipe=recipe, device="cpu", threads=1)
    return found


def _fingerprint(data: str) -> str:
    from betanas.data import open_source

    return open_source(data).fingerprint


def measure_speeds(data: str, runs: Path, part: int, parts: int) -> None:
    """Steps a second of each network."""
    lines, given = Lines(runs, "speeds", part), engines(data, few=True)
    wanted = [(vector, RESOLUTION) for vector in range(len(candidates()))]
    wanted += [(vector, side) for vector in range(AT_SMALLER) for side in SMALLER]
    for vector, side in wanted[part::parts]:
        key = speed_key(vector, side)
        if key not in lines.known:
            blueprint = candidates()[vector].blueprint(side)
            result = given[side].run(blueprint, budget=Budget(MEASURED, "seconds"), seed=0)
            lines.add(key, rate=result.steps / result.training_seconds, steps=result.steps, outcome=result.outcome)


def speed_key(vector: int, side: int) -> str:
    """What a speed is called."""
    return f"{vector}, {side} px"


def train(data: str, runs: Path, part: int, parts: int, hours: float) -> None:
    """Train what is missing until the time is over."""
    began, lines, given = time.monotonic(), Lines(runs, "trainings", part), engines(data, few=False)
    speeds, found = Lines(runs, "speeds", part).known, candidates()
    for one in list(trainings(len(found)))[part::parts]:
        if time.monotonic() - began > hours * 3600:
            return
        if one.key in lines.known:
            continue
        steps = max(1, round(speeds[speed_key(one.vector, one.resolution)]["rate"] * TARGET * one.share))
        candidate = found[one.vector]
        blueprint = candidate.blueprint(one.resolution)
        result = given[one.resolution].run(blueprint, budget=Budget(steps, "steps"), seed=1000 * one.seed + one.vector)
        lines.add(
            one.key,
            vector=dict(candidate.vector),
            preset=candidate.preset,
            resolution=one.resolution,
            share=one.share,
            steps=steps,
            seconds=TARGET * one.share,
            top1=result.top1,
            params=blueprint.num_params,
            seed=one.seed,
            outcome=result.outcome,
        )


def gather(runs: Path) -> None:
    """Write everything that completed into the recording."""
    rows = [row for row in Lines(runs, "trainings", 0).known.values() if row["outcome"] == "completed"]
    kept = [{name: value for name, value in row.items() if name not in {"key", "outcome"}} for row in rows]
    write_atomically(RECORDING, "".join(json.dumps(row) + "\n" for row in kept).encode())
    print(f"{len(kept)} trainings in {RECORDING.name}", flush=True)


def main() -> None:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speeds", "train", "gather"))
    parser.add_argument("--data", help="CIFAR-100 as an image folder")
    parser.add_argument("--runs", type=Path, default=Path("runs/fidelities"))
    parser.add_argument("--part", default="0/1", help="which part of the work, of how many")
    parser.add_argument("--hours", type=float, default=24.0, help="no training is begun after this time")
    given = parser.parse_args()
    part, parts = (int(number) for number in given.part.split("/"))
    if given.what == "gather":
        gather(given.runs)
    elif not given.data:
        parser.error("--data FOLDER is needed")
    elif given.what == "speeds":
        measure_speeds(given.data, given.runs, part, parts)
    else:
        train(given.data, given.runs, part, parts, given.hours)


if __name__ == "__main__":
    main()
