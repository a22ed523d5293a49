from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.errors import StrategyError
from betanas.search.feasibility import Problem
from betanas.search.objectives import get_objective, non_dominated, pareto_front
from betanas.search.records import TrialRecord
from betanas.spaces import get_space, published

SPACE = get_space("betanet3", "report")
PROBLEM = Problem(SPACE, resolution=224, num_classes=100, in_channels=3, batch_size=100)
VECTOR = published("betanet3")
BLUEPRINT = PROBLEM.blueprint(SPACE.to_array([VECTOR])[0])  # 5,110,124 parameters
RECORD = TrialRecord(
    0,
    VECTOR,
    BLUEPRINT.key,
    "sobol",
    "completed",
    top1=0.4,
    training_seconds=20.0,
    images_per_second=200.0,
    params=5_110_124,
)


def value(name: str, record: TrialRecord = RECORD) -> float | None:
    return get_objective(name, PROBLEM)(record, BLUEPRINT)


def test_accuracy_is_the_default() -> None:
    assert get_objective().name == "accuracy"
    assert value("accuracy") == 0.4
    assert value("accuracy", replace(RECORD, top1=None)) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy*params/5M", 0.4 * (5_110_124 / 5e6) ** -0.07),
        ("accuracy*params/10.22M^-1", 0.4 * 10.22e6 / 5_110_124),
        ("accuracy*seconds/10s", 0.4 * 2**-0.07),
        ("accuracy*latency/5ms", 0.4),  # 200 images a second are 5 ms an image
        ("accuracy*latency/0.0025^-0.5", 0.4 * 2**-0.5),
        ("accuracy*scaling/384:2", 0.4 * (14_634_951 / 5_110_124 / 2) ** -0.07),
    ],
)
def test_compound_objectives(name: str, expected: float) -> None:
    assert value(name) == pytest.approx(expected, rel=1e-9)
    assert get_objective(name, PROBLEM).name == name


def test_macs_are_the_blueprints() -> None:
    assert value(f"accuracy*macs/{BLUEPRINT.macs}^-0.3") == pytest.approx(0.4)


def test_a_cost_that_was_not_measured_gives_no_value() -> None:
    assert value("accuracy*latency/5ms", replace(RECORD, images_per_second=None)) is None
    assert value("accuracy*seconds/5s", replace(RECORD, training_seconds=None)) is None


@pytest.mark.parametrize(
    "name",
    [
        "speed",
        "accuracy*beauty/3",
        "accuracy*params/",
        "accuracy*params/0",
        "accuracy*params/384:3",
        "accuracy*latency/5M",
        "accuracy*seconds/0s",
        "accuracy*scaling/3",
        "accuracy*scaling/384:0",
        "accuracy*params/1.2.3",
        "missing.py",
    ],
)
def test_what_is_no_objective_is_refused(name: str) -> None:
    with pytest.raises(StrategyError):
        get_objective(name, PROBLEM)


def test_the_scaling_ratio_needs_the_problem() -> None:
    with pytest.raises(StrategyError, match="scaling"):
        get_objective("accuracy*scaling/384:3")


class TestUserObjective:
    def write(self, folder: Path, text: str) -> str:
        path = folder / "mine.py"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_is_a_function_of_record_and_blueprint(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path, "def objective(record, blueprint):\n    return record.top1 - len(blueprint.layers) / 100\n"
        )
        assert value(path) == pytest.approx(0.4 - len(BLUEPRINT.layers) / 100)
        assert get_objective(path).name == path

    def test_none_and_nan_are_no_value(self, tmp_path: Path) -> None:
        assert value(self.write(tmp_path, "def objective(record, blueprint):\n    return None\n")) is None
        assert value(self.write(tmp_path, "def objective(record, blueprint):\n    return float('nan')\n")) is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("def objective(record, blueprint):\n    return 'good'\n", "number or None"),
            ("def objective(record, blueprint):\n    return record.beauty\n", "without errors"),
        ],
    )
    def test_a_function_that_fails_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(StrategyError, match=message) as caught:
            value(self.write(tmp_path, text))
        assert "mine.py" in str(caught.value)

    @pytest.mark.parametrize("text", ["x = 1\n", "objective = 3\n", "1 / 0\n", "def ("])
    def test_a_file_without_one_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(StrategyError, match="file must"):
            value(self.write(tmp_path, text))


class TestParetoFront:
    def test_by_hand(self) -> None:
        values = np.array([[1.0, 5.0], [2.0, 4.0], [2.0, 3.0], [3.0, 1.0], [0.5, 5.0], [np.nan, 9.0], [2.0, 4.0]])
        assert non_dominated(values).tolist() == [True, True, False, True, False, False, True]

    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
    @settings(deadline=None)
    def test_every_point_is_beaten_by_the_front_or_on_it(self, points: list[tuple[int, int]]) -> None:
        values = np.array(points, dtype=float)
        front = non_dominated(values)
        assert front.any()
        for place, point in enumerate(values):
            beaten = any((other >= point).all() and (other > point).any() for other in values[front])
            assert beaten is not bool(front[place])

    def test_of_records_is_sorted_by_cost(self) -> None:
        rows = [(0.3, 10), (0.4, 20), (0.35, 30), (0.5, 40)]
        records = [replace(RECORD, index=i, top1=top1, params=params) for i, (top1, params) in enumerate(rows)]
        records += [replace(RECORD, index=9, state="failed", top1=None, params=1)]
        assert [each.index for each in pareto_front(records[::-1])] == [0, 1, 3]
        assert pareto_front([]) == []

    def test_a_cost_that_is_not_measured_keeps_a_trial_off(self) -> None:
        records = [replace(RECORD, index=0, peak_memory=None), replace(RECORD, index=1, peak_memory=5)]
        assert [each.index for each in pareto_front(records, "peak_memory")] == [1]

    def test_an_unknown_cost_is_refused(self) -> None:
        with pytest.raises(StrategyError, match="params"):
            pareto_front([RECORD], "beauty")
