"""The contract that every registered search strategy keeps; registering one enrols it here."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest

from betanas.blueprint import FloatArray
from betanas.errors import LimitError, SpaceExhausted, StrategyError
from betanas.search.feasibility import Problem
from betanas.search.propose import Observation, Strategy, Suggestion, available_strategies, get_strategy
from betanas.search.settings import Limits
from betanas.spaces import get_space

# Small enough that the model takes over within the test, after which BoTorch is loaded and used.
OPTIONS = {
    "gpei": {"initial": 6, "pool": 256},
    "report": {"sobol": 6},
    "evolution": {"population": 6, "tournament": 3},
    "local": {"initial": 6, "patience": 2},
    "tpe": {"initial": 6},
}

# Ninety-nine networks in a hundred of preset table1 exceed this at 64 pixels, a third of them slightly.
SPACE = get_space("betanet3", "table1", fixed={"B": 0.3, "S1": 15.0})
PROBLEM = Problem(SPACE, resolution=64, num_classes=10, in_channels=3, batch_size=32, limits=Limits(params=1_200_000))


def make(name: str, problem: Problem = PROBLEM, seed: int = 3) -> Strategy:
    return get_strategy(name)(problem, seed=seed, options=OPTIONS.get(name))


def objective(vector: dict[str, float] | FloatArray, problem: Problem = PROBLEM) -> float:
    unit = problem.space.to_unit(problem.space.to_array([vector]))[0]
    weights = np.linspace(1.0, 0.1, len(unit))
    return float(0.5 - 0.3 * (weights * (unit - 0.4) ** 2).sum())


def run(strategy: Strategy, trials: int, problem: Problem = PROBLEM) -> list[Observation]:
    """A sequential search; a candidate that is infeasible is told so, every seventh fails, every ninth is NaN."""
    seen = []
    for index in range(trials):
        (suggestion,) = strategy.ask()
        row = problem.space.to_array([suggestion.vector])
        value: float | None = objective(suggestion.vector, problem)
        state = "completed"
        if not problem.feasible(row)[0]:
            state, value = "infeasible", None
        elif index % 7 == 6:
            state, value = "failed", None
        elif index % 9 == 8:
            value = float("nan")
        observation = Observation(index, suggestion.vector, suggestion.origin, state, value)
        strategy.tell(observation)
        seen.append(observation)
    return seen


@pytest.fixture(scope="module")
def histories() -> dict[str, list[Observation]]:
    return {}


@pytest.mark.parametrize("name", available_strategies())
class TestEveryStrategy:
    @pytest.fixture
    def history(self, name: str, histories: dict[str, list[Observation]]) -> list[Observation]:
        if name not in histories:
            histories[name] = run(make(name), 12)
        return histories[name]

    def test_is_known_by_its_name(self, name: str) -> None:
        assert get_strategy(name).name == name

    def test_suggests_feasible_networks_only_and_each_once(self, name: str, history: list[Observation]) -> None:
        if name == "report":
            pytest.skip("the report's procedure suggests infeasible networks on purpose")
        rows = PROBLEM.space.to_array(seen.vector for seen in history)
        assert PROBLEM.feasible(rows).all()
        keys = [blueprint.key for blueprint in PROBLEM.blueprints(rows)]
        assert len(set(keys)) == len(keys)

    def test_keeps_ranges_and_fixed_parameters(self, name: str, history: list[Observation]) -> None:
        for seen in history:
            assert list(seen.vector) == list(SPACE.parameters)
            assert all(value in SPACE.parameters[key] for key, value in seen.vector.items())
            assert seen.vector["B"] == 0.3

    def test_vectors_are_plain_json(self, name: str, history: list[Observation]) -> None:
        for seen in history:
            assert json.loads(json.dumps(seen.vector)) == seen.vector
            assert all(type(value) is float for value in seen.vector.values())

    def test_names_the_origin(self, name: str, history: list[Observation]) -> None:
        learner = "gpei" if name == "report" else name
        assert {seen.origin for seen in history} <= {learner, "sobol"}
        assert history[-1].origin == learner

    def test_rebuilt_from_the_records_it_goes_on_the_same(self, name: str, history: list[Observation]) -> None:
        shuffled = history.copy()
        random.Random(0).shuffle(shuffled)
        fresh, other = make(name), make(name)
        for seen in history:
            fresh.tell(seen)
        for seen in shuffled:
            other.tell(Observation(seen.index, seen.vector, seen.origin, "running"))
            other.tell(seen)
        assert fresh.ask() == other.ask()

    def test_an_old_instance_suggests_what_a_fresh_one_does(self, name: str, history: list[Observation]) -> None:
        old = make(name)
        for seen in history[:9]:
            old.tell(seen)
        old.ask()
        for seen in history[9:11]:
            old.tell(seen)
        assert old.ask()[0].vector == history[11].vector

    def test_asking_for_several_is_asking_with_pending_trials(self, name: str, history: list[Observation]) -> None:
        together, apart = make(name), make(name)
        for seen in history[:9]:
            together.tell(seen)
            apart.tell(seen)
        one_by_one: list[Suggestion] = []
        for index in range(9, 12):
            (suggestion,) = apart.ask()
            one_by_one.append(suggestion)
            apart.tell(Observation(index, suggestion.vector, suggestion.origin, "running"))
        assert together.ask(3) == one_by_one
        assert len({tuple(suggestion.vector.values()) for suggestion in one_by_one}) == 3

    def test_seeds_differ(self, name: str) -> None:
        assert make(name, seed=1).ask() != make(name, seed=2).ask()

    def test_equal_values_and_nothing_but_failures_are_no_obstacle(self, name: str, history: list[Observation]) -> None:
        for state, value in (("completed", 0.5), ("failed", None)):
            strategy = make(name)
            for seen in history[:8]:
                strategy.tell(Observation(seen.index, seen.vector, seen.origin, state, value))
            assert PROBLEM.space.check(strategy.ask()[0].vector)

    def test_one_free_parameter_is_searched_to_its_end(self, name: str) -> None:
        if name == "report":
            pytest.skip("the report's procedure repeats networks")
        fixed = {key: searched.low for key, searched in SPACE.parameters.items() if key != "S0"}
        problem = Problem(SPACE.replace(fixed=fixed), resolution=32, num_classes=10, in_channels=3, batch_size=32)
        strategy = make(name, problem)
        with pytest.raises(SpaceExhausted, match="has not been tried"):
            run(strategy, 1000, problem)
        assert 5 < len(strategy.observations) < 200

    def test_nothing_to_search_is_refused(self, name: str) -> None:
        fixed = {key: searched.low for key, searched in SPACE.parameters.items()}
        problem = Problem(SPACE.replace(fixed=fixed), resolution=32, num_classes=10, in_channels=3, batch_size=32)
        with pytest.raises(StrategyError, match="at least one parameter"):
            make(name, problem)

    def test_limits_that_nothing_satisfies_are_refused_before_the_first_trial(self, name: str) -> None:
        if name == "report":
            pytest.skip("the report's procedure goes on with zeros")
        problem = Problem(SPACE, 64, 10, 3, 32, limits=Limits(params=500))
        with pytest.raises(LimitError, match=r"at most 500 parameters excludes 100\.0%"):
            make(name, problem).ask()

    def test_unknown_options_are_refused(self, name: str) -> None:
        with pytest.raises(StrategyError, match="option"):
            get_strategy(name)(PROBLEM, seed=0, options={"no_such_option": 1})

    def test_thirty_steps_are_fast(self, name: str) -> None:
        strategy = get_strategy(name)(PROBLEM, seed=11, options={"initial": 24} if name == "gpei" else None)
        start = time.process_time()
        assert len(run(strategy, 30)) == 30
        assert time.process_time() - start < 30

    def test_predicts_nothing_without_a_model_or_a_point_in_the_space(
        self, name: str, history: list[Observation]
    ) -> None:
        strategy = make(name)
        assert strategy.predict_best() is None
        assert strategy.export_surrogate() is None
        for seen in history:
            strategy.tell(seen)
        prediction = strategy.predict_best()
        if prediction is not None:
            row = PROBLEM.space.to_array([prediction.vector])
            assert name == "report" or PROBLEM.feasible(row)[0]
            assert prediction.deviation > 0
            assert strategy.predict_best() == prediction
