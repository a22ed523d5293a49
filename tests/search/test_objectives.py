from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint
from betanas.errors import QuantityError, StrategyError
from betanas.search.feasibility import Problem
from betanas.search.front import pareto_front
from betanas.search.objectives import (
    OBJECTIVES,
    Accuracy,
    Compound,
    ObjectiveSettings,
    OwnFunction,
    Pareto,
    Registered,
    Scaling,
    read_objective,
    register_objective,
)
from betanas.search.records import TrialRecord
from betanas.search.scoring import make_score
from betanas.search.settings import SearchSettings
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


def value(objective: ObjectiveSettings, record: TrialRecord = RECORD) -> float | None:
    return make_score(objective, PROBLEM)(record, BLUEPRINT)


def test_accuracy_is_the_default() -> None:
    assert SearchSettings(data="digits", study="s").search.objective == Accuracy()
    assert value(Accuracy()) == 0.4
    assert value(Accuracy(), replace(RECORD, top1=None)) is None


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Compound("params", 5e6), 0.4 * (5_110_124 / 5e6) ** -0.07),
        (Compound("params", 10.22e6, -1.0), 0.4 * 10.22e6 / 5_110_124),
        (Compound("macs", BLUEPRINT.macs, -0.3), 0.4),
        (Compound("seconds", 10.0), 0.4 * 2**-0.07),
        (Compound("latency", 0.005), 0.4),  # 200 images a second are 5 ms an image
        (Compound("latency", 0.0025, -0.5), 0.4 * 2**-0.5),
        (Scaling(384, 2.0), 0.4 * (14_634_951 / 5_110_124 / 2) ** -0.07),
        (Pareto("params"), 0.4),
    ],
)
def test_values(objective: ObjectiveSettings, expected: float) -> None:
    assert value(objective) == pytest.approx(expected, rel=1e-9)


def test_a_cost_that_was_not_measured_gives_no_value() -> None:
    assert value(Compound("latency", 0.005), replace(RECORD, images_per_second=None)) is None
    assert value(Compound("seconds", 5.0), replace(RECORD, training_seconds=None)) is None
    assert value(Scaling(384), replace(RECORD, top1=None)) is None


@pytest.mark.parametrize("resolution", [224, 100, 5000])
def test_the_scaling_ratio_needs_a_larger_resolution(resolution: int) -> None:
    with pytest.raises(StrategyError, match="above the search's 224"):
        make_score(Scaling(resolution), PROBLEM)


