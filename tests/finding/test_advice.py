from __future__ import annotations

from dataclasses import replace

import pytest

from betanas.finding.advice import Measured, advise, interval
from betanas.finding.finetuned import FineTuned
from betanas.finding.judging import Mistakes
from betanas.finding.look import Look
from betanas.intervals import accuracy_interval

NOTHING_WRONG = Mistakes(200, 0.98, 0.97, ("cat", "dog"), 2, 100, "cat", 97, 100)
MEASURED = Measured(
    look=Look("photos", ("cat", "dog"), (1000, 1000), 0, 200, (32, 32, 32), 3),
    space="convnet",
    trials=12,
    resolution=32,
    params=20_000,
    file_bytes=80_000,
    validation=0.97,
    validation_images=200,
    test=0.96,
    test_images=200,
    confirmed=accuracy_interval([0.95, 0.96, 0.97]),
    trial_seconds=5.0,
    training_seconds=60.0,
    epochs=50.0,
    mistakes=NOTHING_WRONG,
)


def test_a_fine_tuned_network_stands_beside_the_winner() -> None:
    tuned = FineTuned("tf_efficientnet_lite0", 96, 3_383_818, 70_526_432, 0.9, 200, 5.0)
    said = advise(replace(MEASURED, finetuned=tuned))
    assert "Fine-tuned for 5.0 s, the pretrained tf_efficientnet_lite0 is right for 90.00% of the validation" in said
    assert "95% interval 85.06% to 93.43%" in said
    assert "3.38M parameters" in said
    assert "Fine-tuned" not in advise(MEASURED)


def test_the_interval_by_hand() -> None:
    # Wilson: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with p = 0.9, n = 100, z = 1.96.
    low, high = interval(0.9, 100)
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=1e-4)


def test_what_was_found_and_how_sure_it_is() -> None:
    said = advise(MEASURED)
    assert "The winner of a search of 12 trials has 20.0k parameters" in said
    assert "right for 96.00% of 200 test images (95% interval 92.31% to 97.96%" in said
    assert "looked at once, at the end" in said
    assert "it reached 96.00% on average (3 trainings, 95% interval" in said


def test_without_a_test_part_it_says_what_is_known() -> None:
    said = advise(replace(MEASURED, test=None))
    assert "right for 97.00% of 200 validation images" in said
    assert "These images chose the network too" in said


def test_without_a_confirmation_luck_is_not_known() -> None:
    assert "how much of its lead is luck is not known" in advise(replace(MEASURED, confirmed=None))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 3.0}, "saw each training image only 3 times: more time would help"),
        ({"validation": 0.99}, "brought 3.0 points on the validation images: more time may bring more"),
        ({"validation": 0.955}, "brought no more than 0.0 points: more time alone would hardly help"),
        ({"mistakes": replace(NOTHING_WRONG, accuracy=0.9)}, "more images would help"),
        ({"mistakes": replace(NOTHING_WRONG, confused=7)}, "confuses cat with dog most: 7 of 100 images"),
        (
            {"look": replace(MEASURED.look, counts=(300, 1000))},
            "The class with the fewest images, cat, is the weakest too (97 of 100 right)",
        ),
        ({"look": replace(MEASURED.look, sides=(90, 100, 120))}, "try --resolution 64"),
    ],
)
def test_what_would_help(change: dict[str, object], words: str) -> None:
    assert words in advise(replace(MEASURED, **change))  # type: ignore[arg-type]
    if change != {"validation": 0.955}:
        assert words not in advise(MEASURED)


def test_a_plain_network_may_win() -> None:
    said = advise(replace(MEASURED, baseline="plain4", confirmed=None))
    assert "None of 12 trials learned more than plain4, a plain one trained beside them. It has 20.0k" in said


def test_where_nothing_was_measured_nothing_is_advised() -> None:
    assert "Nothing that was measured" in advise(replace(MEASURED, training_seconds=6.0))


@pytest.mark.parametrize(
    ("seconds", "words", "warned"),
    [
        ({}, "", False),
        ({"predicted_latency": 0.003}, "predicted to answer in 3 ms on the latency table's machine", False),
        ({"predicted_latency": 0.003, "measured_latency": 0.0032}, "It answers in 3.2 ms, measured here; 3 ms", False),
        ({"predicted_latency": 0.003, "measured_latency": 0.00329, "latency_limit": 0.003}, "3.29 ms", False),
        ({"predicted_latency": 0.003, "measured_latency": 0.0036, "latency_limit": 0.003}, "20% above the limit", True),
    ],
)
def test_how_long_an_answer_takes(seconds: dict[str, float], words: str, *, warned: bool) -> None:
    said = advise(replace(MEASURED, **seconds))  # type: ignore[arg-type]
    assert words in said
    assert ("answer" in said) == bool(seconds)
    assert ("--max-latency" in said) == warned
