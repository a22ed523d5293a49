"""Search strategies by name: BetaNAS's own and those that a user or another package registers."""

from __future__ import annotations

from betanas.errors import StrategyError
from betanas.registry import Registry
from betanas.search.propose.base import Strategy

DEFAULT_STRATEGY = "gpei"

STRATEGIES: Registry[type[Strategy]] = Registry(
    "search strategy",
    group="betanas.strategies",
    error=StrategyError,
    built_in={
        DEFAULT_STRATEGY: "betanas.search.propose.gpei.strategy:Gpei",
        "multifidelity": "betanas.search.propose.multifidelity.strategy:MultiFidelity",
        "sobol": "betanas.search.propose.sequences:Sobol",
        "random": "betanas.search.propose.sequences:Random",
        "tpe": "betanas.search.propose.optuna_samplers:Tpe",
        "evolution": "betanas.search.propose.evolution:Evolution",
        "local": "betanas.search.propose.local:Local",
        "successive-halving": "betanas.search.propose.halving:SuccessiveHalving",
        "hyperband": "betanas.search.propose.halving:Hyperband",
        "asha": "betanas.search.propose.halving:Asha",
        "early-discarding": "betanas.search.propose.halving:EarlyDiscarding",
        "optuna-gp": "betanas.search.propose.optuna_samplers:OptunaGp",
        "smac": "betanas.search.propose.smac:Smac",
        "cmaes": "betanas.search.propose.cmaes:Cmaes",
        "report": "betanas.search.propose.report:Report",
    },
    base=Strategy,
    register="betanas.register_strategy",
)
register_strategy, available_strategies = STRATEGIES.register, STRATEGIES.names


def get_strategy(name: str) -> type[Strategy]:
    """A strategy's class by name; construct it with a problem, a seed and its options.

    Args:
        name: one of `available_strategies`, or the path of a `.py` file that registers exactly one strategy.

    Raises:
        StrategyError: there is no such strategy.
        MissingExtraError: the strategy needs a package that is not installed.
    """
    return STRATEGIES.get(name)
