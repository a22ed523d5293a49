"""What `--blocks lite` costs and brings on CIFAR-100: accuracy after equal seconds, time of an image, loss in 8 bits.

    python benchmarks/lite_blocks.py --images CIFAR100_FOLDER [--budget 15s] [--seeds 3] [--vectors 4] [--quick]

The folder holds CIFAR-100 as `train/<class>/*.png` and `test/<class>/*.png`. Four vectors of the spaces (the report's
two, the library's, the best of the recorded trials) at 32 pixels, each with ordinary blocks, `lite` (ReLU6) and
`lite-hardswish`, are trained for equal seconds with the same seeds, in turn. Each network is then judged on 2,000 test
images in float32 and in 8 bits (no layer exempt, so that the loss is that of the blocks), and the first seed's are
timed: medians of interleaved runs of one image on one thread of onnxruntime, as ratios to the ordinary blocks' float32.
Differences are paired by vector and seed. With two cores it takes some 20 minutes, of which `--seeds 2` saves a third;
interrupted, it goes on where it was. `--quick` tries it out and writes no record.

`figures.decision` says which activation should be `lite`: the one that loses fewer points against ordinary blocks,
trained and in 8 bits together; ReLU6 where the two differ by less than half a point, since it is the quicker in 8 bits.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime

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
from betanas.library.catalogue import find_named
from betanas.spaces import get_space, published
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.kept import SIDECAR
from betanas.training.recipe import load_recipe
from betanas.training.trainer import Trainer

SIDE, TEST_IMAGES, VALIDATION_IMAGES, CALIBRATION_IMAGES = 32, 2000, 500, 256

# Half a point of the two activations' difference: less says nothing with so few trainings.
UNDECIDED = 0.5


def vectors(count: int) -> dict[str, tuple[str, Mapping[str, float]]]:
    """Space and vector by name, the published ones first."""
    library = find_named("betanet3_cifar100_r32")
    found = {
        "betanet2, the report's": ("betanet2", published("betanet2")),
        "betanet3, the report's": ("betanet3", published("betanet3")),
        "betanet3, the library's": (library.space, library.vector),
    }
    best = max((each for each in recorded() if each.vector != library.vector), key=lambda each: each.top1)
    found["betanet3, the best recorded"] = ("betanet3", best.vector)
    return dict(list(found.items())[:count])


def evenly(sample: Sample, most: int) -> Sample:
    """At most so many of its images, evenly spaced."""
    step = max(1, len(sample.images) // most)
    labels = sample.labels
    assert labels is not None
    return replace(sample, images=sample.images[::step][:most], labels=labels[::step][:most])


class Bench:
    """Trains and judges networks, one at a time, and keeps each one's ONNX graphs."""

    def __init__(self, images: str, budget: Budget, home: Path, *, quick: bool) -> None:
        self.source = open_source(images)
        self.budget, self.home, self.quick = budget, home, quick
        self._trainer = Trainer(device="cpu")
        self._samples: Any = None

    def judged(self, place: str, blueprint: Blueprint, seed: int) -> dict[str, Any]:
        """Train a network and judge it in float32 and in 8 bits; its graphs stay in the folder `place`."""
        folder = self.home / place
        shutil.rmtree(folder, ignore_errors=True)  # of a training that was interrupted: a clock would go on
        images = JobImages(self.source.name, self.source.fingerprint, SIDE, validation_share=0.1)
        recipe = load_recipe("fast")
        job = Job(blueprint.to_dict(), images, recipe, self.budget, seed=seed, keep=True)
        trained = self._trainer.train(job, folder=folder)
        if trained.outcome != "completed":
            raise SystemExit(f"{place}: {trained.reason}")
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
            "epochs": trained.epochs,
            "params": blueprint.num_params,
            "macs": blueprint.macs,
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


def decision(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Which activation `lite` should mean."""
    gains = {
        blocks: statistics.mean(
            figures[blocks][name]["median"] for name in ("top1_minus_ordinary", "top1_in_8_bits_minus_ordinary")
        )
        for blocks in BLOCKS
        if blocks != "ordinary"
    }
    ahead = gains["lite-hardswish"] - gains["lite"]
    activation = BLOCKS["lite-hardswish" if ahead > UNDECIDED else "lite"]
    assert activation is not None
    return {"points_against_ordinary": gains, "lite_should_be": activation.name}


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
    parser.add_argument("--budget", default="15s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vectors", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    budget = Budget.parse("3steps" if given.quick else given.budget)
    seeds = range(1 if given.quick else given.seeds)
    chosen = vectors(1 if given.quick else given.vectors)
    conditions = {
        "data": Path(given.images).name,
        "resolution": SIDE,
        "budget": str(budget),
        "recipe": "fast",
        "vectors": {name: {"space": space, **vector} for name, (space, vector) in chosen.items()},
        "seeds": len(seeds),
        "test_images": TEST_IMAGES,
        "onnxruntime": onnxruntime.__version__,
        "threads_of_the_timing": 1,
    }
    journal = Journal(f"lite_blocks{'_quick' if given.quick else ''}", conditions)
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        # Graphs are kept beside the journal: timing needs them, whatever was interrupted.
        home = Path(place) if given.quick else Path(__file__).parent / "results" / "journals" / "lite_blocks"
        bench = Bench(given.images, budget, home, quick=given.quick)
        graphs: dict[tuple[str, str], Path] = {}
        for seed in seeds:
            for number, (name, (space, vector)) in enumerate(chosen.items()):
                for blocks in BLOCKS:
                    blueprint = get_space(space, blocks=blocks).blueprint(
                        vector, resolution=SIDE, num_classes=len(bench.source.classes)
                    )
                    folder = f"{number}-{blocks}-{seed}"

                    def measure(folder: str = folder, blueprint: Blueprint = blueprint, seed: int = seed) -> dict:
                        return bench.judged(folder, blueprint, seed)

                    found[name, blocks, seed] = journal.once(f"{name}/{blocks}/{seed}", measure)
                    graphs.setdefault((name, blocks), home / folder)
        times = timed(graphs, 20 if given.quick else given.repeats)
    figures = compared(found)
    sizes = {
        name: {blocks: {cost: found[name, blocks, 0][cost] for cost in ("params", "macs")} for blocks in BLOCKS}
        for name in chosen
    }
    figures |= {"decision": decision(figures), "cost": sizes, **times}
    if given.quick:
        print(figures)
        return
    write_record("lite_blocks", conditions=conditions, figures=figures)


if __name__ == "__main__":
    main()
