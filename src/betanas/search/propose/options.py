"""Reads a strategy's options: plain values by name, checked against a frozen dataclass with a default for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

from betanas.errors import StrategyError

_Options = TypeVar("_Options")


def read_options(
    strategy: str, kind: type[_Options], given: Mapping[str, Any] | None, *, retired: Collection[str] = ()
) -> _Options:
    """The options of a strategy, defaults filled in.

    Args:
        strategy: its name, for the message.
        kind: a dataclass whose fields are the options, each an int, float, bool or str.
        given: values by name.
        retired: options that earlier versions had and old studies hold; they no longer do anything.

    Raises:
        StrategyError: an option is unknown, or has the wrong type, or a value that the dataclass refuses.
    """
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for name, value in (given or {}).items():
        if name in retired:
            continue
        if name not in known:
            listed = f"The strategy {strategy} has the options {', '.join(known)}."
            raise StrategyError(listed if known else f"The strategy {strategy} has no options.", value=name)
        wanted = hints[name]
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if not fits:
            raise StrategyError(f"The option {name} of {strategy} must be of type {wanted.__name__}.", value=value)
        values[name] = wanted(value)
    return kind(**values)


def require_at_least(name: str, value: float, least: float) -> None:
    """Refuse an option below its least value.

    Raises:
        StrategyError: it is.
    """
    if not value >= least:
        raise StrategyError(f"The option {name} must be at least {least:g}.", value=value)
