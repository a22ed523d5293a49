"""Search spaces by name: the two of the report, a user's own, and those that other packages bring."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from betanas.errors import SpaceError
from betanas.spaces.base import Range, SearchSpace
from betanas.spaces.betanet import BetaNet2, BetaNet3
from betanas.userfile import python_file, run_user_file

ENTRY_POINT_GROUP = "betanas.spaces"

_SPACES: dict[str, type[SearchSpace]] = {}
_Space = TypeVar("_Space", bound=type[SearchSpace])


def register_space(space: _Space) -> _Space:
    """Make a space known by its name; usable as a class decorator.

    Raises:
        SpaceError: another class has that name, there is no preset, or one names other parameters than the domain.
    """
    known = _SPACES.get(space.name)
    if known is not None and (known.__module__, known.__qualname__) != (space.__module__, space.__qualname__):
        raise SpaceError("A search space must have a name of its own.", value=space.name)
    if not space.presets:
        raise SpaceError("A search space must have at least one preset.", value=space.name)
    for preset in space.presets:
        space.from_preset(preset)  # a preset that does not fit the domain fails here, not in the middle of a search
    _SPACES[space.name] = space
    return space


register_space(BetaNet2)
register_space(BetaNet3)


def available_spaces() -> tuple[str, ...]:
    """The names `get_space` knows."""
    found = [entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)]
    return tuple(dict.fromkeys([*_SPACES, *found]))


def get_space(
    name: str,
    preset: str = "default",
    *,
    ranges: Mapping[str, tuple[float, float] | Range] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> SearchSpace:
    """A search space by name, or from a Python file that registers one.

    Args:
        name: `betanet2`, `betanet3`, a registered name, or the path of a `.py` file that registers exactly one space.
        preset: which of the space's ranges to search.
        ranges: other ranges for some parameters.
        fixed: values for parameters that are not to be searched.

    Raises:
        SpaceError: there is no such space or preset, or a range does not fit.
    """
    return _find(name).from_preset(preset).replace(ranges=ranges, fixed=fixed)


def _find(name: str) -> type[SearchSpace]:
    if name not in _SPACES and (file := python_file(name)):
        return _load_file(file)
    if name not in _SPACES:
        _load_entry_point(name)
    if name not in _SPACES:
        raise SpaceError(
            f"The search spaces are {', '.join(available_spaces())}.",
            value=name,
            hint="Type one of them, or the path of a .py file that registers your own.",
        )
    return _SPACES[name]


def _load_entry_point(name: str) -> None:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            try:
                register_space(entry.load())
            except Exception as error:
                raise SpaceError(
                    "A package's search space must load without errors.",
                    value=entry.value,
                    hint=f"{type(error).__name__}: {error}",
                ) from error


def _load_file(path: Path) -> type[SearchSpace]:
    kind = "A search space's file"
    hint = "The file must define a SearchSpace and register it with betanas.register_space."
    before = dict(_SPACES)
    try:
        run_user_file(path, kind=kind, error=SpaceError, hint=hint)
        added = [space for known, space in _SPACES.items() if before.get(known) is not space]
        if len(added) != 1:
            raise SpaceError(f"{kind} must register exactly one space.", value=len(added), hint=hint)
    except SpaceError:
        _restore(before)
        raise
    return added[0]


def _restore(before: Mapping[str, type[SearchSpace]]) -> None:
    _SPACES.clear()
    _SPACES.update(before)
