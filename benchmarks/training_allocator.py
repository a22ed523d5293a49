"""Training steps with glibc's allocator as it comes, with freed memory kept for the next step, and with huge pages too.

Keeping is `keep_freed_memory` of the engine; huge pages are what a CPU worker's environment asks for besides.

Usage: python benchmarks/training_allocator.py [--rounds 7]

Each round runs the three ways one after the other, each in a process of its own; figures are ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from _record import spread, write_record

_WAYS = {
    "as it comes": ("plain", {}),
    "kept": ("kept", {}),
    "kept, huge pages": ("kept", {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
}
_STEPS, _BATCH = 9, 100


def main() -> None:
    """Measure every way in turn, and write the record."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--child", default="")
    given = arguments.parse_args()
    if given.child:
        print(_median_step(kept=given.child == "kept"))
        return
    _run("plain", {})  # warms the disk's cache
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    for _ in range(given.rounds):
        for name, (way, environment) in _WAYS.items():
            seconds[name].append(_run(way, environment))
    plain = seconds["as it comes"]
    write_record(
        "training_allocator",
        conditions={"network": "published BetaNet3, R=32, 100 classes", "batch": _BATCH, "steps": _STEPS, "threads": 2},
        figures={
            f"steps a second, {name}, as a multiple of the allocator as it comes": spread(
                [before / after for before, after in zip(plain, times, strict=True)]
            )
            for name, times in seconds.items()
            if name != "as it comes"
        },
    )


def _run(way: str, environment: dict[str, str]) -> float:
    command = [sys.executable, __file__, "--child", way]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return float(answer.stdout)


def _median_step(*, kept: bool) -> float:
    import time

    import torch

    import betanas as bn
    from betanas.training.device import keep_freed_memory

    if kept:
        keep_freed_memory()
    torch.set_num_threads(2)
    blueprint = bn.get_space("betanet3").blueprint(bn.published("betanet3"), resolution=32, num_classes=100)
    network = blueprint.build().to(memory_format=torch.channels_last).train()
    images = torch.randn(_BATCH, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(_STEPS + 2):
        began = time.perf_counter()
        network.zero_grad(set_to_none=True)
        network(images).sum().backward()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
