"""What a search maximises, as data: accuracy, accuracy weighed against a cost, a front, or a function of the user's.

A study's plan holds one of these frozen dataclasses; `betanas.search.scoring` turns a trial into its number. Reading
them needs neither torch nor model libraries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from betanas.errors import StrategyError
from betanas.quantities import format_count, parse_count
from betanas.registry import NAME, Registry
from betanas.userfile import python_file

# Tan et al. (2019), section 3.1: doubling the latency is worth 5% of accuracy, which gives the exponent -0.07.
MNASNET_EXPONENT = -0.07

CompoundCost = Literal["params", "macs", "seconds", "latency"]
FrontCost = Literal["params", "macs", "memory", "latency"]

_COST_WORDS: Mapping[str, str] = {
    "params": "parameters",
    "macs": "multiply-accumulates",
    "memory": "training memory",
    "seconds": "training seconds",
    "latency": "seconds of an answer",
}
_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s)?\s*")
_UNITS = {"us": 1e-6, "ms": 1e-3}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Best validation top-1 within the budget (section 4.4.3 of the report)."""

    kind: Literal["accuracy"] = "accuracy"

    def __str__(self) -> str:
        return "accuracy"


@dataclass(frozen=True, slots=True)
class Compound:
    """accuracy x (cost / target) ** exponent: MnasNet's soft constraint (Tan et al. 2019, equation 2, alpha = beta).

    Attributes:
        cost: `params`, `macs`, `seconds` (of the training) or `latency` (seconds of an answer by the search's latency
            table; without one, measured seconds of an image in training, where the trial ran).
        target: the cost at which accuracy counts as it is; in the cost's unit.
        exponent: negative, unless more is better.
    """

    cost: CompoundCost
    target: float
    exponent: float = MNASNET_EXPONENT
    kind: Literal["compound"] = "compound"

    def __post_init__(self) -> None:
        _require_cost(self.kind, self.cost, get_args(CompoundCost))
        _require_trade(self.kind, self.target, self.exponent)

    def __str__(self) -> str:
        counted = self.cost in ("params", "macs")
        target = format_count(self.target) if counted else f"{self.target:g} s"
        return f"accuracy x ({_COST_WORDS[self.cost]} / {target})^{self.exponent:g}"


@dataclass(frozen=True, slots=True)
class Scaling:
    """accuracy x (ratio / target) ** exponent, with parameters at a larger resolution over those at the search's.

    The scaling ratio (section 8.1 of the report) is how a network pays for more pixels.

    Attributes:
        resolution: the larger one.
        target: the ratio at which accuracy counts as it is.
        exponent: negative, unless more is better.
    """

    resolution: int
    target: float = 1.0
    exponent: float = MNASNET_EXPONENT
    kind: Literal["scaling"] = "scaling"

    def __post_init__(self) -> None:
        if type(self.resolution) is not int or self.resolution < 1:
            raise StrategyError("The scaling objective's resolution must be a number of pixels.", value=self.resolution)
        _require_trade(self.kind, self.target, self.exponent)

    def __str__(self) -> str:
        return f"accuracy x (parameters at R={self.resolution} over the search's / {self.target:g})^{self.exponent:g}"


@dataclass(frozen=True, slots=True)
class Pareto:
    """Accuracy and a cost at once: the networks that no other beats in both. A trial's value is its accuracy.

    Attributes:
        cost: `params`, `macs`, `memory` or `latency` (by the search's latency table), which are known before a network
            is trained.
    """

    cost: FrontCost
    kind: Literal["pareto"] = "pareto"

    def __post_init__(self) -> None:
        _require_cost(self.kind, self.cost, get_args(FrontCost))

    def __str__(self) -> str:
        return f"accuracy and {'little' if self.cost == 'memory' else 'few'} {_COST_WORDS[self.cost]}"


