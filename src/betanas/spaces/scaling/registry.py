"""Scaling rules by name."""

from __future__ import annotations

from betanas.errors import SpaceError
from betanas.registry import Registry
from betanas.spaces.scaling.rules import Knobs, Origin, ScalingRule

RULES: Registry[type[ScalingRule]] = Registry(
    "scaling rule",
    group="betanas.rules",
    error=SpaceError,
    built_in={
        "self-similar": "betanas.spaces.scaling.rules:SelfSimilar",
        "growing-k": "betanas.spaces.scaling.rules:GrowingK",
        "slow-width": "betanas.spaces.scaling.rules:SlowWidth",
        "compound": "betanas.spaces.scaling.compound:Compound",
    },
    base=ScalingRule,
    register="betanas.spaces.scaling.register_rule",
)
register_rule, available_rules = RULES.register, RULES.names


def make_rule(name: str, origin: Origin, knobs: Knobs | None = None) -> ScalingRule:
    """A scaling rule by name, or from a Python file that registers one.

    Raises:
        SpaceError: there is no such rule, or the space lacks the parameter that it moves.
    """
    return RULES.get(name)(origin, knobs or Knobs())


def rules_for(origin: Origin, knobs: Knobs | None = None) -> tuple[ScalingRule, ...]:
    """Every rule that fits the origin's space."""
    rules = [RULES.get(name) for name in RULES.names()]
    return tuple(rule(origin, knobs or Knobs()) for rule in rules if rule.fits(origin.space))
