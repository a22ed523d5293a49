"""Confirming a study's leaders: retrained with fresh seeds, and chosen by mean and interval.

The best of many single trainings is partly lucky. A confirmation trains the leaders again, and the maximum of the
strategy's model, which nobody has trained, each with the same fresh seeds (section 7.1 of the report takes the model's
maximum for the best, on the model's word). Its trainings are trials of the same study, kept apart from the search's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from time import monotonic

from betanas.errors import StudyError
from betanas.search.comparable import comparable
from betanas.search.confirmed import Confirmation, candidate_name, read_confirmations
from betanas.search.planning import executor_settings, job_of, resumed, strategy_of, worker_setup
from betanas.search.progress import SearchListener
from betanas.search.propose.listed import Entrant, ListedProposer, listed
from betanas.search.records import FIRST_CONFIRMATION, StudyPlan, network_key
from betanas.search.settings import ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import lock_of
from betanas.search.store.store import Store
from betanas.search.studies.conduct import conduct
from betanas.search.studies.search import trial_seed
from betanas.search.studies.waiting import add_waiting
from betanas.training.job import Job
from betanas.userfile import run_plugins


def confirm(
    study: str | Path,
    *,
    top: int = 5,
    seeds: int = 3,
    changes: ResumeSettings | None = None,
    listener: SearchListener | None = None,
    seconds: float = math.inf,
) -> tuple[Confirmation, ...]:
    """Retrain a study's leaders and its model's maximum.

    Trainings that are stored are not repeated: an interrupted confirmation goes on, a larger one extends it.

    Args:
        study: its directory or PostgreSQL URL.
        top: how many of the best trials.
        seeds: fresh trainings of each.
        changes: devices of this machine, and whether the study's own files may be run.
        listener: who is told what happens.
        seconds: wall-clock for it: no training is begun that cannot end in it. All leaders are trained with the first
            seed before any is with the second.

    Returns:
        What was asked for, the best mean first; what there was no time for comes last, without trainings.

    Raises:
        StudyError: there is no completed trial, another process uses the study, or a number makes no sense.
    """
    if top < 1 or seeds < 1:
        raise StudyError("A confirmation needs at least one network and one seed.", value=f"top {top}, seeds {seeds}")
    ends, changes = monotonic() + seconds, changes or ResumeSettings()
    store = Store.open(StudyLocation.parse(study))
    try:
        plan = store.plan()
        plan = resumed(plan, changes, options=("workers",))
        run_plugins(plan.search.plugins)
        with lock_of(store.location):
            candidates = _candidates(store, plan, top)
            wanted = _wanted(store, plan, candidates, seeds)
            if wanted:
                conduct(
                    store,
                    lambda _: ListedProposer(wanted, ends=ends),
                    listener or SearchListener(),
                    setup=worker_setup(plan),
                    settings=executor_settings(plan, store.location),
                    apart="confirmation",
                )
            keys = {candidate.blueprint.key for candidate in candidates}
            return tuple(one for one in read_confirmations(store) if one.blueprint.key in keys)
    finally:
        store.close()


def _candidates(store: Store, plan: StudyPlan, top: int) -> list[Confirmation]:
    """The best of the trials with the longest training, and the model's maximum."""
    trials = store.trials()
    records = [record for record in comparable(trials) if record.objective is not None]
    if not records:
        raise StudyError("A confirmation needs a completed trial.", value=store.location.text)
    found: dict[str, Confirmation] = {}
    for record in sorted(records, key=lambda record: (-(record.objective or 0.0), record.index)):
        if len(found) < top and record.blueprint_key not in found:
            found[record.blueprint_key] = Confirmation(record.index, record.vector, store.blueprint(record.index))
    strategy = strategy_of(plan, trials)
    prediction = strategy.predict_best()
    if prediction is not None:
        row = strategy.problem.space.to_array([prediction.vector])
        blueprint = strategy.problem.blueprint(row[0])
        found.setdefault(blueprint.key, Confirmation(None, dict(prediction.vector), blueprint))
    return list(found.values())


def _wanted(store: Store, plan: StudyPlan, candidates: list[Confirmation], seeds: int) -> dict[str, Job]:
    """The jobs that are still to be trained, by key; those that are new become trials that wait."""
    entrants = [Entrant.of(candidate_name(each.trial), each.blueprint, vector=each.vector) for each in candidates]
    fresh = [trial_seed(plan.search.seed, FIRST_CONFIRMATION + place) for place in range(seeds)]
    known = {one.blueprint.key: {run.seed for run in one.runs} for one in read_confirmations(store)}

    def job(entrant: Entrant, seed: int) -> Job:
        made = job_of(plan, entrant.architecture, seed=seed)
        return replace(made, recipe=made.recipe.with_settings(evaluation_share=0.0))  # judged by all images

    wanted = listed(entrants, fresh, job)
    missing = [each for each in wanted if each.job.seed not in known.get(network_key(each.job.network), ())]
    return add_waiting(store, missing, "confirmation", first=FIRST_CONFIRMATION)
