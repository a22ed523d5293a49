"""What the replay benchmarks are about: where the recorded trials lie, what was searched, within which limits."""

from __future__ import annotations

import json
from pathlib import Path

from betanas.search.feasibility import Problem
from betanas.search.settings import Limits
from betanas.search.simulation.recording import Recording, read_recordings
from betanas.spaces import get_space

RECORDINGS = Path(__file__).parent / "data" / "replay_cifar100_r32.jsonl"

# The trials of the real searches: in the region where searches go, in which a Sobol sequence has few points.
REAL_SEARCHES = Path(__file__).parents[1] / "docs" / "results" / "real" / "results.json"

SPACE, PRESETS = "betanet3", ("default", "table1")
RESOLUTION, CLASSES, CHANNELS, BATCH_SIZE = 32, 100, 3, 100

# Parameters as in the report, here and at 224 pixels. Multiply-accumulates by what one core can train: at the limit
# 20 seconds are about ten steps, and every network beyond it would be recorded as chance.
LIMITS = Limits(params=30_000_000, macs=30_000_000, lookahead=((224, 50_000_000),))


def problem(preset: str) -> Problem:
    """What is searched."""
    return Problem(get_space(SPACE, preset), RESOLUTION, CLASSES, CHANNELS, BATCH_SIZE, limits=LIMITS)


def recorded(path: Path = RECORDINGS, *, real: bool = True) -> list[Recording]:
    """The recorded trials and, unless told otherwise, those of the real searches, without their curves."""
    found = read_recordings(path)
    if real:
        searches = json.loads(REAL_SEARCHES.read_text(encoding="utf-8"))["searches"]
        found += [
            Recording(
                vector=trial["vector"],
                top1=trial["accuracy"],
                curve=((trial["training_seconds"], trial["accuracy"]),),
                training_seconds=trial["training_seconds"],
                wall_seconds=trial["wall_seconds"],
                params=trial["params"],
            )
            for search in searches.values()
            for trial in search["trials"]
            if trial["state"] == "completed"
        ]
    return found
