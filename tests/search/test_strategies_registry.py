from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from betanas.errors import MissingExtraError
from betanas.search.feasibility import Problem
from betanas.search.propose import Observation, available_strategies, get_strategy
from betanas.search.propose.screened import FeasibleStream, networks, sobol_draw, uniform_draw
from betanas.search.propose.steps import stepped
from betanas.search.settings import Limits
from betanas.spaces import get_space

PROBLEM = Problem(get_space("betanet2", "table1"), 64, 10, 3, 32, limits=Limits(params=1_000_000))


def test_the_default_comes_first_and_all_names_are_there() -> None:
    names = available_strategies()
    assert names[0] == "gpei"
    assert set(names) >= {
        "gpei",
        "sobol",
        "random",
        "tpe",
        "evolution",
        "local",
        "report",
        "optuna-gp",
        "smac",
        "cmaes",
    }


@pytest.mark.parametrize(
    ("name", "package"), [("tpe", "optuna"), ("optuna-gp", "optuna"), ("smac", "smac"), ("cmaes", "cmaes")]
)
def test_without_its_package_a_strategy_says_what_to_install(name: str, package: str) -> None:
    code = (
        "import sys\n"
        f"sys.modules['{package}'] = None\n"
        "from betanas.errors import MissingExtraError\n"
        "from betanas.search.propose import get_strategy\n"
        "try:\n"
        f"    get_strategy('{name}')\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"betanas[{package}]" in answer.stdout
    assert issubclass(MissingExtraError, Exception)


def test_observations_are_in_the_order_of_trials_and_the_newest_stands() -> None:
    strategy = get_strategy("sobol")(PROBLEM, seed=0)
    for observation in (Observation(2, {}, "a", "running"), Observation(0, {}, "b", "failed")):
        strategy.tell(observation)
    strategy.tell(Observation(2, {}, "a", "completed", 0.5))
    assert [(seen.index, seen.state) for seen in strategy.observations] == [(0, "failed"), (2, "completed")]


class TestScreening:
    def test_the_stream_is_the_feasible_part_of_its_sequence_in_order(self) -> None:
        dimensions = len(PROBLEM.space.free)
        rows = PROBLEM.space.from_unit(sobol_draw(dimensions, 4)(4096))
        expected = rows[PROBLEM.feasible(rows)]
        assert 100 < len(expected) < 4000
        stream = FeasibleStream(PROBLEM, sobol_draw(dimensions, 4))
        assert (stream.first(10) == expected[:10]).all()
        assert (stream.first(len(expected)) == expected).all()
        assert (stream.first(3) == expected[:3]).all()

    @pytest.mark.parametrize("draw", [sobol_draw, uniform_draw])
    def test_sequences_depend_on_their_seed_alone(self, draw: object) -> None:
        first, second = draw(3, 1), draw(3, 1)  # type: ignore[operator]
        assert (np.concatenate([first(8), first(8)]) == second(16)).all()
        assert not (draw(3, 2)(16) == draw(3, 1)(16)).any()  # type: ignore[operator]

    def test_networks_are_equal_exactly_where_blueprint_keys_are(self) -> None:
        rows = PROBLEM.space.from_unit(sobol_draw(len(PROBLEM.space.free), 0)(256))
        rows[:128] = rows[128:]
        rows[:64, list(PROBLEM.space.parameters).index("S0")] += 1e-6  # too little to change an integer, mostly
        batch = PROBLEM.blueprints(rows)
        told, keys = networks(batch), [blueprint.key for blueprint in batch]
        pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
        assert all((told[i] == told[j]) == (keys[i] == keys[j]) for i, j in pairs)
        assert len(set(keys)) < len(keys)


class TestSteps:
    def test_move_at_least_one_coordinate_and_stay_in_the_cube(self) -> None:
        centres = np.random.default_rng(0).random((500, 6))
        moved = stepped(centres, np.random.default_rng(1), size=0.3, moved=0.0)
        assert ((moved >= 0) & (moved <= 1)).all()
        changes = (moved != centres).sum(axis=1)
        assert changes.max() == 1
        assert changes.mean() > 0.99  # a coordinate on the border may stay there

    def test_have_the_asked_size(self) -> None:
        centres = np.full((4000, 4), 0.5)
        moved = stepped(centres, np.random.default_rng(1), size=0.1, moved=1.0)
        assert (moved - centres).std() == pytest.approx(0.1, rel=0.05)


def test_local_search_shrinks_its_steps_and_starts_anew() -> None:
    strategy = get_strategy("local")(PROBLEM, seed=0, options={"initial": 2, "patience": 1, "step": 0.4, "least": 0.3})
    origins: list[str] = []
    values: Sequence[float] = (0.1, 0.2, 0.3, 0.1, 0.4)
    for index, value in enumerate(values):
        (suggestion,) = strategy.ask()
        origins.append(suggestion.origin)
        strategy.tell(Observation(index, suggestion.vector, suggestion.origin, "completed", value))
    # Two starts; a step that improves; one that fails, after which steps would be too short: a start again.
    assert origins == ["sobol", "sobol", "local", "local", "sobol"]


def test_evolution_forgets_the_old() -> None:
    strategy = get_strategy("evolution")(
        PROBLEM, seed=0, options={"population": 3, "tournament": 3, "step": 0.001, "moved": 0.0}
    )
    vectors = [each.vector for each in get_strategy("sobol")(PROBLEM, seed=9).ask(4)]
    for index, (vector, value) in enumerate(zip(vectors, (0.9, 0.1, 0.5, 0.2), strict=True)):
        strategy.tell(Observation(index, vector, "sobol", "completed", value))
    (child,) = strategy.ask()
    unit = PROBLEM.space.to_unit(PROBLEM.space.to_array([child.vector, *vectors]))
    distances = np.linalg.norm(unit[1:] - unit[0], axis=1)
    assert int(distances.argmin()) == 2  # the best of the youngest three, not the best of all
    assert distances[2] < 0.1


def test_report_counts_infeasible_candidates_as_zeros_and_stops_counting_at_its_end() -> None:
    strategy = get_strategy("report")(PROBLEM, seed=0, options={"sobol": 8, "usable": 3})
    states = []
    for index in range(8):
        (suggestion,) = strategy.ask()
        assert suggestion.origin == "sobol"
        fits = bool(PROBLEM.feasible(PROBLEM.space.to_array([suggestion.vector]))[0])
        state = "completed" if fits else "infeasible"
        states.append(state)
        strategy.tell(Observation(index, suggestion.vector, "sobol", state, 0.3 if fits else None))
    assert states.count("infeasible") >= 2
    assert strategy.finished is (states.count("completed") >= 3)  # type: ignore[attr-defined]
    prediction = strategy.predict_best()
    assert prediction is not None
    assert 0.0 <= prediction.mean <= 0.35
