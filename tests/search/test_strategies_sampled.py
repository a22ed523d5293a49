"""What is special to strategies that are another package's sampler; their contract is tested with all others'."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from betanas.blueprint import FloatArray
from betanas.errors import StrategyError
from betanas.search.feasibility import Problem
from betanas.search.propose import Observation, Strategy, get_strategy
from betanas.search.propose import smac as smac_module
from betanas.search.propose.cmaes import Cmaes
from betanas.search.propose.sampled import SampledStrategy
from betanas.search.propose.screened import FeasibleStream, sobol_draw
from betanas.search.settings import Limits
from betanas.spaces import get_space

SPACE = get_space("betanet3", "table1")
PROBLEM = Problem(SPACE, resolution=64, num_classes=10, in_channels=3, batch_size=32, limits=Limits(params=1_200_000))
DIMENSIONS = len(SPACE.free)


def truth(vector: dict[str, float]) -> float:
    unit = SPACE.to_unit(SPACE.to_array([vector]))[0]
    return float(0.5 - ((unit - 0.3) ** 2).mean())


def tell_sobol(strategy: Strategy, count: int) -> None:
    for index, each in enumerate(get_strategy("sobol")(PROBLEM, seed=1).ask(count)):
        strategy.tell(Observation(index, each.vector, "sobol", "completed", truth(each.vector)))


def infeasible(count: int) -> FloatArray:
    points = sobol_draw(DIMENSIONS, 5)(64 * count)
    return points[~PROBLEM.feasible(SPACE.from_unit(points))][:count]


def feasible(count: int) -> FloatArray:
    return SPACE.to_unit(FeasibleStream(PROBLEM, sobol_draw(DIMENSIONS, 6)).first(count))


@dataclass(frozen=True)
class Staged:
    initial: int = 1


class Listed(SampledStrategy[Staged]):
    """Draws what a test wrote down."""

    name: ClassVar[str] = "listed-for-a-test"
    options_type: ClassVar[type] = Staged
    most_draws: ClassVar[int] = 3
    written: ClassVar[FloatArray]
    drawn: ClassVar[int]

    def draws(self, points: FloatArray, values: FloatArray, waiting: FloatArray, seed: int) -> Generator[FloatArray]:
        for point in type(self).written:
            type(self).drawn += 1
            yield point


def listed(points: FloatArray) -> Listed:
    Listed.written, Listed.drawn = points, 0
    strategy = Listed(PROBLEM, seed=0)
    tell_sobol(strategy, 1)
    return strategy


class TestDraws:
    def test_the_first_one_that_is_feasible_and_new_is_suggested(self) -> None:
        known, new = feasible(2)
        strategy = listed(np.stack([infeasible(1)[0], known, new]))
        strategy.tell(Observation(1, SPACE.to_vector(SPACE.from_unit(known[None])[0]), "user", "completed", 0.1))
        (suggestion,) = strategy.ask()
        assert suggestion.vector == SPACE.to_vector(SPACE.from_unit(new[None])[0])
        assert suggestion.origin == "listed-for-a-test"

    def test_where_none_is_a_feasible_neighbour_of_the_first_is(self) -> None:
        points = infeasible(5)
        (suggestion,) = listed(points).ask()
        assert Listed.drawn == 3
        assert PROBLEM.feasible(SPACE.to_array([suggestion.vector]))[0]
        assert suggestion.origin == "listed-for-a-test"
        unit = SPACE.to_unit(SPACE.to_array([suggestion.vector]))[0]
        others = np.linalg.norm(feasible(64) - points[0], axis=1)
        assert np.linalg.norm(unit - points[0]) < np.quantile(others, 0.1)

    def test_a_sampler_that_has_nothing_to_say_is_replaced_by_the_sequence(self) -> None:
        assert listed(np.zeros((0, DIMENSIONS))).ask()[0].origin == "sobol"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tpe", {"initial": 1}),
        ("optuna-gp", {"initial": 1}),
        ("smac", {"initial": 1}),
        ("smac", {"challengers": 0}),
        ("smac", {"starts": 0}),
        ("cmaes", {"initial": 0}),
        ("cmaes", {"population": 3}),
        ("cmaes", {"step": 0.0}),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(StrategyError, match="must be at least"):
        get_strategy(name)(PROBLEM, seed=0, options=options)


@pytest.mark.parametrize(
    ("name", "options"), [("optuna-gp", {}), ("smac", {"challengers": 500, "starts": 1}), ("cmaes", {"population": 4})]
)
def test_learns_where_the_good_networks_are(name: str, options: dict[str, Any]) -> None:
    strategy = get_strategy(name)(PROBLEM, seed=0, options=options)
    trials = 42 if name == "cmaes" else 20
    values = []
    for index in range(trials):
        (suggestion,) = strategy.ask()
        values.append(truth(suggestion.vector))
        strategy.tell(Observation(index, suggestion.vector, suggestion.origin, "completed", values[-1]))
    assert np.mean(values[-8:]) > np.mean(values[:10])
    assert max(values) > max(values[:10])


@pytest.mark.parametrize("name", ["optuna-gp", "smac", "tpe"])
def test_pending_candidates_change_what_is_suggested(name: str) -> None:
    options = {"challengers": 200, "starts": 1} if name == "smac" else {}
    alone, beside = (get_strategy(name)(PROBLEM, seed=0, options=options) for _ in range(2))
    tell_sobol(alone, 12)
    tell_sobol(beside, 12)
    # The same number of observations makes the same seed of the sampler.
    for index, row in enumerate(SPACE.from_unit(feasible(20)[-6:]), start=12):
        alone.tell(Observation(index, SPACE.to_vector(row), "user", "failed"))
    wanted = SPACE.to_unit(SPACE.to_array([alone.ask()[0].vector]))
    near = np.clip(wanted + 0.02 * np.random.default_rng(0).standard_normal((6, DIMENSIONS)), 0.0, 1.0)
    for index, row in enumerate(SPACE.from_unit(near), start=12):
        beside.tell(Observation(index, SPACE.to_vector(row), "user", "running"))
    assert alone.ask() != beside.ask()


def test_cmaes_starts_anew_where_it_has_converged() -> None:
    strategy = Cmaes(PROBLEM, seed=0)
    size, initial = 12, strategy.settings.initial
    points = np.full((initial + 80 * size, DIMENSIONS), 0.5)
    values = np.full(len(points), 0.5)

    def draws(generations: int) -> FloatArray:
        known = slice(initial + generations * size)
        return np.stack(list(islice(strategy.draws(points[known], values[known], points[:0], 7), 2)))

    assert (draws(1) != draws(0)).any()
    assert any((draws(generations) == draws(0)).all() for generations in range(2, 80))


class TestSmac:
    def test_leaves_no_file_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for folder in ("here", "temporary"):
            (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / "here")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        strategy = get_strategy("smac")(PROBLEM, seed=0, options={"initial": 4, "challengers": 100, "starts": 1})
        tell_sobol(strategy, 4)
        assert strategy.ask()[0].origin == "smac"
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        assert list((tmp_path / "temporary").iterdir()) == []

    def test_uses_the_threads_that_the_search_allows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        forest = smac_module.RandomForest

        def watched(*given: Any, **more: Any) -> Any:
            seen.append(more["n_jobs"])
            return forest(*given, **more)

        monkeypatch.setattr(smac_module, "RandomForest", watched)
        strategy = get_strategy("smac")(PROBLEM, seed=0, options={"initial": 4, "challengers": 100, "starts": 1})
        tell_sobol(strategy, 4)
        strategy.threads = 1
        first = strategy.ask()
        strategy.threads = 2
        assert strategy.ask() == first
        assert seen == [1, 2]
