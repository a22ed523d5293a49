from __future__ import annotations

from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine


def test_the_time_that_is_left_takes_the_budgets_place(digits, blueprint, quick):
    engine = TrialEngine(digits, resolution=16, recipe=quick.with_settings(evaluations=4), device="cpu")
    left, points = iter([0.4, 0.2, 0.0, -5.0, -5.0, -5.0]), []

    def note(point):
        points.append(point)
        return True

    result = engine.train(
        blueprint.build, budget=Budget(1e5, "seconds"), seed=0, on_point=note, seconds_left=lambda: next(left)
    )
    assert result.outcome == "completed"
    assert result.training_seconds < 100, "of a budget of more than a day"
    assert 1 <= len(points) <= 4


def test_without_any_time_one_step_is_made(digits, blueprint, quick):
    engine = TrialEngine(digits, resolution=16, recipe=quick, device="cpu")
    result = engine.train(blueprint.build, budget=Budget(60.0, "seconds"), seed=0, seconds_left=lambda: -1.0)
    assert (result.outcome, result.steps) == ("completed", 1)
