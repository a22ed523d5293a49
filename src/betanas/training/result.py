"""What a trial ends in. Plain data: stored by a search, read by an analysis, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Outcome = Literal["completed", "stopped", "infeasible", "failed"]

# Why a trial did not complete. "out_of_memory": the device's memory; "host_memory": the machine's; "data": an image
# could not be read; "preparation": it did not come to its first counted step in time; "timeout": it outlived its budget
# and grace; "interrupted": its process was stopped for a while between two steps; "worker_lost": its process died under
# it; "exception": anything else that was raised; "limit": its cost exceeds the study's limits (known before training).
Cause = Literal[
    "",
    "limit",
    "out_of_memory",
    "host_memory",
    "non_finite",
    "data",
    "preparation",
    "timeout",
    "interrupted",
    "worker_lost",
    "exception",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)

Ending = Literal["", "budget", "patience"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a learning curve, taken at an evaluation.

    Attributes:
        seconds: training seconds so far, by the budget clock.
        step: optimiser steps so far.
        epoch: passes over the training set so far, fractional.
        loss: mean training loss since the previous point.
        accuracy: validation top-1 in [0, 1].
    """

    seconds: float
    step: int
    epoch: float
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The outcome of training one network under a budget.

    Attributes:
        outcome: `completed` (the budget was used up), `stopped` (told to stop early), `infeasible` (does not fit the
            device) or `failed`.
        cause: why it did not complete; empty otherwise.
        reason: the same in a sentence for a person; empty where it completed.
        top1, top5: validation accuracy in [0, 1]: the best evaluation's by top-1 (section 4.4.3 of the report), None
            where there was none. top5 is None with fewer than six classes.
        curve: the learning curve.
        training_seconds: by the budget clock.
        wall_seconds: from the call to the result.
        steps: optimiser steps.
        epochs: passes over the training set.
        images_per_second: training images a training second.
        peak_memory: bytes: allocated on the device where it has a counter, otherwise the process's resident peak; where
            several processes trained together, the first one's.
        device: what it trained on, in words (`cpu (2 threads)`, `cuda:0 NVIDIA H100`).
        ending: why a training that completed ended: `budget` (used up) or `patience` (no progress).
        test_top1, test_top5: of the best evaluation's weights on test images; None where they were not judged.
        best_step: optimiser steps at the best evaluation; None where there was none.
        preparation_seconds: from the call to the first step that the budget clock counted.
        stepping: how the optimiser's steps were run: `graph` (a replayed CUDA graph), or `eager` and why.
        shared_by: trials that trained on the device at the same time.
    """

    outcome: Outcome
    cause: Cause = ""
    reason: str = ""
    top1: float | None = None
    top5: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    training_seconds: float = 0.0
    wall_seconds: float = 0.0
    steps: int = 0
    epochs: float = 0.0
    images_per_second: float | None = None
    peak_memory: int | None = None
    device: str = ""
    ending: Ending = ""
    test_top1: float | None = None
    test_top5: float | None = None
    best_step: int | None = None
    preparation_seconds: float = 0.0
    stepping: str = ""
    shared_by: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TrialResult:
        """Read what `to_dict` wrote."""
        return cls(**{**data, "curve": tuple(CurvePoint(**point) for point in data["curve"])})
