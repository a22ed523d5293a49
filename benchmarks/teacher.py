"""What a teacher is worth: accuracy at equal seconds, and whether it changes a ranking.

    python benchmarks/teacher.py --cifar100 FOLDER [--images 2000] [--seconds 60] [--seeds 5]
        [--arms random,teacher,teacher_shared,finetuned] [--ranking] [--place /tmp/teacher]
        [--part 0 2] [--record] [--quick]

Photographs are CIFAR-100's, enlarged to 120 to 640 pixels (the public ones that are at hand): 20 of its classes, 2,000
or 10,000 training images, 2,000 test images that every training judges once. Networks train at 64 pixels with the
recipe `fast`, on one core each. The arms train one network of fewer than 500,000 parameters, as a search finds it: of
the ranking's candidates the one that is best on the validation images without a teacher, the mean of two seeds after
60 s with 2,000 images. So `--ranking` comes first.

- random: from random weights, for all the seconds.
- teacher: by tf_efficientnet_lite0's answers; the seconds that computing them takes on one core come off the training.
- teacher_shared: the same for all the seconds, as each trial of a search has it, where the answers are computed once.
- once, once_shared: like teacher and teacher_shared, where the teacher does not look at mirror images
  (`teacher_views = 1`).
- finetuned: tf_efficientnet_lite0 itself, by the recipe `finetune` at 96 pixels, for all the seconds.

`--ranking` trains 16 candidates of the space that `find` searches with two seeds without the teacher and with one of
them with it: Kendall's tau between two seeds, and between with and without. A journal keeps every training:
interrupted, it goes on. `--part 0 2` and `--part 1 2` are halves of the trainings for two processes at the same time,
each on a core (`taskset -c 0`); a last one with `--record` writes results/teacher.json from what the journal holds.
`--quick` tries it with few images and seconds, and writes no record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import kendalltau

from _record import write_record
from _training import Journal
from betanas.blueprint import Blueprint
from betanas.cli.inherited import TrainedOn, finetuned
from betanas.data import open_source
from betanas.intervals import mean_interval
from betanas.profiling.answers import measured_latencies
from betanas.search.propose.listed import Entrant, pretrained_entrant
from betanas.spaces import get_space
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import load_recipe
from betanas.training.teaching.naming import find_teacher
from betanas.training.trainer import Trainer
from tutorial_photos import enlarge

TEACHER = "timm:tf_efficientnet_lite0"
ARMS = ("random", "teacher", "teacher_shared", "once", "once_shared", "finetuned")
# How often the teacher looks at an image, in the arms that have one.
VIEWS = {"teacher": 2, "teacher_shared": 2, "once": 1, "once_shared": 1}
OWN_TIME = ("teacher", "once")
CLASSES, TEST, CANDIDATES = 20, 2000, 16
PARAMS = (100_000, 500_000)


def photographs(data: Path, place: Path, images: int, test: int) -> Path:
    """The photographs, made once."""
    folder = place / f"photographs-{images}-{test}"
    if (folder / "made").exists():
        return folder / "photos"
    generator = np.random.default_rng(0)
    names = sorted(each.name for each in (data / "train").iterdir())[:: 100 // CLASSES][:CLASSES]
    for part, count in (("train", images), ("test", test)):
        for name in names:
            to = folder / "photos" / part / name
            to.mkdir(parents=True, exist_ok=True)
            for index, file in enumerate(sorted((data / part / name).iterdir())[: count // CLASSES]):
                with Image.open(file) as small:
                    enlarge(small.convert("RGB"), to / f"IMG_{index:04}", generator)
    (folder / "made").touch()
    return folder / "photos"


def candidates(resolution: int) -> list[Blueprint]:
    """Networks of the space that `find` searches, drawn evenly, within the limits; the cheapest first."""
    space, generator, found = get_space("convnet"), np.random.default_rng(0), list[Blueprint]()
    while len(found) < CANDIDATES:
        vector = {name: generator.uniform(each.low, each.high) for name, each in space.parameters.items()}
        each = space.blueprint(vector, resolution=resolution, num_classes=CLASSES, in_channels=3)
        if PARAMS[0] <= each.num_params <= PARAMS[1]:
            found.append(each)
    return sorted(found, key=lambda each: each.macs)


class Bench:
    """What all trainings share."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        images, test = (400, 200) if given.quick else (given.images, TEST)
        self.source = open_source(str(photographs(given.cifar100, given.place, images, test)))
        self.side = 32 if given.quick else 64
        self.budget = Budget(3.0 if given.quick else given.seconds, "seconds")
        conditions = {"images": images, "seconds": self.budget.amount, "side": self.side, "teacher": TEACHER}
        self.journal = Journal("teacher_quick" if given.quick else "teacher", conditions)
        self.trainer = Trainer(device="cpu", threads=1)
        self.teacher = find_teacher(TEACHER, resolution=self.side)

    def job(self, entrant: Entrant, seed: int, *, views: int = 0) -> Job:
        """A training of a network, with all the seconds.

        Args:
            entrant: the network.
            seed: of the training.
            views: how often the teacher looks at an image; 0 trains without it.
        """
        return Job(
            entrant.architecture,
            JobImages(self.source.name, self.source.fingerprint, self.side),
            load_recipe("fast").with_settings(variants=(), teacher_views=views or 2),
            self.budget,
            seed=seed,
            test=True,
            teacher=self.teacher if views else None,
        )

    def lesson(self, entrant: Entrant, views: int) -> dict[str, float]:
        """What computing the teacher's answers took here, on one core, when they were not in the cache."""

        def measure() -> dict[str, float]:
            began = time.perf_counter()
            answers = self.trainer.answers(self.job(entrant, 0, views=views))
            return {"seconds": answers.seconds, "top1": answers.top1, "wall": time.perf_counter() - began}

        found: dict[str, float] = self.journal.once("lesson" if views == 2 else "lesson of one view", measure)
        return found

    def trained(self, job: Job) -> dict[str, Any]:
        """The outcome of a training."""
        result = self.trainer.train(job)
        if result.outcome != "completed":
            raise SystemExit(f"a training ended as {result.outcome}: {result.reason}")
        names = ("top1", "test_top1", "training_seconds", "wall_seconds", "steps", "epochs")
        return {name: getattr(result, name) for name in names}

    def arm(self, name: str, entrant: Entrant, seed: int) -> dict[str, Any]:
        """A training of an arm."""
        if name == "finetuned":
            on = finetuned(TrainedOn(self.source.name, self.side, 0.1, load_recipe("fast")), TEACHER)
            sizes = {"num_classes": len(self.source.classes), "in_channels": 3}
            job = self.job(pretrained_entrant(TEACHER, resolution=on.resolution, **sizes), seed)
            images = JobImages(self.source.name, self.source.fingerprint, on.resolution)
            return self.trained(Job(job.network, images, on.recipe, self.budget, seed=seed, test=True))
        views = VIEWS.get(name, 0)
        job = self.job(entrant, seed, views=views)
        if name in OWN_TIME:
            left = self.budget.amount - self.lesson(entrant, views)["seconds"]
            if left <= 0:
                return {"test_top1": None, "reason": "the teacher's answers take all of the seconds"}
            job = Job(**{**_fields(job), "budget": Budget(round(left, 2), "seconds")})
        return self.trained(job)


