"""Records how the same vectors do on four sets of images, for `search_prior.py`: what can a prior be worth?

    python benchmarks/record_pairs.py --cifar100 FOLDER [--vectors 32] [--repeats 4] [--for 100s] [--runs runs/pairs]

FOLDER holds CIFAR-100 as train/<class>/*.png; its classes are divided into two halves that share none. Fashion-MNIST
and digits are there always. The vectors are some of those in data/replay_cifar100_r32.jsonl, spread evenly over the
ranks of their recorded accuracies, and some of the best of the real searches. A training gets as many steps as take the
set's seconds on one core: the seconds of a step are measured by processor time just before, so that other programs on
the machine change next to nothing. The first vectors are trained again with another seed, for the noise.

It trains one after another in this process, on one thread, and writes each result down at once into
data/pairs.jsonl; started again, it goes on. --for ends it after so long, so that a shared machine can be shared.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from _pairs import PAIRS, SETS, PairSet, PairTrial, problem_for, read_pairs
from _replay import REAL_SEARCHES, problem, recorded
from betanas.data import open_source
from betanas.search.studies.search import trial_seed
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import load_recipe
from betanas.training.trainer import Trainer

# Steps that are timed before a training, and the images that their evaluations look at.
TIMED_STEPS, GLANCE = 10, 16

# The share of the vectors that come from the best of the real searches, and how far down those go.
FROM_SEARCHES, BEST_OF_SEARCHES = 0.25, 60


@dataclass(frozen=True)
class Task:
    """One training."""

    images: PairSet
    vector: Mapping[str, float]
    seed: int


def vectors(count: int) -> list[dict[str, float]]:
    """Vectors of the preset default that every set's problem allows, in an order that keeps any beginning balanced."""
    searched = problem("default")
    known = {tuple(each.vector.values()): each for each in recorded(real=False)}
    found = sorted(known.values(), key=lambda each: each.top1)
    sobol = [dict(each.vector) for each in found if _allowed(each.vector)]
    searches = json.loads(REAL_SEARCHES.read_text(encoding="utf-8"))["searches"].values()
    real = [trial for search in searches for trial in search["trials"] if trial["state"] == "completed"]
    real.sort(key=lambda trial: -trial["accuracy"])
    best = [trial["vector"] for trial in real[:BEST_OF_SEARCHES] if _allowed(trial["vector"])]
    own = round(FROM_SEARCHES * count)
    chosen = [sobol[place] for place in _spread(len(sobol), count - own)]
    chosen += [best[place] for place in _spread(len(best), own)]
    order = np.random.default_rng(0).permutation(len(chosen))
    names = tuple(searched.space.parameters)
    return [{name: float(chosen[place][name]) for name in names} for place in order]


def _allowed(vector: Mapping[str, float]) -> bool:
    rows = problem("default").space.to_array([vector])
    inside = all(vector[name] in searched for name, searched in problem("default").space.parameters.items())
    return inside and all(bool(problem_for(each).feasible(rows)[0]) for each in SETS)


def _spread(length: int, count: int) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, length - 1, count)})


def tasks(count: int, repeats: int) -> Iterator[Task]:
    """Every training, vector by vector; the repeats come after a half of the vectors."""
    chosen = vectors(count)
    for place, vector in enumerate(chosen):
        yield from (Task(each, vector, trial_seed(0, place)) for each in SETS)
        if place == count // 2:
            for again, repeated in enumerate(chosen[:repeats]):
                yield from (Task(each, repeated, trial_seed(1, again)) for each in SETS)


def half_of_classes(folder: Path, half: int, runs: Path) -> Path:
    """Every second class of a folder of class folders, as links."""
    place = runs / f"half-{half}" / "train"
    place.mkdir(parents=True, exist_ok=True)
    for one in sorted((folder / "train").iterdir())[half::2]:
        link = place / one.name
        if not link.exists():
            link.symlink_to(one.resolve(), target_is_directory=True)
    return place.parent


def step_seconds(trainer: Trainer, job: Job) -> float:
    """Processor seconds of a training step, all its resolutions weighed as in a training."""
    times: list[float] = []

    def note() -> None:
        times.append(time.process_time())

    def on_point(_point: object) -> bool:
        note()
        return len(times) < TIMED_STEPS  # stopped before the last one, which would look at all images

    recipe = job.recipe.with_settings(evaluations=TIMED_STEPS, interim_images=GLANCE)
    timed = Job(job.network, job.images, recipe, Budget(TIMED_STEPS, "steps"), job.seed)
    trainer.train(timed, on_clock=note, on_point=on_point)
    return (times[-1] - times[0]) / (len(times) - 1)


def train(trainer: Trainer, task: Task, source: str) -> PairTrial:
    """One training, its steps counted out."""
    images = JobImages(source, open_source(source).fingerprint, task.images.resolution)
    blueprint = problem_for(task.images).blueprint(problem("default").space.to_array([task.vector])[0])
    recipe = load_recipe("fast").with_settings(evaluations=1, variants=(), **task.images.recipe)
    job = Job(blueprint.to_dict(), images, recipe, Budget(1, "steps"), task.seed)
    seconds = step_seconds(trainer, job)
    steps = max(round(task.images.seconds / seconds), 2)
    began = time.process_time()
    result = trainer.train(Job(job.network, images, recipe, Budget(steps, "steps"), task.seed))
    return PairTrial(
        data=task.images.name,
        vector=dict(task.vector),
        top1=result.top1 or 0.0,
        steps=steps,
        epochs=result.epochs or 0.0,
        step_seconds=seconds,
        processor_seconds=time.process_time() - began,
        params=blueprint.num_params,
        seed=task.seed,
        outcome=result.outcome,
    )


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path, required=True)
    parser.add_argument("--vectors", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--runs", type=Path, default=Path("runs/pairs"))
    parser.add_argument("--recording", type=Path, default=PAIRS)
    parser.add_argument("--for", dest="length", type=Budget.parse, default=Budget(1e6, "seconds"))
    given = parser.parse_args()
    end = time.monotonic() + given.length.amount
    done = {(each.data, tuple(each.vector.values()), each.seed) for each in read_pairs(given.recording)}
    trainer = Trainer(device="cpu", threads=1)
    halves = [str(half_of_classes(given.cifar100, half, given.runs)) for half in (0, 1)]
    left = 0
    for task in tasks(given.vectors, given.repeats):
        if (task.images.name, tuple(task.vector.values()), task.seed) in done:
            continue
        if time.monotonic() > end:
            left += 1
            continue
        source = halves[task.images.half] if task.images.half is not None else task.images.name
        trial = train(trainer, task, source)
        given.recording.parent.mkdir(parents=True, exist_ok=True)
        with given.recording.open("a", encoding="utf-8") as file:
            file.write(trial.to_line())
        print(f"{trial.data}: {trial.top1:.4f}, {trial.steps} steps of {trial.step_seconds:.3f} s", flush=True)
    print(f"{left} trainings are left.", flush=True)


if __name__ == "__main__":
    main()
