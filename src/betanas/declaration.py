"""Settings that are declared once: type, default, bounds and help text stand at the field of a frozen dataclass.

The command line, TOML files, Python's keyword arguments and a study's stored plan all read a setting through the same
declaration, so that each has the same defaults, the same bounds and the same messages.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, get_args

from betanas.errors import QuantityError, StudyError, UserError, did_you_mean


@dataclass(frozen=True, slots=True)
class Kind:
    """Which values a setting takes.

    Attributes:
        rule: what a value must be, as it reads after "must be".
        example: a value as a person types it.
        read: gives the value, from text as from the value itself; raises `ValueError` or a `UserError` for any other.
        write: gives what JSON holds, from which `read` makes the value again.
        metavar: what the command line's help shows in a value's place; empty for a switch.
        repeated: whether the command line takes the option several times.
        choices: the values, where there are only a few.
        known: `module:function` that gives names a shell may complete, where others are taken too.
        alone: whether a value can be read without the other settings.
    """

    rule: str
    example: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value
    metavar: str = "TEXT"
    repeated: bool = False
    choices: tuple[str, ...] = ()
    known: str = ""
    alone: bool = True


class _WrongItemError(ValueError):
    """One of several values is wrong."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it was declared.

    Attributes:
        name: its name in Python and in TOML files.
        kind: which values it takes.
        help: what it is, as a sentence.
        default: its value where none is given; `dataclasses.MISSING` where one has to be.
        flag: its command line option; empty where it has none.
        panel: the heading of the command line's help that it stands under.
        error: what a wrong value raises.
    """

    name: str
    kind: Kind
    help: str
    default: Any
    flag: str
    panel: str
    error: type[UserError]

    def read(self, given: object) -> Any:
        """The value, from whatever was given.

        Raises:
            UserError: it is no such value; the message has the rule, the value and an example.
        """
        try:
            return self.kind.read(given)
        except (ValueError, TypeError, OverflowError, UserError) as error:
            if isinstance(error, UserError) and not isinstance(error, QuantityError):
                raise  # it explains itself better than the declaration could
            label, wrong = self.flag or self.name, error.value if isinstance(error, _WrongItemError) else given
            hint = f"Type, for example, {label} {self.kind.example}." if self.kind.example else ""
            raise self.error(f"{label} must be {self.kind.rule}.", value=wrong, hint=hint) from error


def setting(
    kind: Kind,
    help: str,  # noqa: A002 - what everyone calls it
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    name: str = "",
    flag: str | None = None,
    panel: str = "",
) -> Any:
    """Declare a field of a `Group`.

    Args:
        kind: which values it takes.
        help: what it is, as a sentence.
        default: where none is given; without one, it has to be.
        default_factory: as in `dataclasses.field`.
        name: in Python and TOML, where it is not the field's.
        flag: the command line's option where it is not the name with dashes; empty for none.
        panel: the heading it stands under, where it is not its group's.
    """
    declared = {"kind": kind, "help": help, "name": name, "flag": flag, "panel": panel}
    return field(default=default, default_factory=default_factory, metadata=declared)


@dataclass(frozen=True, slots=True)
class Group:
    """Base of the groups of settings: whoever makes one gets every value read and checked.

    Attributes:
        panel: the heading of its options in the command line's help.
        error: what a wrong value raises.
    """

    panel: ClassVar[str] = ""
    error: ClassVar[type[UserError]] = StudyError

    def __post_init__(self) -> None:
        for name, declared in settings_of(type(self)).items():
            value = getattr(self, name)
            if value is not None or declared.default is not None:
                object.__setattr__(self, name, declared.read(value))

    def to_document(self) -> dict[str, Any]:
        """Its values as plain JSON; the group's constructor reads them again."""
        values = {name: (declared, getattr(self, name)) for name, declared in settings_of(type(self)).items()}
        return {name: None if value is None else one.kind.write(value) for name, (one, value) in values.items()}


def settings_of(group: type[Group]) -> Mapping[str, Setting]:
    """A group's settings by the names of its fields, in the order of their declaration."""
    found = {}
    for spec in fields(group):
        if "kind" not in spec.metadata:
            continue
        declared = dict(spec.metadata)
        name = declared["name"] or spec.name
        flag = f"--{name.replace('_', '-')}" if declared["flag"] is None else declared["flag"]
        default = spec.default if spec.default_factory is MISSING else spec.default_factory()
        panel = declared["panel"] or group.panel
        found[spec.name] = Setting(name, declared["kind"], declared["help"], default, flag, panel, group.error)
    return found


