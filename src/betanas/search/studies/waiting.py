"""Trainings of given networks beside a search, as trials of the study that wait to be trained."""

from __future__ import annotations

from collections.abc import Iterable

from betanas.search.propose.listed import Listed, waiting_trial
from betanas.search.records import Purpose
from betanas.search.store.store import Store
from betanas.training.job import Job


def add_waiting(store: Store, wanted: Iterable[Listed], purpose: Purpose, *, first: int) -> dict[str, Job]:
    """Add trials for what is wanted and is not among the study's trials of that purpose yet.

    Args:
        store: of the study.
        wanted: the trainings.
        purpose: what they are for.
        first: the index of the first trial of that purpose.

    Returns:
        The jobs of those that have not ended, by key.
    """
    trials = store.trials(apart=purpose)
    known = {record.job_key: record for record in trials}
    index = max((record.index for record in trials), default=first - 1)
    open_jobs: dict[str, Job] = {}
    for each in wanted:
        record = waiting_trial(each, index + 1, purpose)
        found = known.get(record.job_key)
        if found is not None and found.ended is not None:
            continue
        open_jobs[record.job_key] = each.job
        if found is None:
            store.add_trial(record, each.job)
            index += 1
    return open_jobs
