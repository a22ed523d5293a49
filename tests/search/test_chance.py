"""A study whose networks only guess says so, and what to change."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from betanas.cli.reporting.reporters import PlainReporter
from betanas.search.chance import advice, chance_limit, guessing, little_seen, median_epochs
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.run import suffers_from_load
from betanas.training.budget import Budget
from betanas.training.result import CurvePoint


@pytest.fixture
def trials(make_record: Callable[..., TrialRecord]) -> Callable[..., list[TrialRecord]]:
    """Completed trials with accuracies, each of which saw the images that many times."""

    def make(*accuracies: float, epochs: float = 0.4) -> list[TrialRecord]:
        curve = (CurvePoint(1.0, 3, epochs, 2.3, 0.1),)
        return [
            make_record(index, state="completed", top1=value, objective=value, curve=curve)
            for index, value in enumerate(accuracies)
        ]

    return make


@pytest.mark.parametrize(("classes", "limit"), [(2, 0.525), (10, 0.145), (100, 0.015)])
def test_what_counts_as_a_guess(classes: int, limit: float) -> None:
    assert chance_limit(classes) == pytest.approx(limit)


def test_three_trials_that_guess_are_noticed(plan: StudyPlan, trials: Callable[..., list[TrialRecord]]) -> None:
    said = guessing(plan, trials(0.1, 0.1244, 0.09))
    assert "12.44%" in said
    assert "10.00%" in said
    assert "0.4 times" in said
    assert "--budget" in said
    assert guessing(plan, trials(0.1, 0.12)) == "", "too few to tell"
    assert guessing(plan, trials(0.1, 0.12, 0.2)) == "", "one has learned"
    assert guessing(replace(plan, classes=("only",)), trials(0.1, 0.1, 0.1)) == ""


def test_after_many_epochs_the_advice_is_another(plan: StudyPlan, trials: Callable[..., list[TrialRecord]]) -> None:
    said = guessing(plan, trials(0.1, 0.1, 0.1, epochs=30.0))
    assert "--recipe" in said
    assert "--budget" not in said


def test_trials_that_see_less_than_one_epoch_say_so_after_three(
    plan: StudyPlan, trials: Callable[..., list[TrialRecord]]
) -> None:
    said = little_seen(plan, trials(0.3, 0.4, 0.5))
    assert "40% of the training images" in said
    assert "--budget" in said
    assert "--resolution" in said
    assert advice(plan, trials(0.3, 0.4, 0.5)) == said
    assert little_seen(plan, trials(0.3, 0.4)) == "", "too few to tell"
    assert little_seen(plan, trials(0.3, 0.4, 0.5, epochs=1.0)) == ""
    assert advice(plan, trials(0.1, 0.1, 0.1)) == guessing(plan, trials(0.1, 0.1, 0.1)), "the worse of the two"


def test_short_trials_that_were_meant_to_be_short_do_not_count(
    plan: StudyPlan, trials: Callable[..., list[TrialRecord]]
) -> None:
    short = [replace(one, budget=Budget(1, "steps")) for one in trials(0.3, 0.4, 0.5)]
    assert little_seen(plan, short) == ""
    assert little_seen(plan, [replace(one, budget=plan.training.budget) for one in short])


def test_repeats_do_not_count_and_a_record_knows_its_epochs(
    plan: StudyPlan, trials: Callable[..., list[TrialRecord]]
) -> None:
    repeats = [replace(one, repeat_of=0) for one in trials(0.3, 0.4, 0.5)]
    assert little_seen(plan, repeats) == ""
    assert median_epochs([replace(one, epochs=7.0) for one in trials(0.3)]) == 7.0


def test_epochs_of_a_typical_trial(trials: Callable[..., list[TrialRecord]]) -> None:
    assert median_epochs(trials(0.1, 0.2, epochs=3.0)) == 3.0
    assert median_epochs([replace(one, curve=()) for one in trials(0.1)]) is None


def test_the_console_says_it_once_and_shows_epochs(plan: StudyPlan, trials: Callable[..., list[TrialRecord]]) -> None:
    out = io.StringIO()
    reporter = PlainReporter(Console(file=out, width=300))
    reporter.on_begin(plan, (), location="study", capacity=1)
    for record in trials(0.1, 0.1, 0.1, 0.1):
        reporter.on_trial_started(replace(record, state="running", curve=()))
        reporter.on_point(record, record.curve[-1])
        reporter.on_trial_ended(replace(record, curve=()))
    assert out.getvalue().count("No network has learned anything yet") == 1
    assert out.getvalue().count("10.00% after 0.4 epochs") == 4


@pytest.mark.parametrize(
    ("budget", "devices", "suffers"),
    [
        ("30s", ("cpu",), True),
        ("500steps", ("cpu",), False),
        ("2epochs", ("cpu",), False),
    ],
)
def test_only_trials_that_count_seconds_of_the_processor_suffer_from_load(
    plan: StudyPlan, budget: str, devices: tuple[str, ...], suffers: bool
) -> None:
    training = replace(plan.training, budget=Budget.parse(budget))
    assert (
        suffers_from_load(replace(plan, training=training, machine=replace(plan.machine, devices=devices))) == suffers
    )
