"""Early stopping over recorded trials: the fast replay decides as the rule itself does."""

from __future__ import annotations

import numpy as np
import pytest

from betanas.search.simulation.recording import Recording, as_curve
from betanas.search.simulation.stopped import RecordedCurves
from betanas.search.stopping import Curve, StoppingRule, final_accuracy

BUDGET = 20.0


def recordings(count: int) -> list[Recording]:
    """Curves of different speed and height, with noise in every evaluation."""
    generator = np.random.default_rng(0)
    found = []
    for number in range(count):
        top, speed = 0.1 + 0.3 * generator.random(), 1.0 + 5.0 * generator.random()
        shape = [(1 - np.exp(-speed * part / 6)) / (1 - np.exp(-speed)) for part in range(1, 7)]
        points = tuple((BUDGET * (i + 1) / 6, float(top * s + 0.003 * generator.random())) for i, s in enumerate(shape))
        found.append(Recording({"k": float(number)}, points[-1][1], points, BUDGET, BUDGET + 1, 1))
    return found


def by_the_rule(kept: list[Recording], rule: StoppingRule, order: list[int]) -> list[float]:
    """Training seconds of each trial, every decision taken by `StoppingRule.decide`."""
    history: list[Curve] = []
    spent = []
    for index, place in enumerate(order):
        curve = as_curve(kept[place].curve)
        stops = (
            curve[length - 1].seconds
            for length in range(1, len(curve) + 1)
            if rule.decide(curve[:length], history, index=index).stop
        )
        used = next(stops, None)
        if used is None:
            history.append(curve)
        spent.append(BUDGET if used is None else used)
    return spent


@pytest.mark.parametrize("rule", [StoppingRule(BUDGET), StoppingRule(BUDGET, seed=3, earliest=0.15, confidence=0.7)])
def test_the_replay_decides_as_the_rule_does(rule: StoppingRule) -> None:
    kept = recordings(40)
    order = np.random.default_rng(1).permutation(40).tolist()
    spent = by_the_rule(kept, rule, order)
    found = RecordedCurves(kept).replay(rule, order)
    assert found.trials == 40
    assert found.stopped == sum(seconds < BUDGET for seconds in spent) > 5
    assert found.saved == pytest.approx(1 - sum(spent) / (40 * BUDGET))


def test_what_is_lost_is_the_best_trials_lead_over_the_best_that_was_trained() -> None:
    kept = recordings(30)
    best = int(np.argmax([final_accuracy(as_curve(each.curve)) for each in kept]))
    slow = tuple((seconds, 0.01 if seconds < BUDGET else 0.99) for seconds, _ in kept[best].curve)
    kept[best] = Recording({"k": -1.0}, 0.99, slow, BUDGET, BUDGET + 1, 1)
    others = [place for place in range(30) if place != best]
    found = RecordedCurves(kept).replay(StoppingRule(BUDGET, controls=0.0), [*others, best])
    second = max(final_accuracy(as_curve(kept[place].curve)) for place in others)
    assert found.lost == pytest.approx(0.99 - second)
    assert RecordedCurves(kept).replay(StoppingRule(BUDGET, controls=1.0), [*others, best]).lost == 0.0
