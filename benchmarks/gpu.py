"""Everything that only a GPU can tell, in one command of less than 25 minutes, without a network.

    python benchmarks/gpu.py --data PATH/TO/CIFAR100

Each part is measured by itself; what fails is written down with its error, and the next part follows. The record is
written after every part. Where a command may not take so long, type --seconds 560 and, as often as it takes, the same
command with --go-on: it keeps the parts that the record of the same commit and machine holds, and measures the others.
Without a GPU the command says so and ends with exit code 2; `--dry-run-cpu` runs every part at tiny sizes on a
processor, to try out the script: its figures mean nothing. The test part is judged once at the end of each accuracy run
and decides nothing.

Nothing is installed: PYTHONPATH=src is enough. Beside torch, torchvision, botorch, gpytorch, linear-operator, numpy,
scipy, scikit-learn, pillow, psutil, filelock, rich, typer, safetensors, accelerate, onnx, onnxruntime and onnxscript it
imports pydantic (with pydantic-core, annotated-types and typing-inspection) and sqlalchemy: 5 MB of wheels where a
machine with torch lacks them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor, nn

from _record import RESULTS, commit, write_record
from _torchvision_loop import torchvision_step_seconds
from _training import random_splits
from betanas.blueprint import Blueprint
from betanas.data import DataSource, ImageSet, Splits, load_splits, load_test, open_source, prepare
from betanas.data.cores import let_threads_sleep
from betanas.environment import hardware
from betanas.errors import BetanasError
from betanas.search.run import search
from betanas.search.settings import SearchSettings
from betanas.search.study import Study
from betanas.spaces import get_space, published
from betanas.training.budget import Budget
from betanas.training.device import describe_device, resolve_device, training_dtype
from betanas.training.engine import TrialEngine
from betanas.training.options import EngineOptions
from betanas.training.recipe import Recipe, load_recipe

# Seconds that all parts may take together; a part that would not fit any more is left out, and the record says so.
WHOLE = 25 * 60.0

# For minutes rather than seconds of training, as the one accuracy run so far (docs/gpu.md).
MINUTES = {
    "batch_size": 512,
    "evaluations": 1,
    "crop": "resized",
    "crop_scale": [0.35, 1.0],
    "erase": 0.25,
    "stochastic_depth": 0.5,
    "progressive_start": 0.57,
    "progressive_until": 0.7,
    "test_flip": True,
    "variants": [],
}
MARKS = (0.70, 0.78)


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        searches: (resolution, seconds a trial, trials, seconds of the whole search at most).
        steps: (resolution, images a step) whose time is measured.
        compiled: those of them that are compiled too, which takes most of a minute each.
        fresh: (resolution, networks) whose time before the clock is measured.
        timed: steps that are timed.
        resolutions: of the throughput.
        loaders: processes of the plain loop's loader.
        networks: of the memory model.
        side: of those networks' input, in pixels.
        large: (resolution, images a step) that no device holds.
        ladder: seconds of the accuracy runs, each annealed to its end.
        accuracy_side: of the accuracy runs' input, in pixels.
        batches: (images a step, learning rate) of `fast`.
        batch_seconds: of the trials that compare those.
        sharing: workers on the device, one number after another; those that `auto` chooses come last.
        sharing_seconds: of each of those searches.
        command: budget of the commands' trainings.
        runtimes: that networks are profiled with.
    """

    searches: tuple[tuple[int, int, int, int], ...]
    steps: tuple[tuple[int, int], ...]
    compiled: tuple[tuple[int, int], ...]
    fresh: tuple[tuple[int, int], ...]
    timed: int
    resolutions: tuple[int, ...]
    loaders: tuple[int, ...]
    networks: int
    side: int
    large: tuple[int, int]
    ladder: tuple[int, ...]
    accuracy_side: int
    batches: tuple[tuple[int, float], ...]
    batch_seconds: tuple[int, ...]
    sharing: tuple[int, ...]
    sharing_seconds: int
    command: str
    runtimes: tuple[str, ...]


