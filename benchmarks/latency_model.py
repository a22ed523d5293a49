"""How far predicted latencies are from measured ones, on networks that the model has not seen, and in a search.

Run with `python benchmarks/latency_model.py` on a machine that does nothing else; about 40 minutes, of which the
compiled networks take 25. Each part is kept when it is done: `--one` does one part more, of at most three minutes but
for `compiled`, and writes the record when none is missing. `--quick` tries it.

For each way to run networks: a calibration as `betanas profile --calibrate` makes it, then 40 fresh random networks of
the spaces in turn, timed in turns too, beside the calibration's reference network. Their errors are given against the
rounds that nothing disturbed, which is what a calibration takes for a network's time; the same with predictions
multiplied by how much slower the reference was than in the calibration; and against the median of all rounds. For the
first way also how long the graphs that `betanas export` writes take beside those that the calibration times, and a
short search with --max-latency whose trained candidates are measured.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import betanas as bn
from _record import RESULTS, spread, write_record
from _training import Journal
from betanas.blueprint import Blueprint, BlueprintBatch
from betanas.cost.latency import LatencyError, LatencyModel
from betanas.profiling import Conditions, Subject
from betanas.profiling.calibration import calibrate, fit_latency, measure
from betanas.profiling.calibration.calibrate import CALIBRATION_SECONDS, preparation, reference_call
from betanas.profiling.calibration.measurements import undisturbed
from betanas.profiling.runtimes import prepare_call
from betanas.spaces import get_space
from betanas.spaces.calibration import CALIBRATION_SIDES, calibration_networks, random_network

SPACES = ("betanet3", "betanet2", "convnet")
COMPILED_SECONDS = 1500.0
SEED = 20261  # another than the calibration's


@dataclass(frozen=True)
class Way:
    """A way to run networks."""

    runtime: str
    threads: int


WAYS = (Way("onnxruntime", 1), Way("onnxruntime", 2), Way("eager", 1), Way("compiled", 1))


@dataclass(frozen=True)
class Size:
    """How much is done; `seconds` of a calibration, and of one whose networks are compiled."""

    seconds: float
    compiled_seconds: float
    networks: int
    exported: int
    trials: int
    budget: str


FULL = Size(CALIBRATION_SECONDS, COMPILED_SECONDS, networks=40, exported=6, trials=12, budget="5s")
QUICK = Size(40.0, 400.0, networks=6, exported=1, trials=3, budget="1s")


def main() -> None:
    """Calibrate, measure, compare, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: tries it out")
    parser.add_argument("--one", action="store_true", help="one part that is missing, and no more")
    parser.add_argument("--without", action="append", default=[], help="a runtime that is left out")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where the record goes")
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    conditions = {
        "calibration": f"{size.seconds:g} s for each runtime, networks of the spaces with ordinary and lite blocks",
        "calibration of compiled networks": f"{size.compiled_seconds:g} s",
        "fresh networks": f"{size.networks} of {', '.join(SPACES)} in turn, sides {min(CALIBRATION_SIDES)} to "
        f"{max(CALIBRATION_SIDES)}",
        "measured": f"{measure.PASSES} passes of {measure.ROUNDS} rounds in turns, batch 1; a round's median call",
    }
    journal = Journal(f"latency_model{'_quick' if asked.quick else ''}", conditions)
    ways = [way for way in WAYS if way.runtime not in asked.without]
    parts: dict[str, Callable[[], Any]] = {name_of(way): partial(way_measured, way, size) for way in ways}
    first = name_of(WAYS[0])
    parts["exported graphs"] = partial(exported_graphs, fresh_networks(size.exported))
    parts["search"] = lambda: searched(LatencyModel.from_document(journal.once(first, parts[first])["table"]), size)
    figures: dict[str, Any] = {}
    for name, part in parts.items():
        missing = name not in journal
        figures[name] = {what: found for what, found in journal.once(name, part).items() if what != "table"}
        if asked.one and missing and name != list(parts)[-1]:
            return
    write_record("latency_model", conditions={**conditions, "quick": asked.quick}, figures=figures, folder=asked.folder)


