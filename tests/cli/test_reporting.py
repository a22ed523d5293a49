"""What workers and plug-ins say may hold anything; a reporter shows it as it is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from betanas.cli.reporting.listed import ListedReporter
from betanas.cli.reporting.reporters import LiveReporter, PlainReporter, Reporter
from betanas.search.records import TrialRecord
from betanas.training.result import TrialResult

LAST_WORDS = "The worker process died; the last it said: [/usr/lib/x.so] undefined symbol [bold"
RECORD = TrialRecord(
    index=3, vector={}, blueprint_key="", origin="sobol", state="failed", reason=LAST_WORDS, name="[/net]"
)
RESULT = TrialResult("failed", "worker_lost", LAST_WORDS)


@pytest.mark.parametrize("kind", [PlainReporter, LiveReporter])
def test_a_workers_last_words_are_not_markup(kind: type[Reporter]) -> None:
    shown = io.StringIO()
    reporter = kind(Console(file=shown, width=300))
    reporter.on_trial_retried(RECORD, RESULT)
    reporter.on_note(LAST_WORDS)
    reporter.on_trial_ended(RECORD)
    assert shown.getvalue().count(LAST_WORDS) == 3


def test_a_given_networks_name_is_not_markup_either() -> None:
    lines: list[str] = []
    reporter = ListedReporter(lines.append)
    reporter.on_trial_retried(RECORD, RESULT)
    reporter.on_trial_ended(RECORD)
    assert lines == [f"[/net], seed 0 is tried again: {LAST_WORDS}", f"[/net], seed 0: failed: {LAST_WORDS}"]
