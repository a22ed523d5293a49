"""What a person asks for when they start a search, in five groups; each setting is declared once, here.

The command line, TOML files and Python give the settings by name, side by side (`--max-params 30M`,
`max_params="30M"`); inside they lie in groups (`plan.limits.params`), which a study's plan holds as they are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from betanas.blocks import Blocks, space_title
from betanas.declaration import (
    Group,
    Kind,
    Setting,
    as_number,
    choice,
    named,
    names,
    number,
    refuse_unknown,
    setting,
    settings_of,
    several,
    switch,
    text,
    whole,
)
from betanas.errors import DataError, DeviceError, QuantityError, StudyError, UserError
from betanas.files import read_document
from betanas.quantities import (
    MAX_RESOLUTION,
    MIN_RESOLUTION,
    parse_bytes,
    parse_count,
    parse_latency,
    parse_range,
)
from betanas.search.objectives import SETTINGS as OBJECTIVE_FIELDS
from betanas.search.objectives import Accuracy, ObjectiveSettings, read_objective
from betanas.training.budget import Budget
from betanas.training.compression import Compression

if TYPE_CHECKING:
    from betanas.cost.latency import LatencyModel

CLUSTER = "On a Ray cluster"

# Trials of a search that a time alone ends.
ENDLESS = 1_000_000

AUTO: Literal["auto"] = "auto"

_LONGEST_ANSWER = 3600.0  # seconds

_MOST = 10**15  # of anything counted: far more than any machine holds, and well within what databases keep


def parse_lookahead(given: Any) -> tuple[int, int]:
    """Read `384:50M`: at resolution 384 at most 50 million parameters.

    Raises:
        QuantityError: it is not a resolution and a count.
    """
    resolution, count = given.split(":", 1) if isinstance(given, str) and ":" in given else (given, None)
    if isinstance(given, (list, tuple)) and len(given) == 2:
        resolution, count = given
    try:
        return SIDE.read(resolution), _count(count)
    except (ValueError, TypeError, QuantityError) as error:
        raise QuantityError(
            "A look-ahead limit must be a resolution and a number of parameters with a colon between them.",
            value=given,
            hint="Type, for example, 384:50M.",
        ) from error


def _count(given: Any) -> int:
    value = parse_count(given)
    if value > _MOST:
        raise ValueError("too many")
    return value


def _bytes(given: Any) -> int:
    value = parse_bytes(given)
    if value > _MOST:
        raise ValueError("too many")
    return value


def _latency(given: Any) -> float:
    value = parse_latency(given) if isinstance(given, str) else as_number(given)
    if not 0 < value <= _LONGEST_ANSWER:
        raise ValueError("no time that an answer takes")
    return value


def _latency_model(given: Any) -> LatencyModel:
    """A table's model, from its file, from a plan's document, or as it is."""
    from betanas.cost.latency import LatencyModel  # NumPy takes half as long to load as all the options

    if isinstance(given, LatencyModel):
        return given
    return (
        LatencyModel.from_document(given) if isinstance(given, Mapping) else LatencyModel.load(_TABLE_FILE.read(given))
    )


def _range(given: Any) -> tuple[float, float]:
    low, high = parse_range(given) if isinstance(given, str) else given
    return as_number(low), as_number(high)


def _networks(given: Any) -> tuple[str, ...]:
    return () if given == "none" or given == () or given == [] else _NETWORKS.read(given)


_NETWORKS = names("benchmark networks' names with commas between them, or none", example="plain4,resnet20")


def _budget(given: Any) -> Budget:
    budget = Budget.parse(given)
    if budget.amount > _MOST:
        raise ValueError("too long")
    return budget


def _duration(given: Any) -> Budget:
    budget = _budget(given)
    if budget.unit != "seconds":
        raise ValueError("not a time")
    return budget


def _options(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError("not a table")
    return dict(given)


STUDY_KIND = text("a directory or a PostgreSQL URL", example="runs/first", metavar="PLACE")
SIDE = whole(MIN_RESOLUTION, MAX_RESOLUTION, example="64")
COUNT = Kind("a positive number with an optional suffix k, M or G", "30M", _count, metavar="COUNT")
MEMORY = Kind("a positive number of bytes with a unit", "20GiB", _bytes, metavar="SIZE")
LATENCY = Kind("a positive time with one of the units us, ms or s", "3ms", _latency, metavar="TIME")
_TABLE_FILE = text("the file of a latency table", example="latency.json", metavar="FILE")
LATENCY_TABLE = Kind(
    _TABLE_FILE.rule,
    "latency.json",
    _latency_model,
    write=lambda model: model.to_document(),
    metavar="FILE",
)


def _workers(given: Any) -> int | Literal["auto"]:
    count: int = _WORKER_COUNT.read(given) if given != AUTO else 0
    return count or AUTO


_WORKER_COUNT = whole(1, 1024, example="2")
WORKERS = Kind(f"{_WORKER_COUNT.rule}, or auto", "2", _workers, metavar="NUMBER|auto")
LOOKAHEAD = several(
    "a resolution and a number of parameters with a colon between them",
    parse_lookahead,
    example="384:50M",
    metavar="SIDE:COUNT",
)
BUDGET = Kind(
    "a positive number with one of the units s, m, h, steps or epochs",
    "30s, 5m, 500steps or 20epochs",
    _budget,
    write=str,
    metavar="BUDGET",
)
DURATION = Kind("a positive number with one of the units s, m or h", "30m", _duration, write=str, metavar="TIME")


@dataclass(frozen=True, slots=True)
class DataSettings(Group):
    """Which images, and how they are divided."""

    panel: ClassVar[str] = "What to search"
    error: ClassVar[type[UserError]] = DataError

    source: str = setting(
        text(
            "a data set's name or an image folder",
            example="digits",
            metavar="DATA",
            known="betanas.data.registry:available_sources",
        ),
        "A data set's name (digits, cifar100, ...) or an image folder.",
        name="data",
    )
    resolution: int | None = setting(
        SIDE,
        "Side of the training images, in pixels; that of the images, from 16 to 64, where not given.",
        default=None,
        panel="How a trial trains",
    )
    validation_share: float = setting(
        number("a number between 0 and 1", lambda value: 0 < value < 1, example="0.1"),
        "Share of the training images to judge by.",
        default=0.1,
        panel="How a trial trains",
    )


@dataclass(frozen=True, slots=True)
class TrainingSettings(Group):
    """How a trial trains."""

    panel: ClassVar[str] = "How a trial trains"

    budget: Budget = setting(
        BUDGET, "A trial's training budget: 30s, 5m, 1h, 500steps, 20epochs.", default=Budget(60.0, "seconds")
    )
    recipe: str = setting(
        text(
            "a training recipe's name or a TOML file", example="fast", known="betanas.training.recipe:builtin_recipes"
        ),
        "Training recipe: fast, paper, or a TOML file.",
        default="fast",
    )
    batch_size: int | None = setting(
        whole(1, 65_536, example="64"),
        "Images a training step, on each of a trial's devices; the recipe's where not given.",
        default=None,
    )
    flip: bool | None = setting(
        switch(),
        "Whether a mirror image is still of its class; unless given, what the data source knows.",
        default=None,
    )
    teacher: str | None = setting(
        text(
            "one of timm's networks, a training's folder or an ONNX file",
            example="timm:tf_efficientnet_lite0",
            metavar="TEACHER",
        ),
        "A network whose answers to the training images are learned beside the labels: timm:NAME, the folder of a "
        "training, or an ONNX file.",
        default=None,
    )
    teacher_share: float = setting(
        number("a number from 0 up to 1", lambda value: 0 <= value < 1, example="0.2"),
        "Share of the time for which a teacher of timm's is fine-tuned on the training images first.",
        default=0.0,
    )
    compression: Compression = setting(choice(Compression), "Of gradients between a trial's devices.", default="none")
    stop_early: bool = setting(switch(), "End trials that cannot win.", default=False)


@dataclass(frozen=True, slots=True)
class Limits(Group):
    """What a candidate may cost at the search resolution; None where there is no limit.

    Attributes:
        latency: seconds of an answer, as the table predicts them.
        latency_table: predicts latencies; its content, so that a study needs no file.
        lookahead: (resolution, parameters) pairs: the same vector's network at a larger resolution must also stay
            within that many parameters (weeks 9 and 10 of the report's Appendix B).
    """

    panel: ClassVar[str] = "What a candidate may cost"

    params: int | None = setting(COUNT, "Most parameters: 30M.", default=None, name="max_params")
    macs: int | None = setting(COUNT, "Most multiply-accumulates an image: 2G.", default=None, name="max_macs")
    memory: int | None = setting(
        MEMORY,
        "Most memory of a training step: 20GiB; most of what the device has where not given.",
        default=None,
        name="max_memory",
    )
    latency: float | None = setting(
        LATENCY, "Most time of an answer, as the latency table predicts it: 3ms.", default=None, name="max_latency"
    )
    latency_table: LatencyModel | None = setting(
        LATENCY_TABLE,
        "A latency table, by betanas profile --calibrate: latency.json.",
        default=None,
    )
    lookahead: tuple[tuple[int, int], ...] = setting(
        LOOKAHEAD, "Most parameters at a larger resolution: 384:50M.", default=()
    )


@dataclass(frozen=True, slots=True)
class MachineSettings(Group):
    """Where trials train. These alone may differ from one session of a study to the next.

    Attributes:
        per_trial_devices: with a process on each; on a processor, processes that share the worker's cores.
        threads: of each of a trial's processes, never more than it has cores; on accelerators it counts for nothing.
        trial_resources: by the cluster's own names.
    """

    panel: ClassVar[str] = "Where"
    error: ClassVar[type[UserError]] = DeviceError

    data_root: str | None = setting(
        text("a folder", example="~/datasets", metavar="FOLDER"),
        "Where downloaded data sets lie on this machine.",
        default=None,
    )
    executor: str = setting(
        text("an executor's name", example="local", known="betanas.search.executors.registry:available_executors"),
        "Who trains: local (worker processes), ray (a cluster) or inline.",
        default="local",
    )
    devices: tuple[str, ...] = setting(
        names("auto, cpu, cuda, or devices' names with commas", example="cuda:0,cuda:1"),
        "auto, cpu, cuda, or names with commas.",
        default=("auto",),
    )
    workers: int | Literal["auto"] | None = setting(
        WORKERS,
        "Trials at the same time, here; one a device where not given; auto: as many on each GPU as gains, by a "
        "measurement.",
        default=None,
    )
    per_trial_devices: int = setting(
        whole(1, 1024, example="2"),
        "Devices a trial trains on; with cpu, processes that share cores.",
        default=1,
    )
    threads: int | None = setting(
        whole(1, 4096, example="1"),
        "Processor threads a trial computes with; measured where not given: all of its cores, or one where more gain "
        "nothing.",
        default=None,
    )
    grace: float = setting(
        number("a positive number of seconds", lambda value: 0 < value <= 1e6, example="60"),
        "Seconds a trial may outlive its budget by.",
        default=60.0,
    )
    address: str | None = setting(
        text("auto, local, or HOST:PORT", example="auto"),
        "The Ray cluster: auto for this machine's, HOST:PORT, or local for one of its own.",
        default=None,
        panel=CLUSTER,
    )
    trial_cpus: int | None = setting(
        whole(1, 4096, example="4"),
        "Cores a trial takes of a Ray node; one a process where not given.",
        default=None,
        panel=CLUSTER,
    )
    trial_gpus: float | None = setting(
        number("the part of a GPU that a trial takes: above 0, at most 1", lambda part: 0 < part <= 1, example="0.5"),
        "The part of a GPU a trial takes, where several share one: 0.5.",
        default=None,
        panel=CLUSTER,
    )
    trial_resources: Mapping[str, float] = setting(
        named("a resource's name and a number with = between them", as_number, example="H100=1"),
        "What else a trial takes of a Ray node: name=1.",
        default_factory=dict,
        flag="--trial-resource",
        panel=CLUSTER,
    )

    @property
    def worker_count(self) -> int | None:
        """How many workers were asked for; None: one a device, or so many as are still to be chosen."""
        return None if self.workers == AUTO else self.workers


@dataclass(frozen=True, slots=True)
class ProposalSettings(Group):
    """Which networks are proposed, what is maximised, and when the search has had enough.

    Attributes:
        ranges: (low, high) of some parameters; in a plan, of every one.
        fixed: values of parameters that are not to be searched; in a plan they are ranges.
        objective: one of the dataclasses of `betanas.search.objectives`, its kind, a mapping of its fields, or a `.py`
            file.
        seed: decides the split, the suggestions and each trial's initialisation.
        prior: places of finished studies to learn from; empty in a plan, which holds what they taught (`lessons`).
        baselines: benchmark networks that are trained before the first trial, with the images, recipe and budget of
            the trials; in a plan never None, but in one of before there were any.
        time: wall-clock of the whole search, over all its sessions; None for no limit.
        training_time: training seconds of all its trials; None for no limit.
    """

    panel: ClassVar[str] = "What to search"

    space: str = setting(
        text("a search space's name or a .py file", example="betanet3", known="betanas.spaces:available_spaces"),
        "A search space, or a .py file that registers one.",
        default="betanet3",
    )
    preset: str = setting(
        text("the name of a space's preset", example="default"), "Which ranges of the space.", default="default"
    )
    blocks: Blocks = setting(
        choice(Blocks),
        "Of the networks: as the space describes them; lite, without squeeze-excitation and with ReLU6, for 8 bits and "
        "small processors; or lite-hardswish.",
        default="ordinary",
    )
    ranges: Mapping[str, tuple[float, float]] = setting(
        named("a parameter's name and a range with = between them", _range, example="k=2:4"),
        "Another range for a parameter: k=2:4.",
        default_factory=dict,
        flag="--range",
    )
    fixed: Mapping[str, float] = setting(
        named("a parameter's name and a number with = between them", as_number, example="B=0.3"),
        "A fixed value for a parameter: B=0.3.",
        default_factory=dict,
        flag="--fix",
    )
    widen: bool = setting(
        switch(), "Extend ranges at whose ends the best trials crowd, as far as the space goes.", default=False
    )
    strategy: str = setting(
        text("a search strategy's name", example="gpei", known="betanas.search.propose.registry:available_strategies"),
        "Search strategy.",
        default="gpei",
    )
    strategy_options: Mapping[str, Any] = setting(
        Kind("a table of the strategy's own options", "", _options, write=dict),
        "The strategy's own options.",
        default_factory=dict,
        flag="",
    )
    prior: tuple[str, ...] = setting(
        several(STUDY_KIND.rule, STUDY_KIND.read, example=STUDY_KIND.example, metavar=STUDY_KIND.metavar),
        "A finished study of the same space to learn from, of whatever images, resolution and budget.",
        default=(),
    )
    objective: ObjectiveSettings = setting(
        Kind("an objective", "accuracy", read_objective, write=asdict, alone=False),
        "accuracy; compound (weighed by a cost); scaling (by its growth with the resolution); pareto (accuracy and a "
        "low cost); or a .py file.",
        default=Accuracy(),
        panel="What to maximise",
    )
    trials: int = setting(
        whole(1, ENDLESS, example="50"), "Trials to run; as many as the time holds where one is given.", default=50
    )
    designs: bool = setting(
        switch(),
        "Try the known networks that the space contains (plain, ResNet-like, ...) before anything is suggested.",
        default=True,
    )
    time: Budget | None = setting(
        DURATION, "Wall-clock of the whole search: 30m; no trial is begun that cannot end in it.", default=None
    )
    training_time: Budget | None = setting(DURATION, "Training seconds of all trials together: 10m.", default=None)
    baselines: tuple[str, ...] | None = setting(
        replace(_NETWORKS, read=_networks, known="betanas.models:available_networks"),
        "Networks to train first and to compare with, or none; plain4 and plain6 in a search of 20 trials or more.",
        default=None,
    )
    seed: int = setting(whole(0, 2**32 - 1, example="0"), "Decides everything random.", default=0)
    plugins: tuple[str, ...] = setting(
        several("a Python file", text("a file", example="mine.py").read, example="mine.py", metavar="FILE"),
        "A Python file to run first, for what it registers.",
        default=(),
        flag="--plugin",
    )

    @property
    def space_title(self) -> str:
        """The space as people call it, with its blocks where they are not its own."""
        return space_title(self.space, self.blocks)

    @property
    def planned(self) -> int | None:
        """Trials planned; None where a time alone ends the search."""
        return None if self.trials == ENDLESS else self.trials


_OBJECTIVE_HELP = {
    "cost": "compound: params, macs, seconds or latency; pareto: params, macs, memory or latency.",
    "cost_target": "compound, scaling: where accuracy counts as it is: 5M, 10ms.",
    "cost_exponent": "compound, scaling: the cost's weight; -0.07 where not given.",
    "scaling_resolution": "scaling: the larger resolution, in pixels.",
}

# The objective's own fields, which stand beside it where settings are given by name; inside they are its fields.
OBJECTIVE_SETTINGS = tuple(
    Setting(
        name,
        SIDE if name == "scaling_resolution" else Kind("a value of the objective's", "5M", lambda value: value),
        _OBJECTIVE_HELP[name],
        None,
        f"--{name.replace('_', '-')}",
        "What to maximise",
        StudyError,
    )
    for name in OBJECTIVE_FIELDS
)

GROUPS: Mapping[str, type[Group]] = {
    "data": DataSettings,
    "search": ProposalSettings,
    "limits": Limits,
    "training": TrainingSettings,
    "machine": MachineSettings,
}

# Every setting of a search by its name, with its group and its field there.
SETTINGS: Mapping[str, Setting] = {
    one.name: one for group in GROUPS.values() for one in settings_of(group).values()
} | {one.name: one for one in OBJECTIVE_SETTINGS}
_PLACES = {one.name: (name, field) for name, group in GROUPS.items() for field, one in settings_of(group).items()}

# What may change when a study goes on: where it trains, how long, and whether its ranges grow.
EXTENT = ("trials", "time", "training_time", "widen")
RESUMABLE = (
    *EXTENT,
    "data",
    *(one.name for one in settings_of(MachineSettings).values()),
)


STUDY = Setting(
    "study",
    STUDY_KIND,
    "Where to keep the study: a new directory.",
    MISSING,
    "--study",
    "What to search",
    StudyError,
)


@dataclass(frozen=True, init=False)
class SearchSettings:
    """A search, as asked for: `SearchSettings(data="digits", study="runs/digits", budget="10s")`.

    Takes every setting by name, as `betanas search --help` lists them, and reads text as the command line does. What
    was read lies in groups: `settings.training.budget`.

    Attributes:
        study: where to keep the study: a directory, or a PostgreSQL URL that names it.
        data, search, limits, training, machine: the groups.

    Raises:
        UserError: a name is unknown, one is missing, or a value makes no sense.
    """

    study: str
    data: DataSettings
    search: ProposalSettings
    limits: Limits
    training: TrainingSettings
    machine: MachineSettings

    def __init__(self, **given: object) -> None:
        refuse_unknown(given, ("study", *SETTINGS), what="A search")
        for name, example in _NEEDED.items():
            if given.get(name) is None:
                raise StudyError(f"A search needs the setting {name}.", hint=f"Type, for example, --{name} {example}.")
        object.__setattr__(self, "study", STUDY.read(given.pop("study")))
        if given.get("trials") is None and (given.get("time") or given.get("training_time")):
            given["trials"] = ENDLESS
        grouped = in_groups(given)
        for name, group in GROUPS.items():
            object.__setattr__(self, name, group(**grouped[name]))


_NEEDED = {
    "data": "digits, or --data followed by a folder with a folder of images for each class",
    "study": "runs/first",
}


@dataclass(frozen=True, init=False)
class ResumeSettings:
    """What is to be different when a study goes on: where it trains and how long; `ResumeSettings(workers=2)`.

    Attributes:
        changes: the settings that were given, by name (`RESUMABLE` lists what may be), as they were given.
        trust_files: whether the Python files that the study names may be run.

    Raises:
        UserError: a name is unknown, or a value makes no sense.
    """

    changes: Mapping[str, object]
    trust_files: bool

    def __init__(self, *, trust_files: bool = False, **given: object) -> None:
        refuse_unknown(given, RESUMABLE, what="Going on with a study")
        changes = {name: SETTINGS[name].read(value) for name, value in given.items() if value is not None}
        object.__setattr__(self, "changes", changes)
        object.__setattr__(self, "trust_files", trust_files)


def in_groups(given: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Settings by name as fields of the groups; the objective's own settings become part of it. None is left out.

    Raises:
        StrategyError: the objective and its settings make no sense together.
    """
    values = {name: value for name, value in given.items() if value is not None}
    own = {name: SETTINGS[name].read(values.pop(name)) for name in OBJECTIVE_FIELDS if name in values}
    if own:
        values["objective"] = read_objective(values.get("objective", Accuracy()), own)
    grouped: dict[str, dict[str, object]] = {name: {} for name in GROUPS}
    for name, value in values.items():
        group, field = _PLACES[name]
        grouped[group][field] = value
    return grouped


def read_config(path: Path) -> dict[str, Any]:
    """Settings from a TOML file, by name; tables for `ranges`, `fixed` and `objective`.

    Raises:
        StudyError: the file is missing or not TOML.
    """
    try:
        return tomllib.loads(read_document(path))
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError("A configuration file must be readable.", value=str(path), hint=str(error)) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError("A configuration file must be TOML.", value=str(path), hint=str(error)) from error
