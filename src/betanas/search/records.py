"""What a study remembers, as plain data: its plan, its trials, its sessions. No torch, no Ax, no SQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, get_args

from betanas.blueprint import Blueprint
from betanas.declaration import as_number
from betanas.errors import StudyError
from betanas.search.lessons import Lesson, read_lessons
from betanas.search.settings import (
    GROUPS,
    SETTINGS,
    DataSettings,
    Limits,
    MachineSettings,
    ProposalSettings,
    TrainingSettings,
    in_groups,
)
from betanas.training.budget import Budget
from betanas.training.job import Job
from betanas.training.recipe import Recipe
from betanas.training.result import Cause, CurvePoint, Ending, TrialResult
from betanas.training.teaching.teacher import Teacher

TrialState = Literal["waiting", "running", "completed", "infeasible", "failed", "stopped"]
STATES: tuple[TrialState, ...] = get_args(TrialState)

# What a trial's training is for.
Purpose = Literal["search", "confirmation", "comparison", "baseline"]

# Kept apart from a search's own trials, which its strategy and its figures see.
APART: tuple[Purpose, ...] = ("confirmation", "baseline")

StudyState = Literal["new", "running", "paused", "interrupted", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class Widening:
    """A range that a search has extended, since its best trials crowded an end of it.

    Attributes:
        parameter: its name.
        low, high: the range from then on.
        trial: the newest trial that it was decided by; later ones are proposed in the wider range.
        leaders: how many of the best trials lay at the end.
        of: how many best trials there were.
    """

    parameter: str
    low: float
    high: float
    trial: int
    leaders: int
    of: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Widening:
        """Read what `dataclasses.asdict` wrote.

        Raises:
            UserError, TypeError, KeyError, ValueError: it is damaged.
        """
        low, high = as_number(document["low"]), as_number(document["high"])
        if not low < high:
            raise ValueError(f"no range {low}:{high}")
        trial, leaders, of = (int(document[name]) for name in ("trial", "leaders", "of"))
        return cls(str(document["parameter"]), low, high, trial, leaders, of)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """Everything that decides what a search does: the settings, in their groups, and what was found when it began.

    Written once, at the start; how long the search goes on (`search.trials`, `search.time`) and what it widens may
    change later, and nothing else.

    Attributes:
        data: which images; `source` is a whole path where it is a file, `resolution` is never None.
        training: how a trial trains; `batch_size` is never None.
        limits: what a candidate may cost.
        machine: where the first session trained.
        search: what is proposed and maximised; `ranges` holds every parameter's, `fixed` nothing.
        data_fingerprint: digest of what the source held at the start.
        classes: class names, in label order.
        in_channels: channels of the images.
        recipe_settings: the recipe's every setting, so that the study does not depend on a file.
        memory_dtype: of the activations whose memory candidates are priced by: what the first session's device trained
            in.
        widenings: ranges that the search has extended, in the order in which it did.
        teacher: who teaches its trials, as `betanas.training.teaching.teacher.Teacher` writes it; None for nobody.
        lessons: what the finished studies found that the search was given to learn from.
        shared_speeds: (trials, images a second) of a device that so many trials shared: by what the number of workers
            was chosen, where it was.
    """

    data: DataSettings
    training: TrainingSettings
    limits: Limits
    machine: MachineSettings
    search: ProposalSettings
    data_fingerprint: str
    classes: tuple[str, ...]
    in_channels: int
    recipe_settings: Mapping[str, Any]
    memory_dtype: Literal["float32", "bfloat16"] = "float32"
    widenings: tuple[Widening, ...] = ()
    teacher: Mapping[str, Any] | None = None
    lessons: tuple[Lesson, ...] = ()
    shared_speeds: tuple[tuple[int, float], ...] = ()

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Every parameter's range as it is searched now: `search.ranges`, with what has been widened."""
        return {**self.search.ranges, **{one.parameter: (one.low, one.high) for one in self.widenings}}

    @property
    def resolution(self) -> int:
        """Side of the training images, in pixels."""
        return self.data.resolution or 0

    @property
    def batch_size(self) -> int:
        """Images an optimiser step and process."""
        return self.training.batch_size or 0

    def changed(self, **given: object) -> StudyPlan:
        """A copy with other values for some settings, by the names of `betanas.search.settings.SETTINGS`."""
        groups = {name: replace(getattr(self, name), **fields) for name, fields in in_groups(given).items() if fields}
        return replace(self, **groups)

    def to_document(self) -> dict[str, Any]:
        """The plan as plain JSON."""
        groups = {name: getattr(self, name).to_document() for name in GROUPS}
        found = {name: getattr(self, name) for name in (*_FOUND, "memory_dtype")}
        found |= {"widenings": [asdict(one) for one in self.widenings]}
        if self.teacher is not None:
            found["teacher"] = dict(self.teacher)
        found |= {"lessons": [one.to_document() for one in self.lessons]}
        found |= {"shared_speeds": [list(pair) for pair in self.shared_speeds]}
        return {**groups, **found, "classes": list(self.classes), "recipe_settings": dict(self.recipe_settings)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StudyPlan:
        """A plan from JSON: what `to_document` wrote, or a plan of before there were groups.

        Raises:
            UserError, TypeError, KeyError, AttributeError: it is damaged.
        """
        if "options" in document:
            document = _grouped(document)
        # Of before there were designs, which none of its trials was.
        search = {"designs": False, **document["search"]}
        document = {**document, "training": _without_start(document["training"]), "search": search}
        groups = {name: group(**document[name]) for name, group in GROUPS.items()}
        found = {name: document[name] for name in _FOUND}
        found["memory_dtype"] = document.get("memory_dtype", "float32")  # of before candidates were priced by it
        widenings = tuple(Widening.from_document(one) for one in document.get("widenings", ()))
        if unknown := {one.parameter for one in widenings} - set(document["search"]["ranges"]):
            raise ValueError(f"no parameter {', '.join(sorted(unknown))}")
        found["widenings"] = widenings
        if document.get("teacher") is not None:
            found["teacher"] = Teacher.from_dict(document["teacher"]).to_dict()
        found["lessons"] = read_lessons(document.get("lessons", ()), tuple(document["search"]["ranges"]))
        found["shared_speeds"] = tuple(
            (int(trials), as_number(speed)) for trials, speed in document.get("shared_speeds", ())
        )
        return cls(**groups, **{**found, "classes": tuple(document["classes"])})  # type: ignore[arg-type]


_FOUND = ("data_fingerprint", "classes", "in_channels", "recipe_settings")


def _without_start(training: Mapping[str, Any]) -> dict[str, Any]:
    """A plan's settings of the training, without the start that earlier versions wrote there.

    Raises:
        StudyError: its networks began with a pretrained network's weights.
    """
    if (start := training.get("start") or "random") != "random":
        raise StudyError(
            "A study's networks must begin with random weights: this version has no other start.",
            value=start,
            hint="Search anew with betanas search.",
        )
    return {name: value for name, value in training.items() if name != "start"}


def _grouped(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A plan of schema 2 or before, which held its settings side by side and some of them in `options`."""
    limits = {f"max_{name}": flat["limits"].get(name) for name in ("params", "macs", "memory")}
    values = {**flat["options"], **flat, **limits, "lookahead": flat["limits"].get("lookahead")}
    values["strategy_options"] = flat["options"].get("strategy")
    known = {name: value for name, value in values.items() if name in SETTINGS}
    return {**flat, **in_groups(known)}


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """The plan of a study that trains what it is given: its trials say what, each by its job.

    Attributes:
        title: what it is, in words.
        machine: where the first session trained.
        plugins: Python files that are run first.
    """

    title: str
    machine: MachineSettings
    plugins: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The plan as plain JSON."""
        plugins = list(self.plugins)
        return {"kind": COMPARISON, "title": self.title, "machine": self.machine.to_document(), "plugins": plugins}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ComparisonPlan:
        """A plan from JSON.

        Raises:
            UserError, TypeError, KeyError, AttributeError: it is damaged.
        """
        plugins = tuple(str(each) for each in document["plugins"])
        return cls(str(document["title"]), MachineSettings(**document["machine"]), plugins)


# The origin of a search's trial whose network the space is known to contain.
DESIGN = "design"

# What the plan's document says of its kind; a search's says nothing.
COMPARISON = "comparison"

# The index of a confirmation's and of a baseline's first trial: far beyond a search's own, which decide its seeds.
FIRST_CONFIRMATION = 1_000_000
FIRST_BASELINE = 2_000_000


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial, from proposal to result. A failed one is a record with a reason, never a gap.

    Attributes:
        index: 0, 1, 2, ... in the order of proposal; of a confirmation from `FIRST_CONFIRMATION` on, of a baseline from
            `FIRST_BASELINE` on.
        vector: the parameter vector; empty where the network comes from no space.
        blueprint_key: digest of the network.
        origin: what proposed it: `sobol`, `gpei`, `random`, `listed`, ...
        state: `waiting` (it is to be trained), `running`, `completed`, `infeasible`, `failed` or `stopped` (early).
        cause, reason: why it did not complete, as a word and as a sentence.
        seed: of its initialisation and data order.
        attempts: how often it was started; more than one after a crash or a transient failure.
        repeat_of: the trial whose network it repeats, where it was not trained again.
        session: the search session in which it was last started (a restart begins a new one).
        purpose: what it was trained for.
        name: what tables call the network; empty of a search's own.
        role: `searched`, `benchmark` or `pretrained` in a comparison, `benchmark` of a baseline; empty elsewhere.
        job_key: equal for equal trainings; empty in studies of before schema 3.
        resolution: side of the network's input, in pixels.
        budget: for how long at most; None only in a record that is made by hand.
        share: which part of the search's budget that is; 1 unless a strategy tries candidates for less.
        recipe: digest of the training recipe's settings.
        top1, top5: validation accuracy in [0, 1].
        test_top1, test_top5: test accuracy of the best evaluation's weights, where it was asked for.
        objective: what the search maximises; None where there is no result.
        ending: why a completed training ended: `budget` or `patience`.
        steps, epochs: in all; `best_step` at the best evaluation.
        training_seconds, wall_seconds: by the budget clock; from start to end.
        preparation_seconds: from the start to the first step that the budget clock counted.
        peak_memory: measured bytes.
        params, macs: of its network.
        memory: predicted bytes of a training step.
        images_per_second: training images a training second.
        device: what it trained on.
        stepping: how the optimiser's steps were run, as in `TrialResult`.
        shared_by: trials that trained on the device at the same time.
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
    purpose: Purpose = "search"
    name: str = ""
    role: str = ""
    job_key: str = ""
    resolution: int = 0
    budget: Budget | None = None
    share: float = 1.0
    recipe: str = ""
    top1: float | None = None
    top5: float | None = None
    test_top1: float | None = None
    test_top5: float | None = None
    objective: float | None = None
    ending: Ending = ""
    steps: int | None = None
    epochs: float | None = None
    best_step: int | None = None
    training_seconds: float | None = None
    wall_seconds: float | None = None
    preparation_seconds: float | None = None
    peak_memory: int | None = None
    params: int = 0
    macs: int = 0
    memory: int = 0
    images_per_second: float | None = None
    device: str = ""
    stepping: str = ""
    shared_by: int = 1
    started: datetime | None = None
    ended: datetime | None = None
    curve: tuple[CurvePoint, ...] = ()


def with_job(record: TrialRecord, job: Job) -> TrialRecord:
    """A trial's record with what its job says."""
    return replace(
        record,
        seed=job.seed,
        job_key=job_key(job),
        resolution=job.images.resolution,
        budget=job.budget,
        recipe=recipe_digest(job.recipe),
    )


def job_key(job: Job) -> str:
    """Equal for jobs that train the same, wherever the images lie and whether or not checkpoints are kept."""
    return replace(job, keep=False, images=replace(job.images, source="")).key


def recipe_digest(recipe: Recipe) -> str:
    """Tells recipes apart by their settings: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(recipe.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def network_key(network: Mapping[str, Any]) -> str:
    """Tells networks apart: a blueprint's own key, or a digest of another architecture."""
    if "layers" in network:
        return Blueprint.from_dict(dict(network)).key
    return hashlib.sha256(json.dumps(network, sort_keys=True).encode()).hexdigest()[:16]


def result_fields(result: TrialResult) -> dict[str, Any]:
    """What a result says, by the names of a trial's record; the curve, the objective and the end are not among them."""
    said = {spec.name: getattr(result, spec.name) for spec in fields(result) if spec.name not in ("outcome", "curve")}
    return {"state": result.outcome, **said}


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One process that searched: the first, or one that resumed after a crash or an interruption.

    Attributes:
        index: 0, 1, ... in the order of starting.
        started, ended: UTC; `ended` is None while it runs and after a crash.
        seen: UTC, its last sign of life.
        ending: `finished`, `exhausted` (finished, since nothing new was left to train), `out_of_time` (finished, since
            the search's own time was used up), `interrupted`, `paused`, `failed`, or empty while it runs and after a
            crash.
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

    @property
    def seconds(self) -> float:
        """Wall-clock so far, or until its last sign of life."""
        return max((self.ended or self.seen).timestamp() - self.started.timestamp(), 0.0)


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
