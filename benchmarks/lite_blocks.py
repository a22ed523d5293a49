"""What `--blocks lite` costs and brings on CIFAR-100: accuracy after equal seconds, time of an image, loss in 8 bits.

    python benchmarks/lite_blocks.py --images CIFAR100_FOLDER [--seconds 15] [--seeds 3] [--vectors 4] [--quick]
                                     [--until trainings]

The folder holds CIFAR-100 as `train/<class>/*.png` and `test/<class>/*.png`. Four vectors of the spaces (the report's
two, the library's, the best of the recorded trials) at 32 pixels, each with ordinary blocks, `lite` (ReLU6) and
`lite-hardswish`, are trained with the same seeds, one vector after the other, for the steps that so many seconds of
one core hold. How many that are is measured first, by processor time in interleaved rounds, so that a machine that
does other work gives the same trainings. Each network is judged on 2,000 test images in float32 and in 8 bits (no
layer exempt, so that the loss is that of the blocks), and the first seed's are timed: medians of interleaved runs of
one image on one thread of onnxruntime, as ratios to the ordinary blocks' float32. Differences are paired by vector and
seed. A vector takes about five minutes of one core; interrupted, it goes on where it was, also with fewer vectors than
it was begun with. `--until trainings` leaves timing and record for later; `--quick` tries it out and writes no record.

`figures.decision` says which activation should be `lite`: the one that loses fewer points against ordinary blocks,
trained and in 8 bits together; ReLU6 where the two differ by less than half a point, since it is the quicker in 8 bits,
or where the 95% interval of their paired difference holds 0.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from _onnx import milliseconds
from _record import spread, write_record
from _replay import recorded
from _training import Journal
from betanas.blocks import BLOCKS
from betanas.blueprint import Blueprint
from betanas.data import open_source
from betanas.export.classifier import load_classifier
from betanas.export.formats import ONNX_FILE, write_onnx
from betanas.export.quantisation import INT8_FILE, write_int8
from betanas.export.samples import Sample, quantisation_samples
from betanas.export.sidecar import read_sidecar
from betanas.intervals import MeanInterval, mean_interval
from betanas.library.catalogue import find_named
from betanas.spaces import get_space, published
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.kept import SIDECAR
from betanas.training.recipe import load_recipe
from betanas.training.result import TrialResult
from betanas.training.run import training_sizes
from betanas.training.trainer import Trainer

SIDE, TEST_IMAGES, VALIDATION_IMAGES, CALIBRATION_IMAGES = 32, 2000, 500, 256

RECIPE = load_recipe("fast")

COSTS = ("params", "macs", "steps")

# Steps of every network at every size of images, to say how long a step takes: the median counts.
SPEED_ROUNDS = 7

# Half a point of the two activations' difference: less says nothing with so few trainings.
UNDECIDED = 0.5


def vectors() -> dict[str, tuple[str, Mapping[str, float]]]:
    """Space and vector by name, the published ones first."""
    library = find_named("betanet3_cifar100_r32")
    found = {
        "betanet2, the report's": ("betanet2", published("betanet2")),
        "betanet3, the report's": ("betanet3", published("betanet3")),
        "betanet3, the library's": (library.space, library.vector),
    }
    best = max((each for each in recorded() if each.vector != library.vector), key=lambda each: each.top1)
    found["betanet3, the best recorded"] = ("betanet3", best.vector)
    return found


def evenly(sample: Sample, most: int) -> Sample:
    """At most so many of its images, evenly spaced."""
    step = max(1, len(sample.images) // most)
    labels = sample.labels
    assert labels is not None
    return replace(sample, images=sample.images[::step][:most], labels=labels[::step][:most])


class Bench:
    """Trains and judges networks, one at a time, and keeps each one's ONNX graphs."""

    def __init__(self, images: str, home: Path, *, quick: bool) -> None:
        self.source = open_source(images)
        self.home, self.quick = home, quick
        self._trainer = Trainer(device="cpu", threads=1)
        self._samples: Any = None

    def _train(self, place: str, blueprint: Blueprint, seed: int, budget: Budget) -> TrialResult:
        folder = self.home / place
        shutil.rmtree(folder, ignore_errors=True)  # of a training that was interrupted: a clock would go on
        images = JobImages(self.source.name, self.source.fingerprint, SIDE, validation_share=0.1)
        job = Job(blueprint.to_dict(), images, RECIPE, budget, seed=seed, keep=True)
        trained = self._trainer.train(job, folder=folder)
        if trained.outcome != "completed":
            raise SystemExit(f"{place}: {trained.reason}")
        return trained

    def judged(self, place: str, blueprint: Blueprint, seed: int, budget: Budget) -> dict[str, Any]:
        """Train a network and judge it in float32 and in 8 bits; its graphs stay in the folder `place`."""
        folder, trained = self.home / place, self._train(place, blueprint, seed, budget)
        sidecar = read_sidecar(folder / SIDECAR)
        classifier = load_classifier(folder)
        write_onnx(sidecar, classifier, folder)
        if self._samples is None:
            self._samples = quantisation_samples(sidecar, self.source)
        samples = self._samples
        made = write_int8(
            folder / ONNX_FILE,
            folder / INT8_FILE,
            expected=classifier,
            calibration=evenly(samples.calibration, CALIBRATION_IMAGES),
            validation=evenly(samples.validation, 50 if self.quick else VALIDATION_IMAGES),
            final=evenly(samples.final, 100 if self.quick else TEST_IMAGES),
            tolerance=1.0,  # no layer goes back to float32
        )
        assert made.final is not None
        return {
            "top1": 100 * made.final.top1_float,
            "lost": 100 * made.final.loss,
            "same": 100 * made.final.same,
            "steps": trained.steps,
            "epochs": trained.epochs,
            "params": blueprint.num_params,
            "macs": blueprint.macs,
        }


