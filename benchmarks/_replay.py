"""What the replay benchmarks are about: where the recorded trials lie, what was searched, within which limits."""

from __future__ import annotations

from pathlib import Path

from betanas.search.feasibility import Problem
from betanas.search.settings import Limits
from betanas.spaces import get_space

RECORDINGS = Path(__file__).parent / "data" / "replay_cifar100_r32.jsonl"

SPACE, PRESETS = "betanet3", ("default", "table1")
RESOLUTION, CLASSES, CHANNELS, BATCH_SIZE = 32, 100, 3, 100

# Parameters as in the report, here and at 224 pixels. Multiply-accumulates by what one core can train: at the limit
# 20 seconds are about ten steps, and every network beyond it would be recorded as chance.
LIMITS = Limits(params=30_000_000, macs=30_000_000, lookahead=((224, 50_000_000),))


def problem(preset: str) -> Problem:
    """What is searched."""
    return Problem(get_space(SPACE, preset), RESOLUTION, CLASSES, CHANNELS, BATCH_SIZE, limits=LIMITS)
