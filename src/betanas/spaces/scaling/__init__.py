"""How a found network grows with the image: named scaling rules, solved for a cost and compared at equal cost."""

from betanas.spaces.scaling.compare import at_equal_cost, curve, scaling_document
from betanas.spaces.scaling.costs import MEASURES, CostTable, Measure, tabulate
from betanas.spaces.scaling.latency import LATENCY_STEP, LatencySolution, solve_latency, solve_predicted
from betanas.spaces.scaling.registry import available_rules, make_rule, register_rule, rules_for
from betanas.spaces.scaling.rules import Knobs, Origin, ScalingRule
from betanas.spaces.scaling.solve import Solution, solve

__all__ = [
    "LATENCY_STEP",
    "MEASURES",
    "CostTable",
    "Knobs",
    "LatencySolution",
    "Measure",
    "Origin",
    "ScalingRule",
    "Solution",
    "at_equal_cost",
    "available_rules",
    "curve",
    "make_rule",
    "register_rule",
    "rules_for",
    "scaling_document",
    "solve",
    "solve_latency",
    "solve_predicted",
    "tabulate",
]
