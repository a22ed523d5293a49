"""What a study remembers, as plain data: its plan, its trials, its sessions. No torch, no Ax, no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from betanas.search.objectives import ObjectiveSettings
from betanas.training.result import Cause, CurvePoint, TrialResult

TrialState = Literal["running", "completed", "infeasible", "failed", "stopped"]
STATES: tuple[TrialState, ...] = get_args(TrialState)

StudyState = Literal["new", "running", "paused", "interrupted", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may cost at the search resolution; None where there is no limit.

    Attributes:
        params: trainable parameters.
        macs: multiply-accumulates of one image.
        memory: bytes of a training step at the study's batch size.
        lookahead: (resolution, parameters) pairs: the same vector's network at a larger resolution must also stay
            within so many parameters (weeks 9 and 10 of the report's Appendix B).
    """

    params: int | None = None
    macs: int | None = None
    memory: int | None = None
    lookahead: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Everything that decides what a search does. Written once, at the start; `trials` alone may change later.

    Attributes:
        space: the search space's name, or the path of the file that registers it.
        preset: the preset the ranges came from, `custom` where some were changed.
        ranges: the searched range (low, high) of every parameter.
        data: the data source's name or path.
        data_fingerprint: digest of what the source held at the start.
        classes: class names, in label order.
        in_channels: channels of the images.
        resolution: side of the training images, in pixels.
        budget: training budget of a trial, as typed (`20s`).
        recipe: name of the training recipe.
        recipe_settings: the recipe's every setting, so that the study does not depend on a file.
        batch_size: images per optimiser step.
        strategy: name of the search strategy.
        objective: what is maximised.
        seed: decides the split, the suggestions and each trial's initialisation.
        trials: trials planned.
        limits: cost limits.
        options: further settings by name (strategy, stopping, executor), plain JSON values.
    """

    space: str
    preset: str
    ranges: Mapping[str, tuple[float, float]]
    data: str
    data_fingerprint: str
    classes: tuple[str, ...]
    in_channels: int
    resolution: int
    budget: str
    recipe: str
    recipe_settings: Mapping[str, Any]
    batch_size: int
    strategy: str
    objective: ObjectiveSettings
    seed: int
    trials: int
    limits: Limits = Limits()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial, from suggestion to result. A failed trial is a record with a reason, never a gap.

    Attributes:
        index: 0, 1, 2, ... in the order of suggestion.
        vector: the parameter vector.
        blueprint_key: digest of the integer network.
        origin: what suggested it: `sobol`, `gpei`, `random`, ...
        state: `running`, `completed`, `infeasible`, `failed` or `stopped` (early).
        cause, reason: why it did not complete, as a word and as a sentence.
        seed: of its initialisation and data order.
        attempts: how often it was started; more than one after a crash or a transient failure.
        repeat_of: the trial whose network it repeats, where it was not trained again.
        session: the search session in which it was last started (a restart begins a new one).
        top1, top5: validation accuracy in [0, 1].
        objective: what the search maximises; None where there is no result.
        training_seconds, wall_seconds: by the budget clock; from start to end.
        peak_memory: measured bytes.
        params, macs: of its network.
        memory: predicted bytes of a training step.
        images_per_second: training images a training second.
        device: what it trained on.
        started, ended: UTC.
        curve: learning curve; empty unless asked for.
    """

    index: int
    vector: Mapping[str, float]
    blueprint_key: str
    origin: str
    state: TrialState
    cause: Cause = ""
    reason: str = ""
    seed: int = 0
    attempts: int = 1
    repeat_of: int | None = None
    session: int = 0
    top1: float | None = None
    top5: float | None = None
    objective: float | None = None
    training_seconds: float | None = None
    wall_seconds: float | None = None
    peak_memory: int | None = None
    params: int = 0
    macs: int = 0
    memory: int = 0
    images_per_second: float | None = None
    device: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    curve: tuple[CurvePoint, ...] = ()


def result_fields(result: TrialResult) -> dict[str, Any]:
    """What a result says, by the names of a trial's record; the curve, the objective and the end are not among them."""
    return {
        "state": result.outcome,
        "cause": result.cause,
        "reason": result.reason,
        "top1": result.top1,
        "top5": result.top5,
        "training_seconds": result.training_seconds,
        "wall_seconds": result.wall_seconds,
        "peak_memory": result.peak_memory,
        "images_per_second": result.images_per_second,
        "device": result.device,
    }


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One process that searched: the first, or one that resumed after a crash or an interruption.

    Attributes:
        index: 0, 1, ... in the order of starting.
        started, ended: UTC; `ended` is None while it runs and after a crash.
        seen: UTC, its last sign of life.
        ending: `finished`, `exhausted` (finished, since nothing new was left to train), `interrupted`, `paused`,
            `failed`, or empty while it runs and after a crash.
        host, pid: where it runs.
        command: what was typed.
        versions: of Python, BetaNAS and the libraries that decide results.
        hardware: processor, cores, memory, accelerators, in words.
    """

    index: int
    started: datetime
    seen: datetime
    ended: datetime | None
    ending: str
    host: str
    pid: int
    command: str
    versions: Mapping[str, str]
    hardware: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document kept beside the trials: an exported surrogate, a comparison, a confirmation, a scaling result.

    Attributes:
        kind: `surrogate`, `confirmation`, `comparison`, `scaling` or `profile`.
        name: tells documents of one kind apart; the newest of a kind and name stands.
        created: UTC.
        document: plain JSON.
    """

    kind: str
    name: str
    created: datetime
    document: Mapping[str, Any]
