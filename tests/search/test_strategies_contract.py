"""The contract that every registered search strategy keeps; registering one enrols it here."""

from __future__ import annotations

import time

import pytest

from betanas.search.propose import available_strategies, get_strategy
from betanas.testing import check_strategy
from betanas.testing.strategies import simulate, small_problem

# Small enough that the model takes over within the test, after which its library is loaded and used.
OPTIONS = {
    "gpei": {"initial": 7, "pool": 256},
    "report": {"sobol": 11},
    "evolution": {"population": 6, "tournament": 3},
    "local": {"initial": 6, "patience": 2},
    "tpe": {"initial": 6},
    "optuna-gp": {"initial": 7},
    "smac": {"initial": 7, "challengers": 200, "starts": 1},
    "cmaes": {"initial": 4, "population": 4},
    "multifidelity": {"initial": 6, "pool": 256},
    "early-discarding": {"candidates": 4, "leaders": 2},
    "hyperband": {"factor": 2, "least": 0.25},
    "successive-halving": {"factor": 2, "least": 0.25},
    "asha": {"factor": 2, "least": 0.25},
}

# Those that train candidates for parts of the budget, by rules that invent no candidates.
RULES = ("early-discarding", "hyperband", "successive-halving", "asha")
PARTS = ("multifidelity", *RULES)

# Those that take more than a moment for a suggestion: the learner makes a few of thirty.
LONG_STAGE = {name: {"initial": 22} for name in ("gpei", "multifidelity", "optuna-gp", "smac")}
LONG_STAGE |= {"report": {"sobol": 28}}


@pytest.mark.parametrize("name", available_strategies())
class TestEveryStrategy:
    def test_seeds_differ(self, name: str) -> None:
        first, second = (get_strategy(name)(small_problem(), seed=seed, options=OPTIONS.get(name)) for seed in (1, 2))
        assert first.ask() != second.ask()

    def test_keeps_its_promises_and_names_the_origin(self, name: str) -> None:
        # The report's procedure suggests infeasible networks, and networks again, on purpose.
        trials = check_strategy(name, options=OPTIONS.get(name), repeats=name == "report")
        learner = "gpei" if name == "report" else name
        assert {seen.origin for seen in trials} <= {learner, "sobol", *(["promoted"] if name in PARTS else [])}
        assert trials[-1].origin == learner or name in PARTS

    def test_tries_some_for_less_only_if_it_says_so(self, name: str) -> None:
        strategy = get_strategy(name)(small_problem(), seed=5, options=OPTIONS.get(name))
        shares = {seen.share for seen in simulate(strategy, 14)}
        assert (min(shares) < 1.0) == (name in PARTS)
        assert max(shares) == 1.0, "and some for the whole"

    def test_thirty_steps_are_fast(self, name: str) -> None:
        strategy = get_strategy(name)(small_problem(), seed=11, options=LONG_STAGE.get(name))
        start = time.process_time()
        assert len(simulate(strategy, 30)) == 30
        assert time.process_time() - start < 30
