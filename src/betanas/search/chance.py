"""A study whose networks know no more than a guess, or see too little of the images, and what to change about it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from betanas.search.comparable import comparable
from betanas.search.records import StudyPlan, TrialRecord

# Fewer trials than this may be at chance by bad luck with their networks.
LEAST_TRIALS = 3


def chance_limit(classes: int) -> float:
    """The accuracy below which a network is taken to guess.

    With equally frequent classes a guess is right in 1 of `classes` cases. Half as much again, or Cohen's kappa of
    0.05, whichever is stricter: 52.5% of two classes, 14.5% of ten, 1.5% of a hundred. Where one class is far more
    frequent than the others, guessing that class does better, and is not noticed.
    """
    chance = 1 / classes
    return min(1.5 * chance, chance + 0.05 * (1 - chance))


def median_epochs(records: Sequence[TrialRecord]) -> float | None:
    """How many times a typical trial saw the training images, of those with the longest training.

    None where nothing says so.
    """
    seen = [_epochs(record) for record in comparable(records) if record.repeat_of is None]
    known = [epochs for epochs in seen if epochs is not None]
    return statistics.median(known) if known else None


def _epochs(record: TrialRecord) -> float | None:
    return record.epochs if record.epochs is not None or not record.curve else record.curve[-1].epoch


def advice(plan: StudyPlan, records: Sequence[TrialRecord]) -> str:
    """What is wrong with a study as a whole and what to change, once three trials have completed; empty otherwise."""
    return guessing(plan, records) or little_seen(plan, records)


def little_seen(plan: StudyPlan, records: Sequence[TrialRecord]) -> str:
    """What to change where a typical trial does not even see every training image once; empty otherwise.

    What wins then is what makes the most steps, which after a longer training need not be what learns the most. Trials
    that were given a part of the budget on purpose are not counted.
    """
    trained = [
        one
        for one in records
        if one.state == "completed" and one.repeat_of is None and one.budget in (None, plan.training.budget)
    ]
    epochs = median_epochs(trained)
    if len(trained) < LEAST_TRIALS or epochs is None or epochs >= 1:
        return ""
    return (
        f"A typical trial sees {epochs:.0%} of the training images and ends before the first epoch does: quick "
        "networks win over those that would learn more. A longer --budget helps first; so does a lower --resolution."
    )


def guessing(plan: StudyPlan, records: Sequence[TrialRecord], epochs: float | None = None) -> str:
    """What is wrong and what to change, where no completed trial is better than a guess; empty otherwise.

    One that had a part of the budget may guess and still be right to go on.

    Args:
        plan: the study's.
        records: its trials.
        epochs: how many times a typical trial saw the training images; by default as the records' curves say.
    """
    accuracies = [one.top1 for one in records if one.state == "completed" and one.share == 1.0 and one.top1 is not None]
    count = len(plan.classes)
    if len(accuracies) < LEAST_TRIALS or count < 2 or max(accuracies) > chance_limit(count):
        return ""
    epochs = median_epochs(records) if epochs is None else epochs
    said = (
        f"No network has learned anything yet: the best of {len(accuracies)} trials has {max(accuracies):.2%}, and "
        f"guessing among {count} classes gives {1 / count:.2%}."
    )
    if epochs is not None and epochs < 2:
        return (
            f"{said} A trial saw the training images {epochs:.2g} times, which is too little. Start a study with a "
            "longer --budget, or make steps faster: a lower --resolution, or nothing else running on this machine."
        )
    return (
        f"{said} More training alone may not help: check that each image lies in the folder of its class, and start a "
        "study with another --recipe."
    )