GPU = Sizes(
    searches=((32, 5, 30, 240), (64, 10, 12, 170)),
    steps=((32, 100), (32, 512), (224, 100), (224, 512)),
    compiled=((32, 100), (224, 512)),
    fresh=((32, 4), (224, 2)),
    timed=50,
    resolutions=(32, 224),
    loaders=(8, 16),
    networks=20,
    side=224,
    large=(224, 32_768),
    ladder=(120, 180),
    accuracy_side=224,
    batches=((100, 1.2e-2), (256, 1.2e-2), (256, 2e-2), (512, 1.2e-2), (512, 2.4e-2)),
    batch_seconds=(10,),
    sharing=(2, 4),
    sharing_seconds=40,
    command="20s",
    runtimes=("eager", "compiled"),
)
TINY = Sizes(
    searches=((16, 1, 2, 600),),
    steps=((16, 8),),
    compiled=(),
    fresh=((16, 1),),
    timed=2,
    resolutions=(16,),
    loaders=(0,),
    networks=1,
    side=16,
    large=(16, 8),
    ladder=(1,),
    accuracy_side=16,
    batches=((32, 1.2e-2),),
    batch_seconds=(1,),
    sharing=(),
    sharing_seconds=600,
    command="2steps",
    runtimes=("eager",),
)


@dataclass(frozen=True)
class Bench:
    """What the parts share.

    Attributes:
        device: that is measured.
        data: a data source's name or an image folder.
        source: that one, opened.
        sizes: of everything.
        place: a folder for what the parts write.
    """

    device: torch.device
    data: str
    source: DataSource
    sizes: Sizes
    place: Path

    def blueprint(self, resolution: int, space: str = "betanet3") -> Blueprint:
        """The published network for this source's images."""
        sizes = {"num_classes": len(self.source.classes), "in_channels": self.source.in_channels}
        return get_space(space).blueprint(published(space), resolution=resolution, **sizes)

    def noise(self, images: int) -> Splits:
        """Images that show nothing, of this source's channels and classes, for timings."""
        splits = random_splits(side=32, images=images, num_classes=len(self.source.classes))

        def part(each: ImageSet) -> ImageSet:
            return ImageSet(each.images[:, : self.source.in_channels].contiguous(), each.labels)

        return Splits(part(splits.train), part(splits.validation), splits.classes)

    def engine(
        self, splits: Splits, resolution: int, recipe: Recipe, options: EngineOptions | None = None
    ) -> TrialEngine:
        """An engine on the device that is measured."""
        return TrialEngine(
            splits, resolution=resolution, recipe=recipe, device=str(self.device), options=options or EngineOptions()
        )


def searches(bench: Bench) -> dict[str, Any]:
    """Whole searches: the share of training in their time, what passes before the clocks start, how busy the GPU is."""
    return {
        f"R={resolution}, {seconds} s": searched(bench, resolution, seconds, trials, most)
        for resolution, seconds, trials, most in bench.sizes.searches
    }


def sharing(bench: Bench) -> dict[str, Any]:
    """Whether trials that share the device finish more together than one after another, and what `auto` chooses."""
    resolution, seconds, trials, _ = bench.sizes.searches[0]
    most = bench.sizes.sharing_seconds
    numbers: tuple[int | str, ...] = (*bench.sizes.sharing, "auto")
    return {
        f"{workers} workers": searched(bench, resolution, seconds, trials, most, workers=workers) for workers in numbers
    }


