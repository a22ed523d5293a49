"""What a person asks for when they start a search; everything else follows from it in `betanas.search.planning`."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from betanas.errors import QuantityError, StudyError, UserError
from betanas.quantities import parse_bytes, parse_count


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
        objective: what is maximised.
        stop_early: whether trials that cannot win any more are ended before their budget is used up.
        recipe: a training recipe's name, or a TOML file.
        batch_size: images per step; None for the recipe's.
        seed: decides the split, the suggestions and each trial's initialisation.
        validation_share: part of the training images kept for validation.
        max_params, max_macs: the most a candidate may have.
        max_memory: the most bytes a training step may need; None for most of what the device has.
        lookahead: (resolution, parameters): limits on the same vector's network at a larger resolution.
        data_root: where downloaded data sets lie.
        plugins: Python files to run first, here and in every worker, for what they register.
        executor: who trains: `local` (worker processes) or `inline` (this process, for debugging).
        devices: `auto`, or device names.
        workers: trials at the same time; None for one a device.
        per_trial_devices: devices that one trial trains on together.
        grace: seconds a trial may outlive its budget by before it is killed.
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
    objective: str = "accuracy"
    stop_early: bool = False
    recipe: str = "fast"
    batch_size: int | None = None
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
    grace: float = 60.0


@dataclass(frozen=True, slots=True)
class ResumeSettings:
    """What may change when a search goes on; None keeps the plan's.

    Attributes:
        trials: trials to run in all.
        data: where the images are on this machine; they must be the same images.
        executor, devices, workers, per_trial_devices, data_root: as in `SearchSettings`, on this machine.
        trust_files: whether the Python files that the study names may be run.
    """

    trials: int | None = None
    data: str | None = None
    executor: str | None = None
    devices: tuple[str, ...] | None = None
    workers: int | None = None
    per_trial_devices: int | None = None
    data_root: str | None = None
    trust_files: bool = False


_FIELDS = tuple(spec.name for spec in dataclasses.fields(SearchSettings))
_READ_AS = {
    "max_params": parse_count,
    "max_macs": parse_count,
    "max_memory": parse_bytes,
}


def make_settings(given: Mapping[str, Any]) -> SearchSettings:
    """Settings from values by name; absent and None ones take their defaults.

    Sizes may be text (`30M`, `20GiB`).

    Raises:
        UserError: a name is unknown, one is missing, or a value has the wrong type.
    """
    values = {name: value for name, value in given.items() if value is not None}
    unknown = [name for name in values if name not in _FIELDS]
    if unknown:
        raise StudyError(f"A search has the settings {', '.join(_FIELDS)}.", value=", ".join(unknown))
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
    """Settings from a TOML file: the names of `SearchSettings`, tables for `ranges` and `fixed`.

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
