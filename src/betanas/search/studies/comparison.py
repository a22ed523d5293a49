"""A comparison as a study: given networks, each trained with the same seeds.

Its trials are written before the first is trained, so that it can be killed and resumed, and extended by networks,
seeds, budgets and recipes. A training that was cut off goes on from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from betanas.data.places import keep_outside
from betanas.errors import StudyError
from betanas.search.executors.base import WorkerSetup
from betanas.search.failures import decided_by_training
from betanas.search.planning import executor_settings
from betanas.search.progress import SearchListener
from betanas.search.propose.listed import Listed, ListedProposer, waiting_trial
from betanas.search.records import ComparisonPlan, TrialRecord, job_key
from betanas.search.settings import MachineSettings, ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import lock_of
from betanas.search.store.place import new_place
from betanas.search.store.store import Store
from betanas.search.studies.conduct import conduct
from betanas.search.studies.journal import read_journal_into
from betanas.search.study import Study
from betanas.training.job import Job
from betanas.trust import check_trust
from betanas.userfile import run_plugins

# What is asked for again where a stranger's comparison may name it.
_TYPED_AGAIN = ("data_root", "address", "workers")


def compare(
    place: str | Path,
    wanted: Sequence[Listed],
    *,
    title: str,
    machine: MachineSettings | None = None,
    plugins: Sequence[str] = (),
    listener: SearchListener | None = None,
    older: Sequence[Path] = (),
) -> tuple[TrialRecord, ...]:
    """Train what has not been trained yet.

    Args:
        place: the comparison's directory or PostgreSQL URL; made where there is none.
        wanted: what is compared, in the order in which it is trained.
        title: of a new comparison.
        machine: where it is trained.
        plugins: Python files to run first, here and in every worker.
        listener: who is told what happens.
        older: further folders of earlier versions whose trainings count, beside the directory itself.

    Returns:
        The trials that were asked for, in that order, with their learning curves.

    Raises:
        StudyError: there is another study, or another process works on it.
    """
    location = StudyLocation.parse(place)
    plan = ComparisonPlan(title, machine or MachineSettings(), tuple(plugins))
    if location.directory is not None:
        hint = "Type, for example, --folder runs/compared."
        for source in {each.job.images.source for each in wanted}:
            keep_outside(location.directory, source, what="A comparison's folder", hint=hint)
    with ExitStack() as held:
        store = _opened(location, plan, held)
        held.callback(store.close)
        for folder in (*([] if location.directory is None else [location.directory]), *older):
            read_journal_into(store, folder, wanted)
        _conduct(store, plan, _noted(store, wanted), listener or SearchListener())
        newest = {record.job_key: record for record in store.trials(curves=True)}
        return tuple(newest[job_key(each.job)] for each in wanted)


def resume_comparison(location: StudyLocation, changes: ResumeSettings, listener: SearchListener) -> Study:
    """Train whatever still waits in a comparison, or was cut off.

    Raises:
        StudyError: a change makes no sense for a comparison, or a file of its author's would be run untrusted.
    """
    own = {one.name for one in fields(MachineSettings)} - {"per_trial_devices"}
    if unknown := [name for name in changes.changes if name not in own and name != "data"]:
        raise StudyError(
            "A comparison trains what it was given.",
            value=", ".join(unknown),
            hint="To extend it, type its betanas compare command with more networks or --seeds.",
        )
    with ExitStack() as held:
        held.enter_context(lock_of(location))
        store = Store.open(location)
        plan = store.comparison()
        machine: dict[str, Any] = {name: value for name, value in changes.changes.items() if name in own}
        plan = replace(plan, machine=replace(plan.machine, **machine))
        data = changes.changes.get("data")
        jobs = {
            record.job_key: _at(store.job(record.index), source=None if data is None else str(data))
            for record in store.trials()
            if record.ended is None
        }
        images = list(dict.fromkeys(job.images for job in jobs.values()))
        named = [
            {"network": job.network.get("network"), "teacher": job.teacher and job.teacher.teacher}
            for job in jobs.values()
        ]
        typed = list(changes.changes.values())
        check_trust((plan, images, named), trusted=changes.trust_files, typed=typed, options=_TYPED_AGAIN)
        run_plugins(plan.plugins)
        _conduct(store, plan, jobs, listener)
    return Study(store)


def _opened(location: StudyLocation, plan: ComparisonPlan, held: ExitStack) -> Store:
    """The comparison that is there, or a new one; its lock is held."""
    if not Store.exists(location):
        with new_place(location, held):
            return Store.create(location, plan)
    held.enter_context(lock_of(location))
    store = Store.open(location)
    store.comparison()
    return store


def _noted(store: Store, wanted: Sequence[Listed]) -> dict[str, Job]:
    """The jobs that are to be trained now, by key; those that are new become trials that wait.

    A training that failed by bad luck is tried again, as a new trial.
    """
    records = store.trials()
    newest = {record.job_key: record for record in records}
    index = max((record.index for record in records), default=-1)
    jobs: dict[str, Job] = {}
    for each in wanted:
        before = newest.get(key := job_key(each.job))
        ended = before is not None and before.ended is not None
        if before is not None and ended and (before.state != "failed" or decided_by_training(before)):
            continue
        if key not in jobs and (before is None or ended):
            index += 1
            store.add_trial(waiting_trial(each, index, "comparison"), each.job)
        jobs[key] = each.job
    store.set_trials_planned(index + 1)
    return jobs


def _conduct(store: Store, plan: ComparisonPlan, jobs: Mapping[str, Job], listener: SearchListener) -> None:
    """Train jobs, those together for which as many processes train each."""
    listener.on_waiting(len(jobs))
    for together in sorted({job.processes for job in jobs.values()}):
        machine = replace(plan.machine, per_trial_devices=together)
        chosen = {key: job for key, job in jobs.items() if job.processes == together}
        _conduct_alike(store, replace(plan, machine=machine), chosen, listener)


def _conduct_alike(store: Store, plan: ComparisonPlan, jobs: Mapping[str, Job], listener: SearchListener) -> None:
    first = next(iter(jobs.values()))
    conduct(
        store,
        lambda _: ListedProposer(jobs),
        listener,
        setup=WorkerSetup(first, data_root=plan.machine.data_root, plugins=plan.plugins),
        settings=executor_settings(plan, store.location),
    )


def _at(job: Job, *, source: str | None) -> Job:
    return job if source is None else replace(job, images=replace(job.images, source=source))
