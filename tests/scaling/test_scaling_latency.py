from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import betanas as bn
from betanas.blueprint import BlueprintBatch
from betanas.cli.main import app
from betanas.cost.latency import LatencyModel
from betanas.errors import BetanasError, LimitError, UserError
from betanas.quantities import format_latency, parse_latency
from betanas.spaces.scaling import LATENCY_STEP, Origin, make_rule, solve_latency, solve_predicted

GOLDEN = Path(__file__).parents[1] / "golden" / "latency.json"
SIDES = range(LATENCY_STEP, 1025, LATENCY_STEP)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["scale", *arguments], env={"COLUMNS": "160"})
    if isinstance(result.exception, BetanasError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@given(st.floats(1e-9, 1e-3), st.floats(0.5, 3.0), st.floats(1e-4, 10.0), st.integers(8, 1200))
@settings(deadline=None, max_examples=200)
def test_the_largest_side_that_is_quick_enough_is_found_with_few_measurements(
    scale: float, power: float, target: float, start: int
) -> None:
    asked: list[int] = []

    def measure(side: int) -> float:
        asked.append(side)
        return scale * side**power

    found = solve_latency("any", measure, SIDES, target, start=start)
    quick = [side for side in SIDES if scale * side**power <= target]
    assert found.resolution == (quick[-1] if quick else None)
    assert found.ending == ("unreachable" if not quick else "bounded" if quick == list(SIDES) else "reached")
    if found.ending == "reached":
        assert found.cost <= target < found.next_cost
        assert found.next_resolution == found.resolution + LATENCY_STEP
    assert len(asked) == len(set(asked)) <= 18
    assert [side for side, _ in found.measured] == asked


def test_networks_that_cannot_be_run_are_too_slow() -> None:
    found = solve_latency("any", lambda side: 1e-3 if side < 100 else math.inf, SIDES, 0.01, start=224)
    assert (found.ending, found.resolution, found.next_cost) == ("reached", 96, math.inf)
    with pytest.raises(LimitError, match="positive"):
        solve_latency("any", float, SIDES, 0.0, start=224)


@pytest.mark.parametrize(
    ("text", "seconds", "written"), [("5ms", 0.005, "5 ms"), (" 800us ", 8e-4, "800 us"), ("1.5 s", 1.5, "1.5 s")]
)
def test_latencies_are_read_and_written(text: str, seconds: float, written: str) -> None:
    assert parse_latency(text) == pytest.approx(seconds)
    assert format_latency(seconds) == written


def test_the_command_measures_for_a_latency() -> None:
    quick = ("betanet2_digits_r16", "--device", "cpu", "--up-to", "48", "--json")
    answer = json.loads(run(*quick, "--to-latency", "1000s"))
    solution = answer["solution"]
    assert (solution["measure"], solution["ending"], solution["resolution"]) == ("latency", "bounded", 48)
    assert answer["reached"]["resolution"] == 48
    assert "not reachable within 1 us" in run(*quick[:-1], "--to-latency", "1us")


def test_the_command_measures_steps_along_the_curve_while_there_is_time() -> None:
    quick = ("betanet2_digits_r16", "--device", "cpu", "--up-to", "48", "--batch-size", "2", "--measure")
    rows = json.loads(run(*quick, "--measure-for", "0.001", "--json"))["measured"]
    assert [row["resolution"] for row in rows] == [64, 128]
    assert rows[0]["step_seconds"]["median"] > 0
    assert "--measure-for" in rows[1]["reason"]
    text = run(*quick, "--measure-for", "0.001")
    assert "Step" in text
    assert "128 pixels: not measured" in text


def test_steps_beyond_the_free_memory_are_not_tried() -> None:
    arguments = ("betanet2_digits_r16", "--device", "cpu", "--up-to", "48", "--batch-size", "100000000", "--measure")
    (row,) = json.loads(run(*arguments, "--json"))["measured"]
    assert row["step_seconds"] is None
    assert "of memory are free" in row["reason"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to-latency", "5"], "5ms"),
        (["--to-latency", "-1ms"], "us, ms or s"),
        (["--to-latency", "5ms", "--to-params", "1M"], "one target"),
        (["--measure", "--dtype", "float16"], "float16"),
        (["--to-latency", "5ms", "--device", "tpu"], "auto, cpu"),
    ],
)
def test_wrong_input_is_refused(arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        run("betanet3", "--up-to", "48", *arguments)


def test_predicted_sides_are_all_looked_at() -> None:
    """Where a contraction is added the network becomes quicker again: predicted, such a side is found."""
    origin = Origin(bn.get_space("betanet3"), bn.published("betanet3"), resolution=32, num_classes=10)
    rule, model = make_rule("self-similar", origin), LatencyModel.load(GOLDEN)
    sides = range(8, 257, 8)
    seconds = {side: float(model.predict(BlueprintBatch.of([rule.blueprint(side)]))[0]) for side in sides}
    for target in (0.5 * seconds[128], seconds[128], 1e9, 1e-9):
        found = solve_predicted(rule, model, sides, target)
        quick = [side for side in sides if seconds[side] <= target]
        assert found.resolution == (max(quick) if quick else None)
        assert found.ending == ("unreachable" if not quick else "bounded" if quick[-1] == sides[-1] else "reached")
        assert found.cost == pytest.approx(seconds[quick[-1]] if quick else min(seconds.values()))
        assert found.measured == ()
        if found.ending == "reached":
            assert found.next_cost is not None
            assert found.next_cost > target
    with pytest.raises(LimitError, match="positive"):
        solve_predicted(rule, model, sides, 0.0)


def test_the_command_predicts_by_a_table() -> None:
    command = ["betanet3", "--to-latency", "5ms", "--latency-table", str(GOLDEN), "--up-to", "256"]
    found = json.loads(run(*command, "--json"))
    assert found["solution"]["cost"] <= 0.005 < found["solution"]["next_cost"]
    assert found["predicted_by"] == "onnxruntime, 1 thread, 1 image, made up for tests"
    assert "predicted" in run(*command)
    with pytest.raises(LimitError, match="--to-latency 5ms"):
        run("betanet3", "--latency-table", str(GOLDEN))
