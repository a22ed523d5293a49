"""What a person asks for when they start a search; everything else follows from it in `betanas.search.planning`."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from betanas.errors import QuantityError, StudyError, UserError
from betanas.quantities import parse_bytes, parse_count
from betanas.search.objectives import SETTINGS as OBJECTIVE_SETTINGS
from betanas.search.objectives import Accuracy, ObjectiveSettings, read_objective
from betanas.training.compression import Compression


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SearchSettings:
    """A search, as asked for.

    Attributes:
        data: a data source's name (`digits`, `cifar100`, ...) or an image folder.
        study: where to keep the study: a directory, or a PostgreSQL URL that names it.
        space: a search space's name, or a `.py` file that registers one.
        preset: which of the space's ranges.
        ranges: other ranges for some parameters, (low, high).
        fixed: values for parameters that are not to be searched.
        resolution: side of the training images, in pixels; None for what suits the data.
        budget: training budget of a trial (`30s`, `5m`, `500steps`, `20epochs`).
        trials: trials to run.
        strategy: a search strategy's name.
        strategy_options: its options.
        objective: what is maximised: one of the dataclasses of `betanas.search.objectives`, its kind, a mapping of its
            fields, or a `.py` file.
        stop_early: whether trials that cannot win any more are ended before their budget is used up.
        recipe: a training recipe's name, or a TOML file.
        batch_size: images per step and process of a trial; None for the recipe's.
        flip: whether trials may train on mirror images, as the recipe says; None for what the data source says.
        seed: decides the split, the suggestions and each trial's initialisation.
        validation_share: part of the training images kept for validation.
        max_params, max_macs: the most a candidate may have.
        max_memory: the most bytes a training step may need; None for most of what the device has.
        lookahead: (resolution, parameters): limits on the same vector's network at a larger resolution.
        data_root: where downloaded data sets lie.
        plugins: Python files to run first, here and in every worker, for what they register.
        executor: who trains: `local` (worker processes), `ray` (a cluster's nodes) or `inline` (this process, for
            debugging).
        devices: `auto`, or device names.
        workers: trials at the same time; None for one a device.
        per_trial_devices: devices that one trial trains on together, with a process for each; on a processor,
            processes that share its cores.
        compression: of the gradients on their way between those processes.
        grace: seconds a trial may outlive its budget by before it is killed.
        address: of the Ray cluster: `auto` for the one this machine belongs to, its head's `HOST:PORT`, or None for a
            Ray of the search's own on this machine.
        trial_cpus: cores a trial takes of a Ray node; None for one a process.
        trial_gpus: the part of a GPU that a trial takes, where several share one.
        trial_resources: what else it takes of a Ray node, by the cluster's own names.
    """

    data: str
    study: str
    space: str = "betanet3"
    preset: str = "default"
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    resolution: int | None = None
    budget: str = "60s"
    trials: int = 50
    strategy: str = "gpei"
    strategy_options: dict[str, Any] = field(default_factory=dict)
    objective: Annotated[ObjectiveSettings, PlainValidator(read_objective)] = Accuracy()
    stop_early: bool = False
    recipe: str = "fast"
    batch_size: int | None = None
    flip: bool | None = None
    seed: int = 0
    validation_share: float = 0.1
    max_params: int | None = None
    max_macs: int | None = None
    max_memory: int | None = None
    lookahead: tuple[tuple[int, int], ...] = ()
    data_root: str | None = None
    plugins: tuple[str, ...] = ()
    executor: str = "local"
    devices: tuple[str, ...] = ("auto",)
    workers: int | None = None
    per_trial_devices: int = 1
    compression: Compression = "none"
    grace: float = 60.0
    address: str | None = None
    trial_cpus: int | None = None
    trial_gpus: float | None = None
    trial_resources: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class ResumeSettings:
    """What may change when a search goes on; None keeps the plan's.

    Attributes:
        trials: trials to run in all.
        data: where the images are on this machine; they must be the same images.
        executor, devices, workers, per_trial_devices, data_root: as in `SearchSettings`, on this machine.
        trust_files: whether the Python files that the study names may be run.
        address, trial_cpus, trial_gpus, trial_resources: as in `SearchSettings`; `local` for a Ray of the search's own.
    """

    trials: int | None = None
    data: str | None = None
    executor: str | None = None
    devices: tuple[str, ...] | None = None
    workers: int | None = None
    per_trial_devices: int | None = None
    data_root: str | None = None
    trust_files: bool = False
    address: str | None = None
    trial_cpus: int | None = None
    trial_gpus: float | None = None
    trial_resources: dict[str, float] | None = None


_FIELDS = tuple(spec.name for spec in dataclasses.fields(SearchSettings))
_READ_AS = {
    "max_params": parse_count,
    "max_macs": parse_count,
    "max_memory": parse_bytes,
}


def make_settings(given: Mapping[str, Any]) -> SearchSettings:
    """Settings from values by name; absent and None ones take their defaults.

    Sizes may be text (`30M`, `20GiB`). The objective's own settings (`cost`, `cost_target`, `cost_exponent`,
    `scaling_resolution`) may stand beside it.

    Raises:
        UserError: a name is unknown, one is missing, or a value has the wrong type.
    """
    values = {name: value for name, value in given.items() if value is not None}
    known = (*_FIELDS, *OBJECTIVE_SETTINGS)
    unknown = [name for name in values if name not in known]
    if unknown:
        raise StudyError(f"A search has the settings {', '.join(known)}.", value=", ".join(unknown))
    own = {name: values.pop(name) for name in OBJECTIVE_SETTINGS if name in values}
    values["objective"] = read_objective(values.get("objective", Accuracy()), own)
    for name, read in _READ_AS.items():
        if isinstance(values.get(name), str):
            values[name] = read(values[name], what=f"The limit {name}")
    if isinstance(values.get("lookahead"), (list, tuple)):
        values["lookahead"] = tuple(
            parse_lookahead(item) if isinstance(item, str) else item for item in values["lookahead"]
        )
    try:
        return TypeAdapter(SearchSettings).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "a search"
        if first["type"] == "missing":
            raise StudyError(f"A search needs the setting {where}.", hint=_MISSING_HINTS.get(where, "")) from error
        raise StudyError(f"The setting {where} is wrong: {first['msg'].lower()}.", value=first["input"]) from error


_MISSING_HINTS = {
    "data": "Type, for example, --data digits, or --data followed by a folder with a folder of images for each class.",
    "study": "Type, for example, --study runs/first.",
}


def parse_lookahead(text: str) -> tuple[int, int]:
    """Read `384:50M`: at resolution 384 at most 50 million parameters.

    Raises:
        QuantityError: the text is not a resolution and a count.
    """
    resolution, colon, count = text.partition(":")
    if not colon or not resolution.strip().isdigit():
        raise QuantityError(
            "A look-ahead limit must be a resolution and a number of parameters with a colon between them.",
            value=text,
            hint="Type, for example, 384:50M.",
        )
    return int(resolution), parse_count(count, what="A look-ahead limit")


def read_config(path: Path) -> dict[str, Any]:
    """Settings from a TOML file: the names of `SearchSettings`, tables for `ranges`, `fixed` and `objective`.

    Raises:
        StudyError: the file is missing or not TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise StudyError("A configuration file must be readable.", value=str(path), hint=str(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError("A configuration file must be TOML.", value=str(path), hint=str(error)) from error


def require(condition: bool, error: UserError) -> None:
    """Raise the error unless the condition holds."""
    if not condition:
        raise error
