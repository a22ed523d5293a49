"""A study whose networks know no more than a guess, and what to change about it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

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
    """How many times a typical completed trial saw the training images; None where no curve was read."""
    seen = [record.curve[-1].epoch for record in records if record.state == "completed" and record.curve]
    return statistics.median(seen) if seen else None


def guessing(plan: StudyPlan, records: Sequence[TrialRecord], epochs: float | None = None) -> str:
    """What is wrong and what to change, where no completed trial is better than a guess; empty otherwise.

    Args:
        plan: the study's.
        records: its trials.
        epochs: how many times a typical trial saw the training images; by default as the records' curves say.
    """
    accuracies = [one.top1 for one in records if one.state == "completed" and one.top1 is not None]
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
