"""How far the memory model is from torch's MemTracker, over random blueprints that keep the report's limits.

Run with `python benchmarks/memory_model.py`; a few minutes. `--blueprints 4` tries it out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, product

import numpy as np

from _memory_tracking import tracked_bytes
from _record import spread, write_record
from betanas.blueprint import Blueprint
from betanas.quantities import format_bytes
from betanas.spaces import get_space

SPACES = ("betanet2", "betanet3")
PRESETS = ("table1", "default")
OPTIMIZERS = ("adam", "sgd")
RESOLUTIONS = (32, 48, 64, 96, 128, 160, 192, 224)
BATCH_SIZES = (16, 32, 64, 100, 128)
DTYPES = ("float32", "bfloat16")
MAX_PARAMS = 30_000_000
MAX_BYTES = 20 * 2**30
SEED = 0


@dataclass(frozen=True)
class Case:
    """A blueprint and how it is trained."""

    space: str
    preset: str
    optimizer: str
    batch_size: int
    blueprint: Blueprint


def feasible_cases() -> Iterator[Case]:
    """Spaces, presets and optimisers in turn; vectors, resolutions and batch sizes at random."""
    rng = np.random.default_rng(SEED)
    for name, preset, optimizer in cycle(product(SPACES, PRESETS, OPTIMIZERS)):
        space = get_space(name, preset)
        while True:
            row = space.from_unit(rng.random((1, len(space.free))))
            batch_size = int(rng.choice(BATCH_SIZES))
            blueprint = space.blueprints(row, resolution=int(rng.choice(RESOLUTIONS)), num_classes=100)[0]
            memory = blueprint.training_memory(batch_size, optimizer=optimizer)
            if blueprint.num_params <= MAX_PARAMS and memory <= MAX_BYTES:
                break
        yield Case(name, preset, optimizer, batch_size, blueprint)


def main() -> None:
    """Measure, print a line for each blueprint, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blueprints", type=int, default=40)
    count = parser.parse_args().blueprints

    errors: dict[str, list[float]] = {dtype: [] for dtype in DTYPES}
    for case, _ in zip(feasible_cases(), range(count), strict=False):
        for dtype in DTYPES:
            how = {"dtype": dtype, "optimizer": case.optimizer}
            modelled = case.blueprint.training_memory(case.batch_size, **how)
            tracked = tracked_bytes(case.blueprint, case.batch_size, **how)
            errors[dtype].append(100 * (modelled / tracked - 1))
            print(
                f"{case.space} {case.preset:7} R={case.blueprint.resolution:3} batch {case.batch_size:3} "
                f"{len(case.blueprint.layers):2} layers {case.optimizer:4} {dtype:8} "
                f"tracked {format_bytes(tracked):>10}, error {errors[dtype][-1]:+.4f}%",
                flush=True,
            )
    write_record(
        "memory_model",
        conditions={
            "compared": "betanas.cost.training_memory with torch's MemTracker under FakeTensorMode",
            "optimizer_implementation": "fused",
            "blueprints": count,
            "spaces": SPACES,
            "presets": PRESETS,
            "optimizers": OPTIMIZERS,
            "resolutions": RESOLUTIONS,
            "batch_sizes": BATCH_SIZES,
            "limits": {"params": MAX_PARAMS, "bytes": MAX_BYTES},
            "seed": SEED,
        },
        figures={
            f"{dtype}_error_percent": {
                "signed": spread(values),
                "absolute": spread([abs(value) for value in values]),
            }
            for dtype, values in errors.items()
        },
    )


if __name__ == "__main__":
    main()
