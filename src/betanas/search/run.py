"""Starting a search, and going on with a study."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from betanas.errors import StudyError
from betanas.host_load import OthersLoad
from betanas.search.allowance import Allowance
from betanas.search.executors.base import Executor
from betanas.search.executors.slots import plan_slots, shared_gpus, trains_on_processor
from betanas.search.loop import StudyLoop
from betanas.search.planning import executor_settings, plan_search, resumed, worker_setup
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.settings import EXTENT, ResumeSettings, SearchSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import lock_of
from betanas.search.store.place import new_place
from betanas.search.store.store import Store
from betanas.search.studies.baselines import baseline_proposer
from betanas.search.studies.comparison import resume_comparison
from betanas.search.studies.conduct import conduct
from betanas.search.studies.search import SearchParts, StrategyProposer
from betanas.search.study import Study
from betanas.userfile import run_plugins


@dataclass(frozen=True, slots=True)
class _Beginning:
    """When a command began, and what other programs use of the processor since."""

    moment: float = field(default_factory=monotonic)
    load: OthersLoad = field(default_factory=OthersLoad)


def search(settings: SearchSettings | None = None, *, listener: SearchListener | None = None, **given: Any) -> Study:
    """Search for a network, and give the study back when it has run its trials.

    Args:
        settings: what to search; or its fields by name: `search(data="digits", study="runs/digits", budget="10s")`.
        listener: who is told what happens.
        given: fields of `SearchSettings`.

    Raises:
        UserError: something about the search cannot work; nothing was written.
        SearchFailedError: trial after trial failed.
        KeyboardInterrupt: it was interrupted; the study is safe and `resume` goes on.
    """
    began, listener = _Beginning(), listener or SearchListener()
    planned = plan_search(settings if settings is not None else SearchSettings(**given), listener)
    with ExitStack() as held:
        with new_place(planned.location, held):
            store = Store.create(planned.location, planned.plan)
        return _run(store, planned.plan, listener, began)


def resume(
    study: str | Path,
    changes: ResumeSettings | None = None,
    *,
    listener: SearchListener | None = None,
) -> Study:
    """Go on with a study that was interrupted, killed or finished with fewer trials than are wanted now.

    Trials that were cut off are started again; completed ones are never repeated.

    Args:
        study: its directory or PostgreSQL URL.
        changes: what is to be different.
        listener: who is told what happens.

    Raises:
        StudyError: there is no study, or another process works on it.
    """
    began, changes, listener = _Beginning(), changes or ResumeSettings(), listener or SearchListener()
    location = StudyLocation.parse(study)
    # What is refused must leave the study as it was, and a search that runs on it alone.
    with closing(Store.open(location, read_only=True)) as looked_at:
        if looked_at.is_comparison:
            return resume_comparison(location, changes, listener)
        plan = looked_at.plan()
        _refuse_fewer(Study(looked_at), changes)
        if remark := _nothing_left(Study(looked_at), plan, changes):
            listener.on_note(remark)
            return Study.open(study)
    plan = resumed(plan, changes, options=_TYPED_AGAIN)
    run_plugins(plan.search.plugins)
    with lock_of(location):
        return _run(Store.open(location), plan, listener, began, changes)


def _refuse_fewer(study: Study, changes: ResumeSettings) -> None:
    """Refuse a number of trials that the study has already passed."""
    wanted, trained = changes.changes.get("trials"), study.trained()
    if isinstance(wanted, int) and wanted < trained:
        raise StudyError(
            "--trials counts all trials of a study, those that are trained already too.",
            value=f"{wanted}, of which {trained} are trained",
            hint=f"For five more, type --trials {trained + 5}.",
        )


def _nothing_left(study: Study, plan: StudyPlan, changes: ResumeSettings) -> str:
    """What to say of a search that has ended and is not to go on any further; empty for one that has trials to run."""
    asked = {name: value for name, value in changes.changes.items() if name in EXTENT}
    sessions, trained = study.sessions(), study.trained()
    more = asked.pop("trials", None)
    extended = asked or (isinstance(more, int) and more > trained)
    if extended or study.state != "finished" or sessions[-1].ending not in ("finished", "exhausted", "out_of_time"):
        return ""
    place = shlex.quote(study.location)
    if trained >= plan.search.trials:
        return f"All {trained} trials are trained already. For more: betanas resume {place} --trials {trained + 20}"
    return f"This search has ended, with {trained} trials. For more: betanas resume {place} --trials N --time TIME"


def _run(
    store: Store, plan: StudyPlan, listener: SearchListener, began: _Beginning, changes: ResumeSettings | None = None
) -> Study:
    changed = changes.changes if changes is not None else {}
    allowance = Allowance.of(plan, store.sessions(), store.now(), began=began.moment)

    def on_begin(loop: StudyLoop, executor: Executor) -> None:
        listener.on_begin(plan, loop.records, location=store.location.text, capacity=executor.capacity)
        if warning := sharing_warning(plan, loop.records):
            listener.on_note(warning)
        if suffers_from_load(plan) and (warning := began.load.warning()):
            listener.on_note(warning)

    conduct(
        store,
        lambda executor: StrategyProposer(SearchParts.of(store, plan, executor.proposing, listener, allowance)),
        listener,
        setup=worker_setup(plan),
        settings=executor_settings(plan, store.location),
        extent={name: changed[name] for name in EXTENT if name in changed},
        ago=monotonic() - began.moment,
        make_first=lambda: baseline_proposer(store, plan, seconds=allowance.seconds_left()),
        on_begin=on_begin,
    )
    return Study(store)


def suffers_from_load(plan: StudyPlan) -> bool:
    """Whether what else this machine computes changes what trials learn: they count its seconds, not their steps."""
    return trains_on_processor(plan.machine) and plan.training.budget.unit == "seconds"


def sharing_warning(plan: StudyPlan, records: Sequence[TrialRecord]) -> str:
    """What to say where trials will share a GPU with another number of others than those before; empty otherwise."""
    if not shared_gpus(plan.machine):
        return ""
    now = {slot.shared_by for slot in plan_slots(plan.machine)}
    trained = [each for each in records if each.state == "completed" and each.repeat_of is None]
    before = {each.shared_by for each in trained if each.device.startswith("cuda")}
    if not before or before == now:
        return ""
    counts = [" or ".join(map(str, sorted(each))) for each in (before, now)]
    return (
        f"So far a GPU had {counts[0]} of the study's trials at a time, and has {counts[1]} from now on: "
        "equal training seconds are then not equal trainings."
    )


# What is asked for again where a stranger's study may name it.
_TYPED_AGAIN = ("data_root", "address", "workers", "per_trial_devices")
