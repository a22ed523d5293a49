"""Search spaces by name: the two of the report, BetaNAS's own, a user's own, and those that other packages bring."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from betanas.errors import SpaceError
from betanas.registry import Registry
from betanas.spaces.base import Range, SearchSpace


def _check(space: type[SearchSpace]) -> None:
    if not space.presets:
        raise SpaceError("A search space must have at least one preset.", value=space.name)
    for preset in space.presets:
        space.from_preset(preset)  # a preset that does not fit the domain fails here, not in the middle of a search


SPACES: Registry[type[SearchSpace]] = Registry(
    "search space",
    group="betanas.spaces",
    error=SpaceError,
    built_in={
        "betanet2": "betanas.spaces.betanet:BetaNet2",
        "betanet3": "betanas.spaces.betanet:BetaNet3",
        "convnet": "betanas.spaces.convnet:ConvNet",
    },
    base=SearchSpace,
    register="betanas.register_space",
    check=_check,
)
register_space, available_spaces = SPACES.register, SPACES.names


def space_with(parameters: Collection[str]) -> str:
    """The name of the space that has exactly some parameters: what a vector alone says about where it is from.

    Raises:
        SpaceError: there is none.
    """
    for name in available_spaces():
        if set(SPACES.get(name).domain) == set(parameters):
            return name
    raise SpaceError(
        "No space has exactly the vector's parameters.",
        value=", ".join(map(str, parameters)),
        hint="Name the space with --space.",
    )


def get_space(
    name: str,
    preset: str = "default",
    *,
    ranges: Mapping[str, tuple[float, float] | Range] | None = None,
    fixed: Mapping[str, float] | None = None,
    blocks: str = "ordinary",
) -> SearchSpace:
    """A search space by name, or from a Python file that registers one.

    Args:
        name: `betanet2`, `betanet3`, `convnet`, a registered name, or the path of a `.py` file that registers exactly
            one space.
        preset: which of the space's ranges to search.
        ranges: other ranges for some parameters.
        fixed: values for parameters that are not to be searched.
        blocks: `ordinary`, `lite` or `lite-hardswish`, as in `SearchSpace.with_blocks`.

    Raises:
        SpaceError: there is no such space or preset, or a range does not fit.
    """
    return SPACES.get(name).from_preset(preset).with_blocks(blocks).replace(ranges=ranges, fixed=fixed)
