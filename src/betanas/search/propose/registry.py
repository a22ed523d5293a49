"""Search strategies by name: BetaNAS's own and those that a user or another package registers."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from betanas.errors import StrategyError
from betanas.search.propose.base import Strategy

ENTRY_POINT_GROUP = "betanas.strategies"
DEFAULT_STRATEGY = "gpei"

# Where each lives: a name costs no import of Ax, torch or Optuna until it is used.
_BUILT_IN = {
    "gpei": "betanas.search.propose.gpei:Gpei",
    "sobol": "betanas.search.propose.sequences:Sobol",
    "random": "betanas.search.propose.sequences:Random",
    "tpe": "betanas.search.propose.tpe:Tpe",
    "evolution": "betanas.search.propose.evolution:Evolution",
    "local": "betanas.search.propose.local:Local",
    "report": "betanas.search.propose.report:Report",
}

_REGISTERED: dict[str, type[Strategy]] = {}
_Strategy = TypeVar("_Strategy", bound=type[Strategy])


def register_strategy(strategy: _Strategy) -> _Strategy:
    """Make a strategy known by its name; usable as a class decorator.

    Raises:
        StrategyError: another class has that name.
    """
    known = _REGISTERED.get(strategy.name)
    taken = strategy.name in _BUILT_IN or (known is not None and known.__qualname__ != strategy.__qualname__)
    if taken:
        raise StrategyError("A search strategy must have a name of its own.", value=strategy.name)
    _REGISTERED[strategy.name] = strategy
    return strategy


def available_strategies() -> tuple[str, ...]:
    """The names `get_strategy` knows, the default first."""
    found = [entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)]
    return tuple(dict.fromkeys([*_BUILT_IN, *_REGISTERED, *found]))


def get_strategy(name: str) -> type[Strategy]:
    """A strategy's class by name; construct it with a problem, a seed and its options.

    Raises:
        StrategyError: there is no such strategy.
        MissingExtraError: the strategy needs a package that is not installed.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        strategy: type[Strategy] = getattr(import_module(module), attribute)
        return strategy
    if name not in _REGISTERED:
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            if entry.name == name:
                register_strategy(entry.load())
    if name not in _REGISTERED:
        raise StrategyError(f"The search strategies are {', '.join(available_strategies())}.", value=name)
    return _REGISTERED[name]
