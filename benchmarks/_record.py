"""Writes a benchmark's record: what was measured, on what, with which versions."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from betanas.environment import hardware, versions

RESULTS = Path(__file__).parent / "results"


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """n, median, and the ends and quartiles of what was measured."""
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {
        "n": len(values),
        "median": statistics.median(values),
        "q1": quartiles[0],
        "q3": quartiles[2],
        "min": min(values),
        "max": max(values),
    }


def write_record(
    name: str,
    *,
    conditions: Mapping[str, Any],
    figures: Mapping[str, Any],
    folder: Path = RESULTS,
    shown: bool = True,
) -> Path:
    """Write `results/<name>.json` and print it.

    Args:
        name: of the benchmark.
        conditions: what was run: sizes, settings, seeds, what else the machine did.
        figures: what was measured.
        folder: in place of `results`.
        shown: whether it is printed.
    """
    record = {
        "name": name,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
        "conditions": dict(conditions),
        "figures": dict(figures),
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    text = json.dumps(record, indent=2, default=str)
    path.write_text(text + "\n", encoding="utf-8")
    if shown:
        print(text)
    return path


def commit() -> str:
    """Of the code that is measured; `unknown` where it lies outside a repository, or there is no git."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            cwd=RESULTS.parent,
        )
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"
