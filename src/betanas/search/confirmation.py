"""Confirming a study's leaders: retrained with fresh seeds, and chosen by mean and interval.

The best of many single trainings is partly lucky. A confirmation trains the leaders again, and the maximum of the
strategy's model, which nobody has trained, each with the same fresh seeds (section 7.1 of the report takes the model's
maximum for the best, on the model's word).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from betanas.errors import StudyError
from betanas.search.confirmed import KIND, Confirmation, ConfirmationRun
from betanas.search.executors.base import Executor, TrialEnded, TrialJob
from betanas.search.executors.registry import make_executor
from betanas.search.loop import trial_seed
from betanas.search.planning import executor_settings, resumed, strategy_of, worker_setup
from betanas.search.records import StudyPlan
from betanas.search.settings import ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import lock_of
from betanas.search.store.store import Store
from betanas.training.result import TrialResult
from betanas.userfile import run_plugins

# Far beyond the indices of trials, whose seeds a confirmation must not repeat.
_FIRST_SEED_INDEX = 1_000_000

_POLL_SECONDS = 1.0


def confirm(
    study: str | Path, *, top: int = 5, seeds: int = 3, changes: ResumeSettings | None = None
) -> Iterator[Confirmation]:
    """Retrain a study's leaders and its model's maximum, giving each network whenever one of its trainings ends.

    Trainings that are stored are not repeated: an interrupted confirmation goes on, a larger one extends it.

    Args:
        study: its directory or PostgreSQL URL.
        top: how many of the best trials.
        seeds: fresh trainings of each.
        changes: devices of this machine, and whether the study's own files may be run.

    Raises:
        StudyError: there is no completed trial, another process uses the study, or a number makes no sense.
    """
    if top < 1 or seeds < 1:
        raise StudyError("A confirmation needs at least one network and one seed.", value=f"top {top}, seeds {seeds}")
    changes = changes or ResumeSettings()
    store = Store.open(StudyLocation.parse(study))
    try:
        plan = store.plan()
        plan = resumed(plan, changes, options=("workers",))
        run_plugins(plan.search.plugins)
        with lock_of(store.location):
            candidates = _candidates(store, plan, top)
            work = deque(_missing(candidates, plan, seeds))
            executor = make_executor(plan.machine.executor, worker_setup(plan), executor_settings(plan, store.location))
            for key in {key: None for key in candidates if not any(key == job_key for job_key, _ in work)}:
                yield candidates[key]
            if work:
                with executor:
                    yield from _train(executor, store, plan, candidates, work)
    finally:
        store.close()


def _train(
    executor: Executor,
    store: Store,
    plan: StudyPlan,
    candidates: dict[str, Confirmation],
    work: deque[tuple[str, int]],
) -> Iterator[Confirmation]:
    running: dict[int, tuple[str, int]] = {}
    handed_out = 0
    while work or running:
        while work and executor.idle:
            key, seed = work.popleft()
            job = TrialJob(_FIRST_SEED_INDEX + handed_out, 1, candidates[key].blueprint, plan.training.budget, seed)
            running[job.index] = (key, seed)
            executor.submit(job)
            handed_out += 1
        for event in executor.poll(_POLL_SECONDS):
            if isinstance(event, TrialEnded):
                key, seed = running.pop(event.index)
                candidates[key] = _with_run(candidates[key], seed, event.result)
                store.attach(KIND, key, candidates[key].to_dict())
                yield candidates[key]


def _candidates(store: Store, plan: StudyPlan, top: int) -> dict[str, Confirmation]:
    """By blueprint key: the best trials and the model's maximum, with the runs that are stored already."""
    records = [record for record in store.trials() if record.state == "completed" and record.objective is not None]
    if not records:
        raise StudyError("A confirmation needs a completed trial.", value=store.location.text)
    leaders = sorted(records, key=lambda record: (-(record.objective or 0.0), record.index))
    found: dict[str, Confirmation] = {}
    for record in leaders:
        if len(found) < top and record.blueprint_key not in found:
            found[record.blueprint_key] = Confirmation(record.index, record.vector, store.blueprint(record.index))
    strategy = strategy_of(plan, store.trials())
    prediction = strategy.predict_best()
    if prediction is not None:
        row = strategy.problem.space.to_array([prediction.vector])
        blueprint = strategy.problem.blueprint(row[0])
        found.setdefault(blueprint.key, Confirmation(None, dict(prediction.vector), blueprint))
    for kept in store.attachments(KIND):
        if kept.name in found:
            found[kept.name] = replace(found[kept.name], runs=Confirmation.from_dict(kept.document).runs)
    return found


def _missing(candidates: Mapping[str, Confirmation], plan: StudyPlan, seeds: int) -> Iterator[tuple[str, int]]:
    """What is still to be trained: a first seed of every network, then a second, so that an early end is fair."""
    for place in range(seeds):
        seed = trial_seed(plan.search.seed, _FIRST_SEED_INDEX + place)
        for key, candidate in candidates.items():
            if all(run.seed != seed for run in candidate.runs):
                yield key, seed


def _with_run(candidate: Confirmation, seed: int, result: TrialResult) -> Confirmation:
    run = ConfirmationRun(seed, result.top1, result.top5, result.training_seconds, result.reason)
    return replace(candidate, runs=(*candidate.runs, run))