def searched(
    bench: Bench, resolution: int, seconds: int, trials: int, most: int, workers: int | str = 1
) -> dict[str, Any]:
    """What a search took. Its images are read before."""
    settings = SearchSettings(
        data=bench.data,
        study=str(bench.place / f"search-{resolution}-{workers}"),
        resolution=resolution,
        budget=f"{seconds}s",
        trials=trials,
        time=f"{most}s",
        baselines="none",
        devices=bench.device.type,
        workers=workers,
        seed=0,
    )
    prepare(bench.source, resolution=resolution)
    started = time.perf_counter()
    with busy_share(bench.device) as busy, search(settings) as study:
        wall = time.perf_counter() - started
        records, plan = study.trials(), study.plan
    done = [record for record in records if record.state == "completed"]
    beside = [(record.wall_seconds or 0.0) - (record.training_seconds or 0.0) for record in done]
    speeds = [record.images_per_second or 0.0 for record in done]
    trained = sum(record.training_seconds or 0.0 for record in done)
    count = plan.machine.worker_count or 1
    return {
        "workers": count,
        "images_a_second_by_trials_on_the_device": dict(plan.shared_speeds),
        "device": sorted({record.device for record in done}),
        "completed": len(done),
        "not_completed": [f"{record.index}: {record.reason}" for record in records if record not in done],
        "wall_seconds": wall,
        "training_share": trained / wall / count,
        "images_trained_a_second_of_wall_clock": statistics.fmean(speeds) * trained / wall if speeds else None,
        "before_the_clock_median": statistics.median(record.preparation_seconds or 0.0 for record in done)
        if done
        else None,
        "beside_the_clock_median": statistics.median(beside) if beside else None,
        "images_per_second_median": statistics.median(speeds) if speeds else None,
        "stepping": sorted({record.stepping for record in done}),
        "best_top1": max((record.top1 or 0.0 for record in done), default=None),
        "gpu_busy_percent": busy(),
    }


def steps(bench: Bench) -> dict[str, Any]:
    """A step run eagerly, as a graph, compiled, and both; as matrix products, and with channels filled up."""
    eager: EngineOptions = EngineOptions(graphs=lambda _: None)
    plain: dict[str, tuple[EngineOptions, bool]] = {
        "eager": (eager, False),
        **{name: (options, False) for name, options in GRAPHED.items()},
    }
    compiled = {"compiled": (eager, True), "compiled graph": (EngineOptions(), True)}
    found: dict[str, Any] = {}
    for resolution, batch in bench.sizes.steps:
        ways = plain | (compiled if (resolution, batch) in bench.sizes.compiled else {})
        for name, (options, compiled) in ways.items():
            recipe = load_recipe("fast").with_settings(
                batch_size=batch, evaluations=1, compile=compiled, progressive_start=1.0
            )
            engine = bench.engine(bench.noise(max(2048, batch)), resolution, recipe, options)
            # Twice: what a new network costs before the clock, and what the same network costs again.
            first, again = (
                engine.run(bench.blueprint(resolution), budget=Budget(bench.sizes.timed, "steps"), seed=seed)
                for seed in (0, 1)
            )
            found[f"R={resolution}, {batch} images, {name}"] = {
                "step_ms": 1000 * again.training_seconds / max(again.steps, 1),
                "images_per_second": again.images_per_second,
                "preparation_seconds": [first.preparation_seconds, again.preparation_seconds],
                "beside_the_clock_seconds": [each.wall_seconds - each.training_seconds for each in (first, again)],
                "stepping": again.stepping,
                "outcome": again.reason or again.outcome,
            }
    return found


# Ways to run a step in a graph, of which the first is what trials do.
GRAPHED = {
    "graph": EngineOptions(),
    "graph, products": EngineOptions(pointwise_products=True),
    "graph, padded": EngineOptions(channel_multiple=8),
    "graph, padded products": EngineOptions(channel_multiple=8, pointwise_products=True),
}


