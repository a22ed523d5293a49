"""How many vectors a second are constructed and priced on one core, and which share of each preset is feasible.

Run with `python benchmarks/screening.py` on a quiet machine. `--repeats 1 --points 512` tries it out.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
from scipy.stats import qmc

from _record import spread, write_record
from betanas.cost import count_macs, count_params, training_memory
from betanas.spaces import SearchSpace, get_space

SPACES = ("betanet2", "betanet3", "convnet")
RESOLUTIONS = (32, 224)
CHUNK = 4096
BATCH_SIZE = 100
MAX_PARAMS = 30_000_000
MAX_BYTES = 20 * 2**30
SEED = 0


def feasible(space: SearchSpace, rows: np.ndarray, resolution: int) -> np.ndarray:
    """Construct and price vectors; which of them keep the report's limits, shape [n]."""
    batch = space.blueprints(rows, resolution=resolution, num_classes=100)
    count_macs(batch)
    return (count_params(batch) <= MAX_PARAMS) & (training_memory(batch, BATCH_SIZE) <= MAX_BYTES)


def vectors_per_second(space: SearchSpace, resolution: int, repeats: int) -> list[float]:
    """Throughput of each of `repeats` chunks of new vectors, after one that warms up."""
    rng = np.random.default_rng(SEED)
    rates = []
    for _ in range(repeats + 1):
        rows = space.from_unit(rng.random((CHUNK, len(space.free))))
        start = time.perf_counter()
        feasible(space, rows, resolution)
        rates.append(CHUNK / (time.perf_counter() - start))
    return rates[1:]


def feasible_share(space: SearchSpace, resolution: int, points: int) -> float:
    """Share of Sobol points that keep the limits."""
    rows = space.from_unit(qmc.Sobol(len(space.free), seed=SEED).random(points))
    return float(np.mean(np.concatenate([feasible(space, part, resolution) for part in np.array_split(rows, 4)])))


def main() -> None:
    """Measure both, print them, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--points", type=int, default=8192, help="Sobol points for the shares; a power of two")
    options = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cases = [
        (name, preset, resolution)
        for name in SPACES
        for preset in get_space(name).presets
        for resolution in RESOLUTIONS
    ]
    rates, shares = {}, {}
    for name, preset, resolution in cases:
        space = get_space(name, preset)
        case = f"{name} {preset} R={resolution}"
        rates[case] = spread(vectors_per_second(space, resolution, options.repeats))
        shares[case] = feasible_share(space, resolution, options.points)
        print(f"{case:26} {rates[case]['median']:9,.0f} vectors/s  {100 * shares[case]:5.1f}% feasible", flush=True)

    write_record(
        "screening",
        conditions={
            "cores": 1,
            "chunk": CHUNK,
            "counted": "construction, parameters, multiply-accumulates and training memory (float32, Adam)",
            "batch_size": BATCH_SIZE,
            "limits": {"params": MAX_PARAMS, "bytes": MAX_BYTES},
            "sobol_points": options.points,
            "seed": SEED,
        },
        figures={"vectors_per_second": rates, "feasible_share": shares},
    )


if __name__ == "__main__":
    main()
