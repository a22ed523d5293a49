"""Scaling rules by name."""

from __future__ import annotations

from collections.abc import Callable

from betanas.errors import SpaceError
from betanas.spaces.scaling.compound import Compound
from betanas.spaces.scaling.rules import GrowingK, Knobs, Origin, ScalingRule, SelfSimilar, SlowWidth

_RULES: dict[str, Callable[[Origin, Knobs], ScalingRule]] = {
    SelfSimilar.name: lambda origin, knobs: SelfSimilar(origin),
    GrowingK.name: lambda origin, knobs: GrowingK(origin, knobs.growth),
    SlowWidth.name: lambda origin, knobs: SlowWidth(origin, knobs.width_power),
    Compound.name: lambda origin, knobs: Compound(origin, knobs.alpha, knobs.beta, knobs.gamma),
}
_NEEDS = {GrowingK.name: "k", SlowWidth.name: "G0"}


def available_rules() -> tuple[str, ...]:
    """The names `make_rule` knows."""
    return tuple(_RULES)


def make_rule(name: str, origin: Origin, knobs: Knobs | None = None) -> ScalingRule:
    """A scaling rule by name.

    Raises:
        SpaceError: there is no such rule, or the space lacks the parameter that it moves.
    """
    if name not in _RULES:
        raise SpaceError(
            f"The scaling rules are {', '.join(_RULES)}.", value=name, hint="Type, for example, --rule self-similar."
        )
    return _RULES[name](origin, knobs or Knobs())


def rules_for(origin: Origin, knobs: Knobs | None = None) -> tuple[ScalingRule, ...]:
    """Every rule that fits the origin's space."""
    fitting = [name for name in _RULES if _NEEDS.get(name, next(iter(origin.space.domain))) in origin.space.domain]
    return tuple(make_rule(name, origin, knobs) for name in fitting)