@dataclass(frozen=True, slots=True)
class OwnFunction:
    """The function `objective(record, blueprint)` of a user's Python file; it returns a number, or None for no result.

    Attributes:
        file: the file's path.
    """

    file: str
    kind: Literal["function"] = "function"

    def __post_init__(self) -> None:
        if type(self.file) is not str:
            raise StrategyError("An objective's file must be a path.", value=self.file, hint="Type my_objective.py.")

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that `register_objective` has made known.

    Attributes:
        name: what it is registered by.
    """

    name: str
    kind: Literal["registered"] = "registered"

    def __post_init__(self) -> None:
        if type(self.name) is not str or not NAME.fullmatch(self.name) or self.name in _KINDS:
            raise OBJECTIVES.unknown(str(self.name))

    def __str__(self) -> str:
        return self.name


_KINDS: Mapping[str, type[Accuracy | Compound | Scaling | Pareto | OwnFunction | Registered]] = {
    "accuracy": Accuracy,
    "compound": Compound,
    "scaling": Scaling,
    "pareto": Pareto,
    "function": OwnFunction,
    "registered": Registered,
}

ObjectiveSettings = Accuracy | Compound | Scaling | Pareto | OwnFunction | Registered


def _check(function: Callable[..., object]) -> None:
    if not callable(function):
        raise StrategyError("An objective must be a function of a record and a blueprint.", value=function)


OBJECTIVES: Registry[Callable[..., Any]] = Registry(
    "objective",
    group="betanas.objectives",
    error=StrategyError,
    built_in={kind: f"{__name__}:{_KINDS[kind].__name__}" for kind in ("accuracy", "compound", "scaling", "pareto")},
    base=None,
    register="betanas.register_objective",
    attribute="objective",
    check=_check,
)
_Function = TypeVar("_Function", bound=Callable[..., float | None])


def register_objective(function: _Function, *, name: str | None = None) -> _Function:
    """Make an objective known by its name; usable as a decorator.

    Args:
        function: of a finished trial's `TrialRecord` and its `Blueprint`; it returns the number that is maximised, or
            None for a trial without a result.
        name: what is typed to choose it; unless given, the function's name with hyphens for underscores.

    Raises:
        StrategyError: another objective has that name, or it is no function.
    """
    OBJECTIVES.register_as(name or getattr(function, "__name__", "").replace("_", "-"), function)
    return function


# What a search's settings call the fields of an objective, as its options do on the command line.
SETTINGS: Mapping[str, str] = {
    "cost": "cost",
    "cost_target": "target",
    "cost_exponent": "exponent",
    "scaling_resolution": "resolution",
}

_EXAMPLES = {
    "compound": "--objective compound --cost params --cost-target 5M",
    "scaling": "--objective scaling --scaling-resolution 384",
    "pareto": "--objective pareto --cost params",
    "function": "--objective my_objective.py",
}


def read_objective(given: object, settings: Mapping[str, Any] | None = None) -> ObjectiveSettings:
    """An objective from what a person gave.

    Args:
        given: an objective; its kind, a registered name or a `.py` file as text; or a mapping of its fields (a
            configuration's table). Whether a name is registered is seen when the search is planned, after its plug-ins.
        settings: further fields by the names of `SETTINGS`, which win over those in `given`.

    Raises:
        StrategyError: there is no such objective, a field is missing, does not belong to it, or has no sensible value.
    """
    values = _as_mapping(given)
    kind = str(values.get("kind"))
    if kind not in _KINDS:
        raise OBJECTIVES.unknown(kind)
    made = _KINDS[kind]
    known = {spec.name: spec for spec in fields(made)}
    for setting, value in (settings or {}).items():
        if SETTINGS[setting] not in known:
            owners = [name for name, other in _KINDS.items() if SETTINGS[setting] in other.__dataclass_fields__]
            raise StrategyError(
                f"The setting {setting.replace('_', '-')} belongs to the objectives {' and '.join(owners)}.",
                value=f"objective {kind}",
                hint=f"Type, for example, {_EXAMPLES[owners[0]]}.",
            )
        values[SETTINGS[setting]] = value
    if unknown := [name for name in values if name not in known]:
        raise StrategyError(f"The objective {kind} has the fields {', '.join(known)}.", value=", ".join(unknown))
    missing = [spec.name for spec in known.values() if spec.default is MISSING and spec.name not in values]
    if missing:
        raise StrategyError(
            f"The objective {kind} needs its {' and '.join(missing)}.", hint=f"Type, for example, {_EXAMPLES[kind]}."
        )
    for name in ("target", "exponent"):
        if name in values:
            values[name] = _number(values[name], name, values.get("cost"))
    return made(**values)


def _as_mapping(given: object) -> dict[str, Any]:
    if isinstance(given, tuple(_KINDS.values())):
        return asdict(given)  # type: ignore[call-overload, no-any-return]
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str) or given in _KINDS:
        return {"kind": given}
    return {"kind": "function", "file": given} if python_file(given) else {"kind": "registered", "name": given}


def _number(value: object, name: str, cost: object) -> float:
    """A target (`5M` parameters, `10ms`) or an exponent."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value)
    if name == "target" and cost in ("params", "macs"):
        return float(parse_count(text, what="A target"))
    if name == "target" and cost in ("seconds", "latency"):
        match = _SECONDS.fullmatch(text)
        if match:
            return float(match[1]) * _UNITS.get(match[2], 1.0)
        raise StrategyError("A target in seconds must be a time.", value=text, hint="Type, for example, 20s or 10ms.")
    try:
        return float(text)
    except ValueError:
        raise StrategyError(f"An objective's {name} must be a number.", value=text) from None


def _require_cost(kind: str, cost: object, known: tuple[str, ...]) -> None:
    if cost not in known:
        raise StrategyError(f"The costs of the objective {kind} are {', '.join(known)}.", value=cost)


def _require_trade(kind: str, target: float, exponent: float) -> None:
    if not (math.isfinite(target) and target > 0):
        raise StrategyError(f"The {kind} objective's target must be positive.", value=target)
    if not (math.isfinite(exponent) and exponent != 0):
        raise StrategyError(
            f"The {kind} objective's exponent must not be zero.",
            value=exponent,
            hint=f"Type, for example, {MNASNET_EXPONENT}; leave --objective out for accuracy alone.",
        )
