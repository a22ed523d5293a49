"""What is left of a search's time: a trial that cannot end in it is not begun."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from betanas.search.records import SessionRecord, StudyPlan, TrialRecord
from betanas.training.budget import Budget

# A trial that outlives the search's time is ended after this share of it: the promise is 3%, closing included.
_GRACE_SHARE = 0.01

# The latest trials that tell how long the next one takes.
_LATEST = 16


@dataclass(frozen=True)
class Allowance:
    """The time of a whole search, over all its sessions.

    Attributes:
        time: wall-clock seconds; None for no limit.
        training_time: training seconds of all trials; None for no limit.
        budget: of a trial.
        before: wall-clock seconds that earlier sessions took.
        began: when this session began, by `time.monotonic`.
    """

    time: float | None
    training_time: float | None
    budget: Budget
    before: float = 0.0
    began: float = field(default_factory=monotonic)

    @classmethod
    def of(cls, plan: StudyPlan, sessions: Sequence[SessionRecord], now: datetime, *, began: float) -> Allowance:
        """What a plan allows, for a session that began a while before `now`.

        Args:
            plan: whose `search.time` and `search.training_time` count.
            sessions: the earlier ones.
            now: UTC, by the clock that the sessions were written by.
            began: as in the class.
        """
        search, start = plan.search, now - timedelta(seconds=monotonic() - began)
        return cls(
            time=search.time.amount if search.time else None,
            training_time=search.training_time.amount if search.training_time else None,
            budget=plan.training.budget,
            before=seconds_before(sessions, start),
            began=began,
        )

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds so far."""
        return self.before + monotonic() - self.began

    def seconds_left(self, *, thinking: float = 0.0) -> float:
        """Wall-clock until the search ends whatever is still running; `thinking` as in `allows_another`."""
        return math.inf if self.time is None else self.time * (1 + _GRACE_SHARE) - self.elapsed - thinking

    def allows_another(self, records: Sequence[TrialRecord], *, share: float = 1.0, thinking: float = 0.0) -> bool:
        """Whether one more trial can be expected to end in time.

        Args:
            records: the trials so far, those in progress among them.
            share: part of the budget that it trains for.
            thinking: seconds that the strategy takes for a suggestion, and again for its model at the end.
        """
        latest = [each for each in records if each.training_seconds and each.state != "running"][-_LATEST:]
        if self.time is not None and self.elapsed + thinking + self._wall_seconds(latest, share) > self.time:
            return False
        if self.training_time is None:
            return True
        spent = sum(_seconds(each) for each in records if each.state != "running")
        running = sum(each.share for each in records if each.state == "running")
        # Rounded to whole trials: the total is met within half of one, above or below.
        return spent + (running + 0.5 * share) * self._training_seconds(latest) <= self.training_time

    def _wall_seconds(self, latest: Sequence[TrialRecord], share: float) -> float:
        """How long a trial may take: its training, and the most that came on top of that."""
        if self.budget.unit == "seconds":
            return self.budget.amount * share + max((_wall(each) - _seconds(each) for each in latest), default=0.0)
        return max((_wall(each) + _seconds(each) * (share / each.share - 1.0) for each in latest), default=0.0)

    def _training_seconds(self, latest: Sequence[TrialRecord]) -> float:
        """How long the whole budget is."""
        if self.budget.unit == "seconds":
            return self.budget.amount
        return statistics.fmean([_seconds(each) / each.share for each in latest]) if latest else 0.0


def _wall(record: TrialRecord) -> float:
    return record.wall_seconds or 0.0


def _seconds(record: TrialRecord) -> float:
    return record.training_seconds or 0.0


def seconds_before(sessions: Sequence[SessionRecord], moment: datetime) -> float:
    """Wall-clock that sessions took before a moment; what several took at the same time counts once."""
    total, reached = 0.0, datetime.min.replace(tzinfo=moment.tzinfo)
    for session in sorted(sessions, key=lambda each: each.started):
        start, end = max(session.started, reached), min(session.ended or session.seen, moment)
        if end > start:
            total += (end - start).total_seconds()
            reached = end
    return total
