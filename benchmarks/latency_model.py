"""How far predicted latencies are from measured ones, on networks that the model has not seen, and in a search.

Run with `python benchmarks/latency_model.py` on a machine that does nothing else; about 11 minutes. `--quick` tries it.

For each runtime: a calibration as `betanas profile --calibrate` makes it, then 40 fresh random networks of each space,
timed in turns on the wall's clock. For the first runtime also how long the graphs that `betanas export` writes take
beside those that the calibration times, and a short search with --max-latency whose trained candidates are measured.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import betanas as bn
from _record import RESULTS, spread, write_record
from betanas.blueprint import Blueprint, BlueprintBatch
from betanas.cost.latency import LatencyError, LatencyModel
from betanas.profiling import Conditions, Subject
from betanas.profiling.calibration import calibrate, fit_latency
from betanas.profiling.calibration.calibrate import CALIBRATION_SECONDS, preparation
from betanas.profiling.runtimes import prepare_call
from betanas.spaces import get_space
from betanas.spaces.calibration import CALIBRATION_SIDES, calibration_networks, random_network

SPACES = ("betanet3", "betanet2", "convnet")
SEED = 2026  # another than the calibration's
ROUNDS, CALLS, TOGETHER = 5, 6, 20


@dataclass(frozen=True)
class Way:
    """A way to run networks."""

    runtime: str
    threads: int


WAYS = (Way("onnxruntime", 1), Way("onnxruntime", 2), Way("eager", 1))


@dataclass(frozen=True)
class Size:
    """How much is done."""

    seconds: float
    networks: int
    exported: int
    trials: int
    budget: str


FULL = Size(CALIBRATION_SECONDS, networks=40, exported=6, trials=12, budget="5s")
QUICK = Size(40.0, networks=6, exported=1, trials=3, budget="1s")


def main() -> None:
    """Calibrate, measure, compare, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: tries it out")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where the record goes")
    asked = parser.parse_args()
    size, started = QUICK if asked.quick else FULL, time.perf_counter()
    fresh = fresh_networks(size.networks)
    figures: dict[str, Any] = {}
    models: dict[Way, LatencyModel] = {}
    for way in WAYS:
        found, models[way] = calibrated(way, size.seconds)
        figures[f"{way.runtime}, {way.threads} threads"] = found | errors(way, models[way], fresh)
        print(f"{time.perf_counter() - started:.0f} s: {figures[f'{way.runtime}, {way.threads} threads']}", flush=True)
    figures["exported graphs"] = exported_graphs(fresh["betanet3"][: size.exported])
    figures["search"] = searched(models[WAYS[0]], size)
    conditions = {
        "calibration": f"{size.seconds:g} s for each runtime, networks of the spaces with ordinary and lite blocks",
        "fresh networks": f"{size.networks} of each space, sides {min(CALIBRATION_SIDES)} to {max(CALIBRATION_SIDES)}",
        "measured": f"medians of {ROUNDS} rounds of {CALLS} calls in turns, batch 1, on the wall's clock",
        "seconds in all": round(time.perf_counter() - started),
        "quick": asked.quick,
    }
    write_record("latency_model", conditions=conditions, figures=figures, folder=asked.folder)


def fresh_networks(count: int) -> dict[str, list[Blueprint]]:
    """Random networks of each space that no calibration measures."""
    rng = np.random.default_rng(SEED)
    return {
        name: [random_network(get_space(name), rng, side=int(rng.choice(CALIBRATION_SIDES))) for _ in range(count)]
        for name in SPACES
    }


def calibrated(way: Way, seconds: float) -> tuple[dict[str, Any], LatencyModel]:
    """A calibration, and what it says of itself."""
    started = time.perf_counter()
    found = calibrate(calibration_networks(), runtime=way.runtime, threads=way.threads, seconds=seconds)
    model = fit_latency(found)
    own = {
        "calibration_seconds": round(time.perf_counter() - started, 1),
        "networks_measured": len(found.blueprints),
        "own_error": asdict(model.error),
    }
    return own, model