def preparation(bench: Bench) -> dict[str, Any]:
    """Seconds before the clock of networks that no earlier trial has planned for, each way with networks of its own."""
    found = {}
    for resolution, count in bench.sizes.fresh:
        engines = {
            name: bench.engine(bench.noise(512), resolution, load_recipe("fast").with_settings(evaluations=1), options)
            for name, options in GRAPHED.items()
        }
        drawn = random_blueprints(bench, resolution, seed=1)
        for name, engine in engines.items():
            results = [engine.run(next(drawn), budget=Budget(3, "steps"), seed=0) for _ in range(count)]
            found[f"R={resolution}, {name}"] = {
                "before_the_clock": [result.preparation_seconds for result in results],
                "beside_the_clock": [result.wall_seconds - result.training_seconds for result in results],
                "stepping": sorted({result.stepping for result in results}),
                "outcomes": [result.reason or result.outcome for result in results],
            }
    return found


def random_blueprints(bench: Bench, resolution: int, *, seed: int) -> Iterator[Blueprint]:
    """Networks from all of the space, but for those that are too large to wait for."""
    space, rng = get_space("betanet3"), np.random.default_rng(seed)
    sizes = {"num_classes": len(bench.source.classes), "in_channels": bench.source.in_channels}
    while True:
        (blueprint,) = space.blueprints(
            space.from_unit(rng.random((1, len(space.free)))), resolution=resolution, **sizes
        )
        if blueprint.num_params <= 30_000_000 and blueprint.training_memory(100) <= 40 * 2**30:
            yield blueprint


def same_losses(bench: Bench) -> dict[str, Any]:
    """Whether a graph learns what eager steps do: losses over 50 steps, and a network that no graph can hold."""
    resolution = bench.sizes.steps[0][0]
    recipe = load_recipe("fast").with_settings(evaluations=10, dtype="float32", stochastic_depth=1.0, crop="resized")
    curves = []
    for options in (EngineOptions(graphs=lambda _: None), EngineOptions()):
        engine = bench.engine(bench.noise(2048), resolution, recipe, options)
        result = engine.run(bench.blueprint(resolution), budget=Budget(50, "steps"), seed=0)
        curves.append([point.loss for point in result.curve])
    refusing = engine.train(lambda: Refusing(bench), budget=Budget(5, "steps"), seed=0)
    after = engine.run(bench.blueprint(resolution), budget=Budget(5, "steps"), seed=0)
    return {
        "largest_relative_difference": max(abs(a / b - 1) for a, b in zip(*curves, strict=True)),
        "losses": curves,
        "a_network_that_refuses": [refusing.outcome, refusing.stepping, refusing.reason],
        "the_next_one": [after.outcome, after.stepping, after.reason],
    }


