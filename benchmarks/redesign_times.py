"""Whether the redesign made anything slower: the same benchmarks in two checkouts, turn by turn, as ratios.

    python benchmarks/redesign_times.py --before CHECKOUT --after CHECKOUT [--rounds 3]

Both are checkouts that may be thrown away (`git worktree add`): their own benchmarks run there, with short settings,
and write their records there. Each round runs every benchmark in both, before and after by turns in either order, so
that a machine that is slower for a while is slower for both. A ratio is after divided by before, for each round; below
1 is faster. Bar: no worse than before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _record import spread, write_record


@dataclass(frozen=True)
class Case:
    """A benchmark, how it is started, and what of its record is compared.

    Attributes:
        script: in `benchmarks/`.
        options: of its command line.
        figures: where a figure lies in the record, by what it is.
        record: the record's name.
        rate: whether more is better.
    """

    script: str
    options: tuple[str, ...]
    figures: Mapping[str, tuple[str, ...]]
    record: str
    rate: bool = False


CASES = (
    Case(
        "training_budget.py",
        ("--trials", "4", "--budget", "3s"),
        {"seconds between two trials of a warm engine": ("seconds_between_trials", "median")},
        "training_budget",
    ),
    Case(
        "soak_workers.py",
        ("--quick",),
        {
            "seconds of a trial beside its budget": ("sobol-1s", "seconds of a trial beside its budget", "median"),
            "seconds of a trial between search and worker": (
                "sobol-1s",
                "seconds of a trial between search and worker",
                "median",
            ),
            "seconds of a whole search of 24 trials of 1 s": ("gpei-1s", "seconds from the command to its end"),
        },
        "soak_workers_quick",
    ),
    Case(
        "search_suggestions.py",
        ("--repeats", "8", "--trials", "100", "400", "--memory-trials", "250"),
        {
            "seconds of a suggestion after 100 trials": ("seconds at 100 trials", "median"),
            "seconds of a suggestion after 400 trials": ("seconds at 400 trials", "median"),
            "seconds of the first suggestion": ("seconds at 100 trials", "first"),
        },
        "search_suggestions",
    ),
    Case(
        "analysis_report.py",
        ("--trials", "1000", "--repeats", "3"),
        {"seconds of a report of 1,000 trials": ("1000 trials", "seconds", "median")},
        "analysis_report",
    ),
    Case(
        "screening.py",
        ("--repeats", "5", "--points", "512"),
        {"vectors constructed and priced a second": ("vectors_per_second", "betanet3 default R=32", "median")},
        "screening",
        rate=True,
    ),
)


def measured(case: Case, checkout: Path) -> dict[str, float]:
    """What a benchmark finds in a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, f"benchmarks/{case.script}", *case.options]
    subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)
    record = json.loads((checkout / "benchmarks" / "results" / f"{case.record}.json").read_text(encoding="utf-8"))
    return {name: _at(record["figures"], place) for name, place in case.figures.items()}


def _at(figures: Any, place: tuple[str, ...]) -> float:
    for key in place:
        figures = figures[key]
    return float(figures)


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--after", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    checkouts = {"before": given.before.resolve(), "after": given.after.resolve()}
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(given.rounds):
        turns = list(checkouts) if number % 2 == 0 else list(reversed(checkouts))
        for case in CASES:
            for turn in turns:
                for name, value in measured(case, checkouts[turn]).items():
                    found.setdefault(name, {}).setdefault(turn, []).append(value)
    rates = {name for case in CASES if case.rate for name in case.figures}
    figures = {
        name: {
            "ratio": spread([_ratio(*pair, rate=name in rates) for pair in zip(*values.values(), strict=True)]),
            **{turn: spread(each) for turn, each in values.items()},
        }
        for name, values in ((name, {turn: found[name][turn] for turn in checkouts}) for name in found)
    }
    commits = {turn: _commit(path) for turn, path in checkouts.items()}
    write_record("redesign_times", conditions={"rounds": given.rounds, "commits": commits}, figures=figures)


def _ratio(before: float, after: float, *, rate: bool) -> float:
    return before / after if rate else after / before


def _commit(checkout: Path) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