def errors(way: Way, model: LatencyModel, fresh: dict[str, list[Blueprint]]) -> dict[str, Any]:
    """The model's errors on fresh networks, space by space and together."""
    measured = {name: medians(way, networks) for name, networks in fresh.items()}
    predicted = {
        name: np.array([float(model.predict(BlueprintBatch.of([each]))[0]) for each in networks])
        for name, networks in fresh.items()
    }
    together = LatencyError.of(np.concatenate(list(predicted.values())), np.concatenate(list(measured.values())))
    return {
        "error": asdict(together),
        **{f"error_{name}": asdict(LatencyError.of(predicted[name], measured[name])) for name in fresh},
        "measured_ms": {name: spread((1e3 * values).tolist()) for name, values in measured.items()},
        "ratios": {name: (predicted[name] / measured[name]).round(4).tolist() for name in fresh},
    }


def medians(way: Way, networks: Sequence[Blueprint]) -> np.ndarray:
    """Median seconds of each network."""
    with applied(way) as threads:
        prepare = preparation(way.runtime, networks, threads, 1)
        return timed(prepare, len(networks))


def timed(prepare: Callable[[int], Callable[[], object]], count: int) -> np.ndarray:
    """Median seconds of calls, in turns."""
    found: list[list[float]] = [[] for _ in range(count)]
    for first in range(0, count, TOGETHER):
        numbers = range(first, min(first + TOGETHER, count))
        calls = [prepare(number) for number in numbers]
        for turn in range(ROUNDS + 1):
            for number, call in zip(numbers, calls, strict=True):
                call()
                for _ in range(CALLS):
                    before = time.perf_counter()
                    call()
                    if turn:
                        found[number].append(time.perf_counter() - before)
    return np.array([statistics.median(seconds) for seconds in found])


@contextmanager
def applied(way: Way) -> Iterator[int]:
    """Torch with a way's threads."""
    with Conditions(torch.device("cpu"), threads=way.threads).applied() as threads:
        yield threads


def exported_graphs(networks: Sequence[Blueprint]) -> dict[str, Any]:
    """The time of graphs as they are exported, as multiples of the graphs' that a calibration times."""
    images = [torch.rand(1, each.in_channels, each.resolution, each.resolution) for each in networks]
    whole = [
        prepare_call("onnxruntime", Subject.of_blueprint("exported", each), image, 1)
        for each, image in zip(networks, images, strict=True)
    ]
    own = preparation("onnxruntime", networks, 1, 1)
    made = [own(number) for number in range(len(networks))]
    seconds = timed(lambda number: [*whole, *made][number], 2 * len(networks))
    return {"time_over_calibrated_graph": (seconds[: len(networks)] / seconds[len(networks) :]).round(3).tolist()}


def searched(model: LatencyModel, size: Size) -> dict[str, Any]:
    """A search within the median latency of its space; every candidate that it trained is measured."""
    space = get_space("betanet3")
    rows = space.from_unit(np.random.default_rng(SEED).random((512, len(space.free))))
    limit = float(np.median(model.predict(space.blueprints(rows, resolution=32, num_classes=10, in_channels=1))))
    with (
        tempfile.TemporaryDirectory() as folder,
        bn.search(
            data="digits",
            study=str(Path(folder) / "study"),
            resolution=32,
            budget=size.budget,
            trials=size.trials,
            max_latency=limit,
            latency_table=model,
            devices=("cpu",),
        ) as study,
    ):
        trained = [record for record in study.trials() if record.state == "completed"]
        predicted = study.latencies(trained)
        seconds = medians(WAYS[0], [study.blueprint(record.index) for record in trained])
    shares = seconds / limit
    return {
        "limit_ms": 1e3 * limit,
        "trained": len(trained),
        "measured_over_limit": shares.round(4).tolist(),
        "most_over_limit": float(shares.max()),
        "predicted_over_measured": [
            round(predicted[record.index] / each, 4) for record, each in zip(trained, seconds, strict=True)
        ],
    }


if __name__ == "__main__":
    main()
