"""The trainings of an experiment: a comparison in its folder, of which every one is told as it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import override

from betanas.experiments.measurement import Measurement
from betanas.search.progress import SearchListener
from betanas.search.propose.listed import Listed
from betanas.search.records import TrialRecord
from betanas.search.settings import MachineSettings
from betanas.search.studies.comparison import compare
from betanas.training.result import TrialResult


def train(
    place: Path,
    wanted: Sequence[Listed],
    tell: Callable[[str], None],
    *,
    title: str,
    machine: MachineSettings,
    plugins: Sequence[str] = (),
    older: Sequence[Path] = (),
) -> list[Measurement]:
    """Train what has not been trained yet, and give all of it in the order in which it was asked for.

    Args:
        place: the comparison's directory.
        wanted: what is trained.
        tell: told a line about every training that ends.
        title: of the comparison.
        machine: where it is trained.
        plugins: Python files that every worker runs first.
        older: folders of earlier versions whose trainings count.
    """
    listener = _Counter(len(wanted), tell)
    found = compare(place, wanted, title=title, machine=machine, plugins=plugins, listener=listener, older=older)
    return [Measurement.of(record) for record in found]


class _Counter(SearchListener):
    """Tells which training has ended, and how many are left."""

    def __init__(self, total: int, tell: Callable[[str], None]) -> None:
        self._total = total
        self._tell = tell
        self._ended = 0

    @override
    def on_waiting(self, count: int) -> None:
        self._ended = self._total - count

    @override
    def on_trial_retried(self, record: TrialRecord, result: TrialResult) -> None:
        self._tell(f"{_where(record)} is tried again: {result.reason}")

    @override
    def on_trial_ended(self, record: TrialRecord) -> None:
        self._ended += 1
        accuracy = Measurement.of(record).accuracy
        reached = record.reason if accuracy is None else f"{accuracy:.2%}"
        self._tell(f"{self._ended} of {self._total}: {_where(record)}: {reached}")


def _where(record: TrialRecord) -> str:
    return f"{record.name} at {record.resolution}, {record.budget}, seed {record.seed}"