def name_of(way: Way) -> str:
    """A way in words."""
    return f"{way.runtime}, {way.threads} thread{'s' if way.threads > 1 else ''}"


def fresh_networks(count: int) -> list[Blueprint]:
    """Random networks of each space in turn that no calibration measures."""
    rng = np.random.default_rng(SEED)
    sides = rng.choice(CALIBRATION_SIDES, count)
    return [
        random_network(get_space(SPACES[place % len(SPACES)]), rng, side=int(side)) for place, side in enumerate(sides)
    ]


def way_measured(way: Way, size: Size) -> dict[str, Any]:
    """A calibration, what it says of itself, and its errors on fresh networks."""
    started, compiled = time.perf_counter(), way.runtime == "compiled"
    found = calibrate(
        calibration_networks(),
        runtime=way.runtime,
        threads=way.threads,
        seconds=size.compiled_seconds if compiled else size.seconds,
    )
    model = fit_latency(found)
    networks = fresh_networks(size.networks)
    own = {
        "calibration_seconds": round(time.perf_counter() - started, 1),
        "networks_measured": len(found.blueprints),
        "own_error": asdict(model.error),
    }
    return own | errors(model, networks, timed(way, networks)) | {"table": model.to_document()}


def errors(model: LatencyModel, networks: Sequence[Blueprint], rounds: list[list[measure.Round]]) -> dict[str, Any]:
    """The model's errors on fresh networks."""
    predicted = np.concatenate([model.predict(BlueprintBatch.of([each])) for each in networks])
    usual = float(np.quantile([beside for found in rounds for _, beside in found], 0.1))
    least = np.array([undisturbed(*zip(*found, strict=True), usual) for found in rounds])
    medians = np.array([statistics.median(seconds for seconds, _ in found) for found in rounds])
    drift = usual / (model.reference or 1.0)
    return {
        "error": asdict(LatencyError.of(predicted, least)),
        "drift": drift,
        "error_drift_corrected": asdict(LatencyError.of(drift * predicted, least)),
        "error_of_medians": asdict(LatencyError.of(predicted, medians)),
        **{
            f"error_{space}": asdict(LatencyError.of(predicted[place :: len(SPACES)], least[place :: len(SPACES)]))
            for place, space in enumerate(SPACES)
        },
        "measured_ms": spread((1e3 * least).tolist()),
        "ratios": (predicted / least).round(4).tolist(),
        "median_over_undisturbed": spread((medians / least).tolist()),
    }


def timed(way: Way, networks: Sequence[Blueprint]) -> list[list[measure.Round]]:
    """Every network's rounds, timed as a calibration's networks are."""
    with Conditions(torch.device("cpu"), threads=way.threads).applied() as threads:
        return measure.time_in_turns(
            preparation(way.runtime, networks, threads, 1),
            len(networks),
            float("inf"),
            reference=reference_call(way.runtime, threads),
            threads=threads,
            **({"together": 1, "passes": 1, "rounds_a_pass": 6} if way.runtime == "compiled" else {}),
        )


def exported_graphs(networks: Sequence[Blueprint]) -> dict[str, Any]:
    """The time of graphs as they are exported, as multiples of the graphs' that a calibration times."""
    images = [torch.rand(1, each.in_channels, each.resolution, each.resolution) for each in networks]
    with Conditions(torch.device("cpu"), threads=1).applied():
        whole = [
            prepare_call("onnxruntime", Subject.of_blueprint("exported", each), image, 1)
            for each, image in zip(networks, images, strict=True)
        ]
        own = preparation("onnxruntime", networks, 1, 1)
        calls = [*whole, *(own(number) for number in range(len(networks)))]
        rounds = measure.time_in_turns(
            lambda number: calls[number],
            len(calls),
            float("inf"),
            reference=reference_call("onnxruntime", 1),
            threads=1,
        )
    least = np.array([min(seconds for seconds, _ in found) for found in rounds])
    return {"time_over_calibrated_graph": (least[: len(networks)] / least[len(networks) :]).round(3).tolist()}


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
        rounds = timed(WAYS[0], [study.blueprint(record.index) for record in trained])
    seconds = np.array([min(taken for taken, _ in found) for found in rounds])
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