def _fields(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__dataclass_fields__}


# Of the ranking: with or without the teacher, and the seed.
RANKED = (("random", 0), ("random", 1), ("taught", 0))

# What the ranking is made with, that says which network the arms train.
RANKING = {"images": 2000, "seconds": 60.0, "side": 64, "teacher": TEACHER}


def best(networks: Sequence[Entrant], journal: Journal) -> Entrant | None:
    """The candidate that is best without a teacher, by the validation images; none where the ranking is not whole."""
    keys = [[f"rank {place} {kind} {seed}" for kind, seed in RANKED[:2]] for place in range(CANDIDATES)]
    if not all(key in journal for each in keys for key in each):
        return None
    means = [statistics.mean(journal.once(key, dict)["top1"] for key in each) for each in keys]
    return networks[means.index(max(means))]


def arms_of(given: argparse.Namespace) -> list[str]:
    """The arms asked for; none by an empty word."""
    return [name for name in given.arms.split(",") if name]


def trainings(bench: Bench, networks: Sequence[Entrant], chosen: Entrant) -> dict[str, Callable[[], dict[str, Any]]]:
    """Everything that is asked for, by its key in the journal, the seeds of the arms first."""
    given, found = bench.given, dict[str, Callable[[], dict[str, Any]]]()
    for seed in range(given.seeds):
        found |= {f"{name} {seed}": partial(bench.arm, name, chosen, seed) for name in arms_of(given)}
    for kind, seed in RANKED if given.ranking else ():
        for index, entrant in enumerate(networks):
            job = bench.job(entrant, seed, views=2 if kind == "taught" else 0)
            found[f"rank {index} {kind} {seed}"] = partial(bench.trained, job)
    return found