class TestReading:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"objective": "accuracy"}, Accuracy()),
            ({"objective": "compound", "cost": "params", "cost_target": "5M"}, Compound("params", 5e6)),
            (
                {"objective": "compound", "cost": "latency", "cost_target": "10ms", "cost_exponent": -0.1},
                Compound("latency", 0.01, -0.1),
            ),
            ({"objective": "compound", "cost": "seconds", "cost_target": "20s"}, Compound("seconds", 20.0)),
            ({"objective": "scaling", "scaling_resolution": 384, "cost_target": "3"}, Scaling(384, 3.0)),
            ({"objective": "pareto", "cost": "memory"}, Pareto("memory")),
            ({"objective": "mine.py"}, OwnFunction("mine.py")),
            ({"objective": "shallow"}, Registered("shallow")),
            ({"objective": {"kind": "compound", "cost": "macs", "target": "300M"}}, Compound("macs", 3e8)),
            # What is typed wins over a file's table.
            ({"objective": {"kind": "scaling", "resolution": 64}, "scaling_resolution": 128}, Scaling(128)),
            ({"objective": Compound("params", 1e6), "cost_target": "2M"}, Compound("params", 2e6)),
        ],
    )
    def test_from_settings(self, given: dict[str, object], expected: ObjectiveSettings) -> None:
        assert SearchSettings(data="digits", study="s", **given).search.objective == expected

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"objective": {"kind": "speed"}}, "accuracy, compound, scaling, pareto"),
            ({"objective": "accuracy*params/5M"}, "The objectives are accuracy, compound"),
            ({"objective": {"kind": "registered", "name": "pareto"}}, "The objectives are"),
            ({"objective": 3}, "accuracy, compound"),
            ({"cost": "params"}, "setting cost belongs to the objectives compound and pareto"),
            ({"cost_target": "5M"}, "cost-target belongs to the objectives compound and scaling"),
            ({"objective": "pareto", "cost": "params", "cost_exponent": -0.1}, "cost-exponent belongs"),
            (
                {"objective": "compound", "scaling_resolution": 384},
                "scaling-resolution belongs to the objectives scaling",
            ),
            ({"objective": "compound"}, "needs its cost and target"),
            ({"objective": "compound", "cost": "params"}, "needs its target"),
            ({"objective": "scaling"}, "needs its resolution"),
            ({"objective": "pareto"}, "needs its cost"),
            ({"objective": "pareto", "cost": "seconds"}, "params, macs, memory"),
            ({"objective": "compound", "cost": "beauty", "cost_target": "5"}, "params, macs, seconds, latency"),
            ({"objective": {"kind": "accuracy", "colour": "blue"}}, "has the fields kind"),
            ({"objective": {"kind": "scaling", "resolution": "wide"}}, "number of pixels"),
            ({"objective": {"kind": "function", "file": 3}}, "must be a path"),
            ({"objective": "compound", "cost": "params", "cost_target": 0}, "must be positive"),
            ({"objective": "compound", "cost": "latency", "cost_target": "5M"}, "20s or 10ms"),
            ({"objective": "scaling", "scaling_resolution": 384, "cost_target": "wide"}, "must be a number"),
            ({"objective": "scaling", "scaling_resolution": 384, "cost_exponent": 0.0}, "must not be zero"),
        ],
    )
    def test_what_is_no_objective_is_refused(self, given: dict[str, object], message: str) -> None:
        with pytest.raises(StrategyError, match=message):
            SearchSettings(data="digits", study="s", **given)

    def test_a_target_is_a_count_of_what_is_counted(self) -> None:
        with pytest.raises(QuantityError, match="30M"):
            read_objective("compound", {"cost": "params", "cost_target": "few"})

    @pytest.mark.parametrize(
        ("objective", "words"),
        [
            (Accuracy(), "accuracy"),
            (Compound("params", 5e6), "accuracy x (parameters / 5.00M)^-0.07"),
            (Compound("latency", 0.01, -0.5), "accuracy x (seconds of an answer / 0.01 s)^-0.5"),
            (Scaling(384, 3.0), "accuracy x (parameters at R=384 over the search's / 3)^-0.07"),
            (Pareto("memory"), "accuracy and little training memory"),
            (OwnFunction("mine.py"), "mine.py"),
            (Registered("shallow"), "shallow"),
        ],
    )
    def test_in_words(self, objective: ObjectiveSettings, words: str) -> None:
        assert str(objective) == words


class TestOwnFunction:
    def write(self, folder: Path, text: str) -> OwnFunction:
        path = folder / "mine.py"
        path.write_text(text, encoding="utf-8")
        return OwnFunction(str(path))

    def test_is_a_function_of_record_and_blueprint(self, tmp_path: Path) -> None:
        own = self.write(
            tmp_path, "def objective(record, blueprint):\n    return record.top1 - len(blueprint.layers) / 100\n"
        )
        assert value(own) == pytest.approx(0.4 - len(BLUEPRINT.layers) / 100)

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
        with pytest.raises(StrategyError, match=r"must load without|must register|must be a function"):
            value(self.write(tmp_path, text))

    def test_a_file_may_register_it_instead(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(OBJECTIVES, "_registered", {})
        text = (
            "import betanas as bn\n\n@bn.register_objective\ndef half(record, blueprint):\n    return record.top1 / 2\n"
        )
        assert value(self.write(tmp_path, text)) == 0.2

    def test_a_registered_one_is_found_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(OBJECTIVES, "_registered", {})

        @register_objective
        def less_than_that(record: TrialRecord, blueprint: Blueprint) -> float | None:
            return -1.0

        register_objective(lambda record, blueprint: 7, name="seven")
        assert value(Registered("less-than-that")) == -1.0
        assert value(Registered("seven")) == 7.0
        with pytest.raises(StrategyError, match=r"less-than-that, seven\. Got 'sevn'\. Did you mean seven\?"):
            value(Registered("sevn"))

    def test_a_missing_file_is_refused(self) -> None:
        with pytest.raises(StrategyError, match="must exist"):
            value(OwnFunction("missing.py"))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
@settings(deadline=None)
def test_every_trial_is_beaten_by_the_front_or_on_it(points: list[tuple[int, int]]) -> None:
    records = [replace(RECORD, index=i, top1=top1 / 10, params=params) for i, (top1, params) in enumerate(points)]
    unusable = [replace(RECORD, index=99, state="failed", top1=None, params=0)]
    front = pareto_front([*unusable, *records], "params")
    on_it = {record.index for record in front}
    assert [record.params for record in front] == sorted(record.params for record in front)
    for one in records:
        beaten = any(
            other.top1 >= one.top1
            and other.params <= one.params
            and (other.top1, other.params) != (one.top1, one.params)
            for other in records
        )
        assert beaten is not (one.index in on_it)
