from __future__ import annotations

import math

import pytest

from betanas.intervals import accuracy_interval, mean_interval


def percent(value: float) -> str:
    return f"{100 * value:.2f}%"


def test_an_accuracys_interval_stays_between_0_and_1() -> None:
    wide = mean_interval([0.05, 0.85, 0.95])
    assert wide.low < 0
    assert wide.high > 1
    cut = accuracy_interval([0.05, 0.85, 0.95])
    assert (cut.low, cut.high) == (0.0, 1.0)
    assert (cut.mean, cut.n, cut.deviation) == (wide.mean, wide.n, wide.deviation)
    inside = [0.5, 0.51, 0.52]
    assert accuracy_interval(inside) == mean_interval(inside)
    assert math.isinf(accuracy_interval([0.4]).high)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.6], "a single training"),
        ([0.5407, 0.7225], "two trainings, 54.07% and 72.25%: too few for an interval"),
        ([0.6316, 0.6316], "2 trainings with equal results"),
        ([0.5, 0.5, 0.5], "3 trainings with equal results"),
        ([0.5, 0.51, 0.52], "3 trainings, 95% interval 48.52% to 53.48%"),
    ],
)
def test_words_say_what_a_mean_rests_on(values: list[float], words: str) -> None:
    found = accuracy_interval(values)
    assert found.words(percent) == words
    assert found.known == ("interval 4" in words)