def steps_a_second(blueprints: Mapping[tuple[str, str], Blueprint], rounds: int) -> dict[str, float]:
    """Steps of training that a second of one core holds, over the sizes of images of a whole training."""
    torch.set_num_threads(1)
    sizes = training_sizes(RECIPE, SIDE)
    grown = RECIPE.progressive_until if len(sizes) > 1 else 0.0
    shares = {size: grown / (len(sizes) - 1) for size in sizes[:-1]} | {sizes[-1]: 1 - grown}
    networks = {name: each.build() for name, each in blueprints.items()}
    optimizers = {name: torch.optim.AdamW(network.parameters()) for name, network in networks.items()}
    labels = torch.arange(RECIPE.batch_size) % 100
    taken: dict[tuple[tuple[str, str], int], list[float]] = {}
    for number in range(rounds + 1):
        for size in sizes:
            images = torch.rand(RECIPE.batch_size, 3, size, size)
            for name, network in networks.items():
                begun = time.process_time()
                optimizers[name].zero_grad()
                torch.nn.functional.cross_entropy(network(images), labels).backward()
                optimizers[name].step()
                if number:  # the first round warms up
                    taken.setdefault((name, size), []).append(time.process_time() - begun)
    return {
        "/".join(name): 1 / sum(share * statistics.median(taken[name, size]) for size, share in shares.items())
        for name in blueprints
    }


def compared(found: Mapping[tuple[str, str, int], Mapping[str, Any]]) -> dict[str, Any]:
    """Each kind of blocks: what was measured, and the paired differences to ordinary blocks."""
    figures: dict[str, Any] = {}
    for blocks in BLOCKS:
        mine = {(name, seed): each for (name, kind, seed), each in found.items() if kind == blocks}
        figures[blocks] = {
            "test_top1": spread([each["top1"] for each in mine.values()]),
            "points_lost_in_8_bits": spread([each["lost"] for each in mine.values()]),
            "same_first_choice_in_8_bits": spread([each["same"] for each in mine.values()]),
            "epochs": spread([each["epochs"] for each in mine.values()]),
        }
        if blocks != "ordinary":
            against = [(each, found[name, "ordinary", seed]) for (name, seed), each in mine.items()]
            figures[blocks]["top1_minus_ordinary"] = spread([each["top1"] - other["top1"] for each, other in against])
            in_8_bits = [each["top1"] - each["lost"] - other["top1"] + other["lost"] for each, other in against]
            figures[blocks]["top1_in_8_bits_minus_ordinary"] = spread(in_8_bits)
    return figures


def hardswish_over_relu6(found: Mapping[tuple[str, str, int], Mapping[str, Any]]) -> MeanInterval:
    """Points that Hardswish gains over ReLU6, float32 and 8 bits together, paired by vector and seed."""
    points = {key: each["top1"] - each["lost"] / 2 for key, each in found.items()}
    pairs = [key for key in points if key[1] == "lite"]
    return mean_interval([points[name, "lite-hardswish", seed] - points[name, "lite", seed] for name, _, seed in pairs])


