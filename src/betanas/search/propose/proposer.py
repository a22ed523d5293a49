"""What decides which trial a study trains next: a strategy in a search, a list in a confirmation or a comparison."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from betanas.search.records import TrialRecord
from betanas.training.job import Job
from betanas.training.result import CurvePoint


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new trial.

    Attributes:
        record: of the trial; `running`, or with the state that it has ended in without being trained.
        job: what is trained, or would have been.
    """

    record: TrialRecord
    job: Job


class Proposer(ABC):
    """Proposes trials, and learns what becomes of them.

    A study's loop tells it every trial that there is (`tell`), as the store holds it, before it asks for another.

    Attributes:
        gives_up: whether a study whose trials all fail is to end: the cause is then not in its trials.
    """

    gives_up: bool = False

    @abstractmethod
    def tell(self, record: TrialRecord) -> None:
        """Take note of a trial that is new or has changed."""

    @abstractmethod
    def propose(self, session: int) -> Proposal | None:
        """The next new trial; None where there is none."""

    @abstractmethod
    def remaining(self) -> int:
        """How many new trials are to be started."""

    @abstractmethod
    def job(self, record: TrialRecord) -> Job:
        """What a trial of the study trains."""

    def wants(self, record: TrialRecord) -> bool:
        """Whether a trial that waits, or was cut off, is to be trained now."""
        return True

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Compute the next proposal, while trials run on other hardware."""

    def goes_on(self, record: TrialRecord, curve: Sequence[CurvePoint]) -> bool:
        """Whether a running trial is to be trained on after an evaluation."""
        return True

    def value(self, record: TrialRecord) -> float | None:
        """What a trial that has ended is worth, to be maximised; None where it has no value."""
        return None

    def has_time(self) -> bool:
        """Whether one more trial would end within the time that the study has."""
        return True

    def seconds_left(self) -> float:
        """Seconds until whatever is still running is ended."""
        return math.inf

    def ending(self) -> str:
        """How the study ends when nothing is left to do: `finished`, `exhausted` (all was tried) or `out_of_time`."""
        return "finished"

    def conclude(self) -> None:  # noqa: B027 - most have nothing to conclude
        """Called when the study has come to its end."""
