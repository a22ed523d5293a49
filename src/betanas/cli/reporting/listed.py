"""Shows the trainings of a comparison, a confirmation or an experiment: a line for each that ends."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord
from betanas.training.result import TrialResult


class ListedReporter(SearchListener):
    """Says a line about every training.

    Args:
        say: prints a line as it is.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    @override
    def on_note(self, text: str) -> None:
        self._say(f"note: {text}")

    @override
    def on_trial_retried(self, record: TrialRecord, result: TrialResult) -> None:
        self._say(f"{training_of(record)} is tried again: {result.reason}")

    @override
    def on_trial_ended(self, record: TrialRecord) -> None:
        self._say(f"{training_of(record)}: {reached(record)}")


def training_of(record: TrialRecord) -> str:
    """Which training a trial of a given network is."""
    return f"{record.name}, for comparison" if record.purpose == "baseline" else f"{record.name}, seed {record.seed}"


def reached(record: TrialRecord) -> str:
    """What a training came to."""
    if record.top1 is None or record.state != "completed":
        return f"{record.state}: {record.reason}"
    test = f", test {record.test_top1:.2%}" if record.test_top1 is not None else ""
    return f"validation {record.top1:.2%}{test}"