def decision(figures: Mapping[str, Any], gained: MeanInterval) -> dict[str, Any]:
    """Which activation `lite` should mean."""
    gains = {
        blocks: statistics.mean(
            figures[blocks][name]["median"] for name in ("top1_minus_ordinary", "top1_in_8_bits_minus_ordinary")
        )
        for blocks in BLOCKS
        if blocks != "ordinary"
    }
    ahead = gains["lite-hardswish"] - gains["lite"]
    activation = BLOCKS["lite-hardswish" if ahead > UNDECIDED and gained.low > 0 else "lite"]
    assert activation is not None
    return {
        "points_against_ordinary": gains,
        "hardswish_over_relu6": asdict(gained),
        "lite_should_be": activation.name,
    }


def timed(graphs: Mapping[tuple[str, str], Path], repeats: int) -> dict[str, Any]:
    """Times of every vector's networks beside each other, as ratios to its ordinary float32 network."""
    ratios: dict[str, list[float]] = {}
    table: dict[str, Any] = {}
    for name in dict.fromkeys(vector for vector, _ in graphs):
        paths = {
            f"{blocks}, {form}": graphs[name, blocks] / file
            for blocks in BLOCKS
            for form, file in (("float32", ONNX_FILE), ("8 bits", INT8_FILE))
        }
        taken = milliseconds(paths, repeats, side=SIDE)
        base = statistics.median(taken["ordinary, float32"])
        table[name] = {what: spread(values) for what, values in taken.items()}
        for what, values in taken.items():
            ratios.setdefault(what, []).append(statistics.median(values) / base)
    return {"milliseconds": table, "ratio_to_ordinary_float32": {what: spread(each) for what, each in ratios.items()}}


def main() -> None:
    """Train, judge, time, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--seconds", type=float, default=15.0, help="of one core, a training")
    parser.add_argument("--until", choices=("trainings",), help="the last part that is done now")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vectors", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    seeds = range(1 if given.quick else given.seeds)
    known = vectors()
    chosen = dict(list(known.items())[: 1 if given.quick else given.vectors])
    conditions = {
        "data": Path(given.images).name,
        "resolution": SIDE,
        "seconds_of_one_core": given.seconds,
        "recipe": "fast",
        "vectors": {name: {"space": space, **vector} for name, (space, vector) in known.items()},
        "test_images": TEST_IMAGES,
        "onnxruntime": onnxruntime.__version__,
        "threads_of_the_timing": 1,
    }
    journal = Journal(f"lite_blocks{'_quick' if given.quick else ''}", conditions)
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        # Graphs are kept beside the journal: timing needs them, whatever was interrupted.
        home = Path(place) if given.quick else Path(__file__).parent / "results" / "journals" / "lite_blocks"
        bench = Bench(given.images, home, quick=given.quick)
        blueprints = {
            (name, blocks): get_space(space, blocks=blocks).blueprint(
                vector, resolution=SIDE, num_classes=len(bench.source.classes)
            )
            for name, (space, vector) in known.items()
            for blocks in BLOCKS
        }
        speeds = journal.once("steps a second", partial(steps_a_second, blueprints, 1 if given.quick else SPEED_ROUNDS))
        graphs: dict[tuple[str, str], Path] = {}
        for name, seed, blocks in itertools.product(chosen, seeds, BLOCKS):
            folder = f"{list(known).index(name)}-{blocks}-{seed}"
            steps = 3 if given.quick else round(given.seconds * speeds[f"{name}/{blocks}"])
            judged = partial(bench.judged, folder, blueprints[name, blocks], seed, Budget(steps, "steps"))
            found[name, blocks, seed] = journal.once(f"{name}/{blocks}/{seed}", judged)
            graphs.setdefault((name, blocks), home / folder)
        if given.until == "trainings":
            return
        times = timed(graphs, 20 if given.quick else given.repeats)
    figures = compared(found)
    sizes = {
        name: {blocks: {cost: found[name, blocks, 0][cost] for cost in COSTS} for blocks in BLOCKS} for name in chosen
    }
    figures |= {"decision": decision(figures, hardswish_over_relu6(found)), "cost": sizes, **times}
    if given.quick:
        print(figures)
        return
    trained = {"vectors": {name: conditions["vectors"][name] for name in chosen}, "seeds": len(seeds)}
    write_record("lite_blocks", conditions={**conditions, **trained}, figures=figures)


if __name__ == "__main__":
    main()