class Refusing(nn.Module):
    """Asks the device for a number in the middle of a step."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.features = nn.Conv2d(bench.source.in_channels, 8, 3)
        self.classifier = nn.Linear(8, len(bench.source.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.features(images).mean(dim=(2, 3))
        logits: Tensor = self.classifier(features) * (1.0 if features.sum().item() > 0 else 0.5)
        return logits


def throughput(bench: Bench) -> dict[str, Any]:
    """`fast` against a plain torchvision loop, in one run."""
    found = {}
    for resolution in bench.sizes.resolutions:
        splits = random_splits(side=32, images=4096, num_classes=100)
        blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=resolution, num_classes=100)
        engine = bench.engine(splits, resolution, load_recipe("fast").with_settings(evaluations=1))
        ours = engine.run(blueprint, budget=Budget(2 * bench.sizes.timed, "steps"), seed=0)
        plain = {
            workers: 100
            / torchvision_step_seconds(
                blueprint.build(),
                splits.train,
                resolution=resolution,
                batch_size=100,
                device=bench.device,
                workers=workers,
                steps=bench.sizes.timed,
            )
            for workers in bench.sizes.loaders
        }
        found[f"R={resolution}"] = {
            "fast_images_per_second": ours.images_per_second,
            "plain_images_per_second_by_workers": plain,
            "ratio": (ours.images_per_second or 0.0) / max(plain.values()),
        }
    return found


def memory(bench: Bench) -> dict[str, Any]:
    """Predicted against measured memory of a training step, and what the allocator reserves beyond."""
    recipe = load_recipe("fast").with_settings(evaluations=1, interim_images=0, progressive_start=1.0)
    engine = bench.engine(bench.noise(512), bench.sizes.side, recipe)
    dtype, cases = training_dtype(recipe.dtype, bench.device), []
    for _, blueprint in zip(
        range(bench.sizes.networks), random_blueprints(bench, bench.sizes.side, seed=0), strict=False
    ):
        predicted = blueprint.training_memory(100, dtype=dtype, optimizer=recipe.optimizer)
        result = engine.run(blueprint, budget=Budget(3, "steps"), seed=0)
        reserved = torch.cuda.max_memory_reserved(bench.device) if bench.device.type == "cuda" else None
        measured = result.peak_memory
        cases.append(
            {
                "predicted": predicted,
                "measured": measured,
                "reserved": reserved,
                "error_percent": 100 * (predicted / measured - 1) if measured else None,
                "before_the_clock": result.preparation_seconds,
                "outcome": result.reason or result.outcome,
            }
        )
    errors = [abs(case["error_percent"]) for case in cases if case["error_percent"] is not None]
    return {"dtype": dtype, "largest_error_percent": max(errors, default=None), "networks": cases}


def out_of_memory(bench: Bench) -> dict[str, Any]:
    """A trial that the device cannot hold is infeasible, and the next one is none the worse."""
    resolution, batch = bench.sizes.large
    splits = bench.noise(batch)
    engine = bench.engine(splits, resolution, load_recipe("fast").with_settings(batch_size=batch, evaluations=1))
    large = engine.run(bench.blueprint(resolution), budget=Budget(2, "steps"), seed=0)
    small = bench.engine(splits, resolution, load_recipe("fast").with_settings(batch_size=8, evaluations=1))
    after = small.run(bench.blueprint(resolution), budget=Budget(2, "steps"), seed=0)
    return {"large": [large.outcome, large.cause, large.reason], "after": [after.outcome, after.reason]}


def kill_and_resume(bench: Bench) -> dict[str, Any]:
    """`kill -9` of a search with two workers on the device: no worker is left, no completed trial lost."""
    place, resolution = bench.place / "killed", bench.sizes.steps[0][0]
    arguments = ["--resolution", str(resolution), "--budget", "2s", "--trials", "4", "--workers", "2"]
    arguments += ["--strategy", "sobol", "--devices", bench.device.type]
    running = subprocess.Popen(
        [sys.executable, "-m", "betanas", "search", "--data", bench.data, "--study", str(place), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 180
    while not (completed := completed_trials(place)) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    workers = psutil.Process(running.pid).children(recursive=True) if running.poll() is None else []
    running.send_signal(signal.SIGKILL)
    running.wait()
    _, alive = psutil.wait_procs(workers, timeout=40)
    resumed = betanas("resume", str(place))
    return {
        "completed_before": completed,
        "workers_left": len(alive),
        "resume": resumed,
        "completed_after": completed_trials(place),
    }


def completed_trials(place: Path) -> int:
    """Of a study; 0 before there is one."""
    try:
        with Study.open(place) as study:
            return sum(record.state == "completed" for record in study.trials())
    except BetanasError:
        return 0


def commands(bench: Bench) -> dict[str, Any]:
    """Train, export, predict, profile and `bench ddp` on the device."""
    resolution, folder = str(bench.sizes.steps[0][0]), bench.place / "trained"
    images, target = bench.place / "image.png", bench.place / "exported"
    from PIL import Image

    Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(images)
    device = ("--device", bench.device.type)
    common = ("--data", bench.data, "--resolution", resolution)
    profile = ("profile", "betanet3", "--resolution", resolution, "--repeats", "3", "--at-most", "20")
    runtimes = [option for name in bench.sizes.runtimes for option in ("--runtime", name)]
    train = ("train", "betanet3", "--folder", str(folder), "--budget", bench.sizes.command, *common, *device)
    return {
        "train": betanas(*train, "--json"),
        "train again": betanas(*train, "--json"),
        "export": betanas("export", str(folder), "--to", str(target)),
        "predict": betanas("predict", str(target), str(images)),
        "profile": betanas(*profile, *runtimes, *device),
        "bench ddp": betanas("bench", "ddp", "--processes", "1", "--steps", "4", *common, *device),
    }


def betanas(*arguments: str) -> dict[str, Any]:
    """A command's exit code, seconds, and what it said where it failed."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "betanas", *arguments], capture_output=True, text=True, check=False, timeout=300
        )
    except subprocess.TimeoutExpired:
        return {"code": 124, "seconds": time.perf_counter() - started, "said": "it did not end within 300 s"}
    said = "" if done.returncode == 0 else (done.stderr or done.stdout).strip()[-500:]
    return {"code": done.returncode, "seconds": time.perf_counter() - started, "said": said}


