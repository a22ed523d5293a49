"""How long `betanas scale` takes, as a person waits for it: whole processes, from the command to its last line.

Run with `python benchmarks/scale_command.py` on a quiet machine. `--quick` tries it out and writes no record.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from _record import spread, write_record

# The bar: an answer within 2 s. `--to-latency` and `--measure` run networks, and take as long as that takes.
VARIANTS = {
    "no target": [],
    "to-resolution": ["--to-resolution", "384"],
    "to-params": ["--to-params", "20M"],
    "to-macs": ["--to-macs", "2G"],
    "to-memory": ["--to-memory", "20GiB"],
    "to-memory, growing-k": ["--to-memory", "20GiB", "--rule", "growing-k"],
    "to-memory, compound": ["--to-memory", "20GiB", "--rule", "compound"],
}
SPACES = ("betanet2", "betanet3")


def seconds_of(arguments: list[str]) -> float:
    """Wall seconds of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "betanas", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure every variant, print it, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="once each, one space, no record")
    options = parser.parse_args()

    spaces, repeats = (SPACES[1:], 1) if options.quick else (SPACES, options.repeats)
    seconds_of(["scale", spaces[0]])  # fills the system's cache of files
    figures = {"--help": spread([seconds_of(["--help"]) for _ in range(repeats)])}
    for space in spaces:
        for variant, targets in VARIANTS.items():
            taken = [seconds_of(["scale", space, *targets]) for _ in range(repeats)]
            figures[f"{space} {variant}"] = spread(taken)
            print(f"{space} {variant:22} {figures[f'{space} {variant}']['median']:.2f} s", flush=True)
    if not options.quick:
        write_record(
            "scale_command",
            conditions={"repeats": repeats, "measured": "wall seconds of whole processes", "up_to": 1024},
            figures=figures,
        )


if __name__ == "__main__":
    main()