def refuse_unknown(given: Iterable[str], known: Iterable[str], *, what: str) -> None:
    """Refuse names that are no settings.

    Raises:
        StudyError: there is one; the message names what comes closest.
    """
    known = tuple(known)
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known, f"The settings are {', '.join(known)}.")
            raise StudyError(f"{what} has no such setting.", value=name, hint=hint)


# Kinds ---------------------------------------------------------------------------------------------------------------


def whole(low: int, high: int, *, example: str) -> Kind:
    """A whole number within bounds."""

    def read(given: Any) -> int:
        if isinstance(given, bool):
            raise TypeError("a number, not a truth value")
        value = int(given) if isinstance(given, str) else operator.index(given)
        if not low <= value <= high:
            raise ValueError("out of bounds")
        return value

    return Kind(f"a whole number from {low:,} to {high:,}", example, read, metavar="NUMBER")


def number(rule: str, accepts: Callable[[float], bool], *, example: str) -> Kind:
    """A finite number that keeps a rule."""

    def read(given: Any) -> float:
        value = as_number(given)
        if not accepts(value):
            raise ValueError("out of bounds")
        return value

    return Kind(rule, example, read, metavar="NUMBER")


def switch() -> Kind:
    """Yes or no."""

    def read(given: Any) -> bool:
        if not isinstance(given, bool):
            raise TypeError("neither true nor false")
        return given

    return Kind("true or false", "", read, metavar="")


def text(rule: str, *, example: str, metavar: str = "TEXT", known: str = "") -> Kind:
    """A name, a path or a URL."""
    return Kind(rule, example, _as_text, metavar=metavar, known=known)


def choice(values: Any) -> Kind:
    """One of the values of a `Literal` type."""
    choices = get_args(values)

    def read(given: Any) -> Any:
        if given not in choices:
            raise ValueError("not among the choices")
        return given

    return Kind(f"one of {', '.join(choices)}", choices[-1], read, metavar="|".join(choices), choices=choices)


def names(rule: str, *, example: str) -> Kind:
    """Several names, with commas between them where they are typed."""

    def read(given: Any) -> tuple[str, ...]:
        parts = given.split(",") if isinstance(given, str) else _listed(given)
        if not parts:
            raise ValueError("nothing")
        return tuple(_as_text(part).strip() for part in parts)

    return Kind(rule, example, read, write=list, metavar="NAMES")


def several(rule: str, read_one: Callable[[Any], Any], *, example: str, metavar: str) -> Kind:
    """Several values, each with an option of its own on the command line."""

    def read(given: Any) -> tuple[Any, ...]:
        return tuple(_item(read_one, each, each) for each in _listed(given))

    return Kind(rule, example, read, write=_plain, metavar=metavar, repeated=True)


def named(rule: str, read_one: Callable[[Any], Any], *, example: str) -> Kind:
    """Values by name: a mapping, or `name=value` for each of them."""

    def read(given: Any) -> dict[str, Any]:
        if isinstance(given, Mapping):
            return {_as_text(name): _item(read_one, value, f"{name}={value}") for name, value in given.items()}
        pairs = [(each, _item(_split, each, each)) for each in _listed(given)]
        return {name: _item(read_one, value, each) for each, (name, value) in pairs}

    return Kind(rule, example, read, write=_plain, metavar="NAME=VALUE", repeated=True)


def as_number(given: Any) -> float:
    """A finite number, from text too."""
    if isinstance(given, bool):
        raise TypeError("a number, not a truth value")
    value = float(given)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _as_text(given: Any) -> str:
    found = os.fspath(given)
    if not isinstance(found, str) or not found.strip():
        raise ValueError("no text")
    return found


def _item(read: Callable[[Any], Any], given: Any, shown: object) -> Any:
    try:
        return read(given)
    except (ValueError, TypeError, OverflowError, QuantityError) as error:
        raise _WrongItemError(shown) from error


def _listed(given: Any) -> list[Any]:
    if not isinstance(given, (list, tuple)):
        raise TypeError("not a list")
    return list(given)


def _split(given: Any) -> tuple[str, str]:
    name, equals, value = _as_text(given).partition("=")
    if not equals or not name.strip():
        raise ValueError("no name and value")
    return name.strip(), value


def _plain(value: Any) -> Any:
    """Tuples as lists and mappings as dictionaries, all the way down."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
