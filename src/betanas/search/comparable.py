"""Which trials of a search compare: those that had the same part of its budget."""

from __future__ import annotations

from collections.abc import Iterable

from betanas.search.records import TrialRecord


def longest_share(records: Iterable[TrialRecord]) -> float:
    """The largest part of the budget that a trial with a result has had; 1 where there is none."""
    return max((each.share for each in records if _has_result(each)), default=1.0)


def comparable(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The completed trials that had the longest training of all, in their order: whole ones, where there is one.

    What shorter trainings reached is lower for their length, so that the best of all is to be found among these.
    """
    known = list(records)
    longest = longest_share(known)
    return [each for each in known if each.state == "completed" and each.share == longest]


def leader(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The comparable trial with the best objective, the first of equals; None where no trial has one."""
    judged = [each for each in comparable(records) if each.objective is not None]
    return max(judged, key=lambda each: (each.objective or 0.0, -each.index), default=None)


def partly_trained(best: TrialRecord | None) -> str:
    """What is to be known of a best trial that had a part of the budget, as a sentence; empty for a whole training."""
    if best is None or best.share == 1.0:
        return ""
    return (
        f"No network has been trained for the whole budget yet: trial {best.index}, the best so far, had "
        f"{best.share:.3g} of it. Let the search go on, or train its leaders with betanas confirm."
    )


def _has_result(record: TrialRecord) -> bool:
    return record.state == "completed" and record.top1 is not None
