"""Searches that a benchmark runs in earnest: started or resumed until enough trials have completed, a core a trial."""

from __future__ import annotations

import os
from pathlib import Path

from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord
from betanas.search.run import resume, search
from betanas.search.settings import ResumeSettings, SearchSettings
from betanas.search.store.location import DATABASE_FILE
from betanas.search.study import Study

# A trial may fail (the machine ran out of memory); the next ones of the sequence take its place, so often.
MOST_FAILED = 20

# The largest networks take a minute of one core for their evaluations, which are outside the budget.
GRACE = 300.0


class Printer(SearchListener):
    """A line for each trial."""

    def on_trial_ended(self, record: TrialRecord) -> None:
        """See `SearchListener`."""
        result = record.reason if record.top1 is None else f"{record.top1:.4f}"
        print(f"trial {record.index} ({record.origin}): {record.state} {result}, {record.wall_seconds or 0:.0f} s")

    def on_note(self, text: str) -> None:
        """See `SearchListener`."""
        print(text)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def keep_to_cores(count: int) -> None:
    """Use no more cores than there are workers: a worker's share would otherwise be more than one."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def exists(place: Path) -> bool:
    """Whether there is a study."""
    return (place / DATABASE_FILE).exists()


def search_to(settings: SearchSettings, target: int) -> None:
    """Start a study, or go on with it, until a number of trials have completed; `kill -9` at any moment costs little.

    Raises:
        SystemExit: trial after trial fails, or the search ended without a new one (it was paused, or knows no more).
    """
    place = Path(settings.study)
    before = (-1, -1)
    while True:
        completed, failed = counts(place)
        if completed >= target:
            return
        if before == (completed, failed):
            raise SystemExit(f"{place} ended after {completed} trials: see `betanas status {place}`.")
        before = completed, failed
        if failed > MOST_FAILED:
            raise SystemExit(f"{failed} trials of {place} have failed: see `betanas status {place}`.")
        if exists(place):
            changes = ResumeSettings(
                trials=target + failed, workers=settings.machine.workers, data=settings.data.source
            )
            resume(place, changes, listener=Printer()).close()
        else:
            search(settings, listener=Printer()).close()


def counts(place: Path) -> tuple[int, int]:
    """How many trials of a study have completed, and how many have failed."""
    if not exists(place):
        return 0, 0
    with Study.open(place) as study:
        states = [trial.state for trial in study.trials()]
    return states.count("completed"), states.count("failed")