def batches(bench: Bench) -> dict[str, Any]:
    """`fast` with other batch sizes and rates at equal seconds: what its variants should say."""
    resolution = bench.sizes.searches[0][0]
    splits, found = load_splits(bench.source, resolution=resolution, seed=0), {}
    for seconds in bench.sizes.batch_seconds:
        for batch, rate in bench.sizes.batches:
            recipe = load_recipe("fast").with_settings(batch_size=batch, learning_rate=rate)
            engine = bench.engine(splits, resolution, recipe)
            result = engine.run(bench.blueprint(resolution), budget=Budget(seconds, "seconds"), seed=0)
            found[f"{seconds} s, {batch} images, rate {rate:g}"] = {
                "top1": result.top1,
                "images_per_second": result.images_per_second,
                "outcome": result.reason or result.outcome,
            }
    return found


def accuracy(bench: Bench) -> dict[str, Any]:
    """Training seconds to 70% and 78% test top-1 with the published BetaNet3 and all training images."""
    resolution = bench.sizes.accuracy_side
    splits = load_splits(bench.source, resolution=resolution, seed=0)
    # As in the report's Table 7, the final training has all training images: nothing is chosen on the validation part.
    whole = ImageSet(
        torch.cat([splits.train.images, splits.validation.images]),
        torch.cat([splits.train.labels, splits.validation.labels]),
    )
    test = load_test(bench.source, resolution=resolution)
    recipe = load_recipe("fast").with_settings(**MINUTES)
    engine = bench.engine(Splits(whole, splits.validation, splits.classes), resolution, recipe)
    runs: list[dict[str, Any]] = []
    reached: dict[str, float] = {}
    for seconds in bench.sizes.ladder:
        result = engine.train(
            bench.blueprint(resolution).build, budget=Budget(seconds, "seconds"), seed=0, test=test.to(bench.device)
        )
        runs.append({**result.to_dict(), "curve": None})
        for mark in MARKS:
            if (result.test_top1 or 0.0) >= mark:
                reached.setdefault(f"seconds_to_{mark:.0%}", result.training_seconds)
        if len(reached) == len(MARKS):
            break
    return {"recipe": recipe.to_dict(), **reached, "runs": runs}


@dataclass(frozen=True)
class Part:
    """A part of the record.

    Attributes:
        measure: what does it.
        seconds: that it is expected to take on an H100; it is left out where they are not left.
    """

    measure: Callable[[Bench], dict[str, Any]]
    seconds: float


# In the order of what one most wants to know: what does not fit any more is left out.
PARTS: Mapping[str, Part] = {
    "same_losses": Part(same_losses, 30),
    "steps": Part(steps, 200),
    "searches": Part(searches, 400),
    "out_of_memory": Part(out_of_memory, 40),
    "accuracy": Part(accuracy, 330),
    "memory": Part(memory, 110),
    "kill_and_resume": Part(kill_and_resume, 60),
    "commands": Part(commands, 100),
    "throughput": Part(throughput, 80),
    "sharing": Part(sharing, 200),
    "preparation": Part(preparation, 80),
    "batches": Part(batches, 60),
}