def figures(bench: Bench, chosen: Entrant, seeds: int) -> dict[str, Any]:
    """What the journal holds, as far as it goes."""
    journal, arms = bench.journal, {}
    for name in ARMS:
        runs = {s: journal.once(key, dict) for s in range(seeds) if (key := f"{name} {s}") in journal}
        arms[name] = {seed: run["test_top1"] for seed, run in runs.items() if run.get("test_top1") is not None}
    sizes = {"num_classes": len(bench.source.classes), "in_channels": 3}
    lite = pretrained_entrant(TEACHER, resolution=max(bench.side, 96), **sizes)
    latencies = measured_latencies([chosen, lite], resolution=bench.side)
    found: dict[str, Any] = {
        "accuracy": {name: _interval(list(values.values())) for name, values in arms.items() if values},
        "points over random": _gains(arms, "random"),
        "points over finetuned": _gains(arms, "finetuned"),
        "share of lite0's parameters": chosen.params / lite.params,
        "share of lite0's latency": latencies[chosen.name, bench.side] / latencies[lite.name, max(bench.side, 96)],
        "lesson": {name: journal.once(name, dict) for name in ("lesson", "lesson of one view") if name in journal},
    }
    ranked = {
        (kind, seed): [journal.once(f"rank {i} {kind} {seed}", dict)["top1"] for i in range(CANDIDATES)]
        for kind, seed in RANKED
        if all(f"rank {i} {kind} {seed}" in journal for i in range(CANDIDATES))
    }
    pairs = {
        "two seeds without a teacher": (("random", 0), ("random", 1)),
        "without and with, same seed": (("random", 0), ("taught", 0)),
        "without and with, other seeds": (("random", 1), ("taught", 0)),
    }
    found["kendall"] = {
        name: float(kendalltau(ranked[one], ranked[other]).statistic)
        for name, (one, other) in pairs.items()
        if one in ranked and other in ranked
    }
    return found


def _gains(arms: Mapping[str, Mapping[int, float]], against: str) -> dict[str, Any]:
    """Points gained over an arm, seed by seed, with an interval."""
    found = {}
    for name, values in arms.items():
        if gains := [100 * (values[seed] - arms[against][seed]) for seed in values if seed in arms[against]]:
            found[name] = _interval(gains)
    return {name: each for name, each in found.items() if name != against}


def _interval(values: Sequence[float]) -> dict[str, float]:
    found = mean_interval(list(values))
    return {"n": found.n, "mean": found.mean, "median": statistics.median(values), "low": found.low, "high": found.high}


def main() -> None:
    """Train what is asked for; with `--record`, write what is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path, required=True)
    parser.add_argument("--place", type=Path, default=Path("/tmp/teacher"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("WHICH", "OF"))
    parser.add_argument("--ranking", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(given)
    networks = [Entrant.of(f"candidate {place}", each) for place, each in enumerate(candidates(bench.side))]
    ranked = bench.journal if given.quick else Journal("teacher", RANKING)
    arms = arms_of(given)
    chosen = best(networks, ranked)
    if chosen is None and arms:
        raise SystemExit('Which network the arms train is not known yet: type --ranking --arms "" first.')
    chosen = chosen or networks[0]
    if unknown := set(arms) - set(ARMS):
        raise SystemExit(f"no arms {', '.join(sorted(unknown))}; they are {', '.join(ARMS)}")
    for views in {VIEWS[name] for name in arms if name in VIEWS} | ({2} if given.ranking else set()):
        bench.lesson(chosen, views)
    which, of = given.part
    for key, training in list(trainings(bench, networks, chosen).items())[which::of]:
        bench.journal.once(key, training)
    known = figures(bench, chosen, given.seeds)
    if given.quick or not given.record:
        print(json.dumps(known, indent=1))
        return
    conditions = {
        "images": given.images,
        "seconds": given.seconds,
        "seeds": given.seeds,
        "side": bench.side,
        "classes": CLASSES,
        "test": TEST,
        "threads": 1,
        "network": {"params": chosen.params, "macs": chosen.macs},
        "recipe": "fast",
    }
    name = "teacher" if given.images == 2000 and given.seconds == 60 else f"teacher_{given.images}_{given.seconds:g}s"
    write_record(name, conditions=conditions, figures=known)


if __name__ == "__main__":
    main()
