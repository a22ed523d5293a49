"""How a search tells what it does: calls to one listener, which may print."""

from __future__ import annotations

from collections.abc import Sequence

from betanas.search.records import StudyPlan, TrialRecord
from betanas.training.result import CurvePoint, TrialResult


class SearchListener:
    """Hears what happens in a search. Every method does nothing here; override those of interest."""

    def on_images_read(self, done: int, total: int) -> None:
        """`done` of `total` images have been decoded, before the search begins."""

    def on_begin(self, plan: StudyPlan, records: Sequence[TrialRecord], *, location: str, capacity: int) -> None:
        """The search begins or goes on, from the trials there are."""

    def on_waiting(self, count: int) -> None:
        """A comparison or a confirmation begins or goes on: this many trainings are to be done."""

    def on_workers_ready(self, device: str) -> None:
        """A worker is ready."""

    def on_suggesting(self) -> None:
        """The strategy starts to compute a suggestion."""

    def on_trial_started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker."""

    def on_point(self, record: TrialRecord, point: CurvePoint) -> None:
        """A running trial was evaluated."""

    def on_trial_retried(self, record: TrialRecord, result: TrialResult) -> None:
        """An attempt failed and the trial is tried again."""

    def on_trial_ended(self, record: TrialRecord) -> None:
        """A trial has its final state."""

    def on_note(self, text: str) -> None:
        """Something a person should know."""

    def on_end(self, ending: str, reason: str) -> None:
        """The search ends: `finished`, `exhausted`, `out_of_time`, `interrupted`, `paused` or `failed`."""