@contextmanager
def busy_share(device: torch.device) -> Iterator[Callable[[], float | None]]:
    """Watches how busy a GPU is; what it gives is the mean in percent, None where nothing tells."""
    shares: list[float] = []
    command = shutil.which("nvidia-smi")
    if device.type != "cuda" or command is None:
        yield lambda: None
        return
    watch = [command, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200", "-i"]
    watcher = subprocess.Popen([*watch, str(device.index)], stdout=subprocess.PIPE, text=True)

    def read() -> None:
        shares.extend(float(line) for line in watcher.stdout or () if line.strip().isdigit())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield lambda: statistics.fmean(shares) if shares else None
    finally:
        watcher.kill()
        watcher.wait()


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the record, and give the exit code: 0, 1 where a part failed, 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar100", help="a source's name or an image folder")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"with commas: {', '.join(PARTS)}")
    parser.add_argument("--dry-run-cpu", action="store_true", help="every part at tiny sizes on a processor")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder that the record is written to")
    parser.add_argument("--seconds", type=float, default=WHOLE, help="that all parts of this command may take together")
    parser.add_argument("--go-on", action="store_true", help="keep what the record of this commit and machine holds")
    options = parser.parse_args(arguments)
    wanted = options.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    if not options.dry_run_cpu and not torch.cuda.is_available():
        print("This benchmark needs a GPU; --dry-run-cpu tries it out on a processor.", file=sys.stderr)
        return 2
    let_threads_sleep()
    device = resolve_device("cpu" if options.dry_run_cpu else options.device)
    data = "digits" if options.dry_run_cpu else options.data
    name = f"gpu{'_dry_run' if options.dry_run_cpu else ''}"
    figures = kept_parts(options.results / f"{name}.json") if options.go_on else {}
    started, failed = time.perf_counter(), {}

    def write(*, shown: bool) -> None:
        write_record(
            name,
            conditions={"device": describe_device(device), "data": data, "parts": list(figures), "recipe": "fast"},
            figures={"failed": failed, **figures},
            folder=options.results,
            shown=shown,
        )

    with tempfile.TemporaryDirectory(prefix="betanas-gpu-") as place:
        bench = Bench(device, data, open_source(data), TINY if options.dry_run_cpu else GPU, Path(place))
        for part in (part for part in PARTS if part in wanted and part not in figures):
            began = time.perf_counter()
            left = options.seconds - (began - started)
            if left < PARTS[part].seconds and not options.dry_run_cpu:
                failed[part] = f"left out: {left:.0f} s were left"
                continue
            try:
                found = PARTS[part].measure(replace(bench, place=Path(tempfile.mkdtemp(dir=place))))
                figures[part] = {"seconds": time.perf_counter() - began, **found}
                if wrong := [key for key, each in found.items() if isinstance(each, dict) and each.get("code")]:
                    failed[part] = f"commands that failed: {', '.join(wrong)}"
            except Exception as error:
                traceback.print_exc()
                failed[part] = f"{type(error).__name__}: {error}"
            print(f"{part}: {json.dumps(figures.get(part, failed.get(part)), default=str)[:600]}", flush=True)
            write(shown=False)
    write(shown=True)
    return 1 if failed else 0


def kept_parts(record: Path) -> dict[str, Any]:
    """What an earlier command has measured of the same code on the same machine, without the parts that failed."""
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if (found["commit"], found["hardware"]) != (commit(), hardware()):
        return {}
    figures = found["figures"]
    return {part: figures[part] for part in PARTS if part in figures and part not in figures["failed"]}


if __name__ == "__main__":
    sys.exit(main())
