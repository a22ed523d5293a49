"""A search among trials that misbehave: each is recorded with its reason, in time, and the search goes on.

    python benchmarks/soak_misbehaviour.py [--budget 1s] [--grace 5] [--quick]

One search with one worker on digits at 16 pixels, in which every other network misbehaves when it is first trained (the
plugin of the tests, in a real worker process): one hangs, one allocates without bound, one segfaults, one raises, one
gives NaN, one writes 100 MB to standard error at every step, one exits, one kills itself, one reports that the device's
memory is full. A failure that might be bad luck is tried once more on a new worker. Stated for each: state, cause and
reason in the record, attempts, and the seconds of each attempt from hand-over to record; for the one that hangs also
how far beyond budget and grace it was allowed to live (bar: 5 s). The machine's memory is not really used up: while
that trial runs, the reserve is set to what is left less 1 GiB, so that it is ended a gigabyte from there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import betanas as bn
from betanas import host_memory
from betanas.search.study import Study
from betanas.training.budget import Budget

PLUGINS = Path(__file__).parents[1] / "tests" / "search"

# What each must end as: state and cause.
EXPECTED = {
    "hang": ("failed", "timeout"),
    "allocate": ("failed", "host_memory"),
    "segfault": ("failed", "worker_lost"),
    "raise": ("failed", "exception"),
    "nan": ("failed", "non_finite"),
    "flood": ("completed", ""),
    "exit": ("failed", "worker_lost"),
    "killed": ("failed", "worker_lost"),
    "out_of_memory": ("infeasible", "out_of_memory"),
}
MOST_BEYOND_GRACE = 5.0


def search_among(kinds: Sequence[str], folder: Path, *, budget: str, grace: float) -> dict[str, Any]:
    """Run a search in which every other network misbehaves, in this order; what was recorded of each."""
    state = folder / "misbehaviour.json"
    folder.mkdir(parents=True, exist_ok=True)
    # A healthy one between two: five failures in a row would rightly end the search.
    state.write_text(json.dumps({"left": [word for kind in kinds for word in (kind, "")], "given": {}}))
    before, os.environ["BETANAS_MISBEHAVIOUR"] = os.environ.get("BETANAS_MISBEHAVIOUR"), str(state)
    began = time.monotonic()
    try:
        with _nearly_full_for("allocate", state):
            bn.search(
                data="digits",
                study=str(folder / "study"),
                resolution=16,
                budget=budget,
                trials=2 * len(kinds) - kinds.count("out_of_memory"),  # infeasible ones do not count
                strategy="sobol",
                max_params=500_000,
                plugins=(str(PLUGINS / "misbehaviour.py"), str(PLUGINS / "misbehave_in_turn.py")),
                devices=("cpu",),
                workers=1,
                grace=grace,
            ).close()
    finally:
        os.environ.pop("BETANAS_MISBEHAVIOUR")
        if before is not None:
            os.environ["BETANAS_MISBEHAVIOUR"] = before
    given = json.loads(state.read_text())["given"]
    with Study.open(folder / "study") as study:
        records = study.trials()
        found = {
            kind: {
                "state": record.state,
                "cause": record.cause,
                "reason": record.reason,
                "attempts": record.attempts,
                "seconds of each attempt": [
                    (one["ended"] - one["started"]).total_seconds()
                    for one in study.attempts(record.index)
                    if one["ended"]
                ],
                "log bytes": len(study.log(record.index).encode()),
            }
            for record in records
            if (kind := given[record.blueprint_key])
        }
        healthy = [record.state for record in records if not given[record.blueprint_key]]
        ending = study.state
    return {"misbehaving": found, "healthy": healthy, "ending": ending, "seconds": time.monotonic() - began}


@contextmanager
def _nearly_full_for(kind: str, state: Path) -> Iterator[None]:
    """While the newest network is of a kind, the machine has a gigabyte to spare."""
    real: Callable[[], int] = host_memory.reserve
    ceiling: list[int] = []

    def reserve() -> int:
        given = list(json.loads(state.read_text())["given"].values())
        if not given or given[-1] != kind:
            return real()
        if not ceiling:
            ceiling.append(host_memory.available() - 2**30)
        return ceiling[0]

    host_memory.reserve = reserve
    try:
        yield
    finally:
        host_memory.reserve = real


def beyond_grace(found: dict[str, Any], *, budget: str, grace: float) -> float:
    """Seconds that the hanging trial's longest attempt lived beyond its budget and grace."""
    return float(max(found["misbehaving"]["hang"]["seconds of each attempt"])) - Budget.parse(budget).amount - grace


def as_expected(found: dict[str, Any]) -> dict[str, bool]:
    """Whether each was recorded as it should be."""
    return {
        kind: (one["state"], one["cause"]) == EXPECTED[kind] and bool(one["reason"] or one["state"] == "completed")
        for kind, one in found["misbehaving"].items()
    }


def main() -> None:
    """Run and record."""
    from _record import write_record  # the tests load this file from elsewhere

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="1s")
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="three kinds, a record under another name")
    given = parser.parse_args()
    kinds = ["hang", "raise", "flood"] if given.quick else list(EXPECTED)
    with tempfile.TemporaryDirectory(prefix="betanas-soak-") as folder:
        found = search_among(kinds, Path(folder), budget=given.budget, grace=given.grace)
    beyond = beyond_grace(found, budget=given.budget, grace=given.grace)
    expected = as_expected(found)
    bars = {
        "each recorded with its reason": set(expected) == set(kinds) and all(expected.values()),
        "the search went on to its end": found["ending"] == "finished" and set(found["healthy"]) == {"completed"},
        f"the grace respected within {MOST_BEYOND_GRACE:g} s": 0.0 <= beyond <= MOST_BEYOND_GRACE,
    }
    write_record(
        "soak_misbehaviour_quick" if given.quick else "soak_misbehaviour",
        conditions={"budget": given.budget, "grace_seconds": given.grace, "workers": 1},
        figures={**found, "seconds beyond budget and grace": beyond, "bars": bars},
    )
    sys.exit(0 if all(bars.values()) else 1)


if __name__ == "__main__":
    main()
