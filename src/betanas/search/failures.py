"""What to do about a trial that failed: try again, or take it as it is."""

from __future__ import annotations

from collections.abc import Sequence

from betanas.search.records import TrialRecord
from betanas.training.result import TrialResult

# A trial is started no more often than this, interruptions aside.
MAX_ATTEMPTS = 3

# A machine may be suspended many times; one that interrupts a trial this often does nothing else.
_MOST_INTERRUPTIONS = 10

# That many trials in a row that fail mean that it is not the trials.
MAX_FAILURES_IN_A_ROW = 5

# What the training itself decides: another attempt would end the same way.
_DECIDED_BY_TRAINING = ("non_finite", "limit", "out_of_memory")


def worth_another_attempt(result: TrialResult, earlier: Sequence[tuple[str, str]]) -> bool:
    """Whether a failed attempt may have been bad luck (a lost worker, a full machine, a hiccup of the disk).

    The same failure twice is no luck, and neither is what the training itself decides. An interruption (the process was
    stopped for a while) says nothing of the trial.

    Args:
        result: of the attempt that ended now.
        earlier: (cause, reason) of this trial's attempts that failed before it; those that an interruption of the
            search cut off are not among them.
    """
    failures = [failure for failure in earlier if failure[0] != "interrupted"]
    if result.cause == "interrupted":
        return len(earlier) - len(failures) < _MOST_INTERRUPTIONS
    if result.outcome != "failed" or result.cause in _DECIDED_BY_TRAINING or len(failures) + 1 >= MAX_ATTEMPTS:
        return False
    return _signature(result.cause, result.reason) not in {_signature(*failure) for failure in failures}


def decided_by_training(record: TrialRecord) -> bool:
    """Whether a trial that failed would fail again: its training itself decided."""
    return record.cause in _DECIDED_BY_TRAINING


def failing_steadily(records: Sequence[TrialRecord]) -> str:
    """Why a search should not go on: its last trials all failed. Empty where it should.

    Args:
        records: of trials in the order in which they ended.
    """
    last = records[-MAX_FAILURES_IN_A_ROW:]
    if len(last) < MAX_FAILURES_IN_A_ROW or any(record.state != "failed" for record in last):
        return ""
    return f"The last {len(last)} trials all failed. The newest: {last[-1].reason}"


def _signature(cause: str, reason: str) -> tuple[str, str]:
    """Numbers differ between two occurrences of one failure (bytes, seconds, process ids); words do not."""
    return cause, "".join(letter for letter in reason if not letter.isdigit())
