"""Starting a search, and going on with one."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from betanas.environment import hardware, versions
from betanas.errors import BetanasError, StoreError
from betanas.search.allowance import Allowance
from betanas.search.executors.registry import make_executor
from betanas.search.loop import SearchLoop, SearchParts
from betanas.search.planning import (
    executor_settings,
    make_strategy,
    plan_search,
    problem_of,
    resumed,
    stopping_rule,
    worker_setup,
)
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.scoring import make_score
from betanas.search.settings import EXTENT, ResumeSettings, SearchSettings
from betanas.search.store.location import StudyLocation, hide_passwords
from betanas.search.store.lock import lock_of
from betanas.search.store.place import new_place
from betanas.search.store.store import Store
from betanas.search.study import Study
from betanas.userfile import run_plugins


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
    began, listener = monotonic(), listener or SearchListener()
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
    """Go on with a search that was interrupted, killed or finished with fewer trials than are wanted now.

    Trials that were cut off are started again; completed ones are never repeated.

    Args:
        study: its directory or PostgreSQL URL.
        changes: what is to be different.
        listener: who is told what happens.

    Raises:
        StudyError: there is no study, or another process searches it.
    """
    began, changes = monotonic(), changes or ResumeSettings()
    location = StudyLocation.parse(study)
    # What is refused must leave the study as it was, and a search that runs on it alone.
    with closing(Store.open(location, read_only=True)) as looked_at:
        plan = looked_at.plan()
    plan = resumed(plan, changes, options=_TYPED_AGAIN)
    run_plugins(plan.search.plugins)
    with lock_of(location):
        store = Store.open(location)
        return _run(store, plan, listener or SearchListener(), began, changes)


def _run(
    store: Store, plan: StudyPlan, listener: SearchListener, began: float, changes: ResumeSettings | None = None
) -> Study:
    location = store.location
    executor = make_executor(plan.machine.executor, worker_setup(plan), executor_settings(plan, location))
    if changes is not None and (extent := {name: changes.changes[name] for name in EXTENT if name in changes.changes}):
        store.extend(extent)
    with store.turn():
        allowance = Allowance.of(plan, store.sessions(), store.now(), began=began)
        session = store.begin_session(
            host=socket.gethostname(),
            pid=os.getpid(),
            command=hide_passwords(" ".join(["betanas", *sys.argv[1:]])),
            versions=versions(),
            hardware=hardware(),
            ago=monotonic() - began,
        )
    ending, reason = "failed", ""
    try:
        with _interruptible(), executor:
            problem = problem_of(plan)
            parts = SearchParts(
                store=store,
                plan=plan,
                problem=problem,
                make_strategy=lambda problem: make_strategy(plan, problem),
                score=make_score(plan.search.objective, problem),
                executor=executor,
                listener=listener,
                session=session,
                stopping=stopping_rule(plan),
                allowance=allowance,
            )
            loop = SearchLoop(parts)
            listener.on_begin(plan, loop.records, location=location.text, capacity=executor.capacity)
            with store.beating(session):
                ending = loop.run()
                loop.export_surrogate()
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    except BetanasError as error:
        reason = str(error)
        raise
    finally:
        _end_session(store, session, ending)
        listener.on_end(ending, reason)
    return Study(store)


def _end_session(store: Store, session: int, ending: str) -> None:
    try:
        store.end_session(session, ending)
    except StoreError:
        return  # a full disk has ended the search already; that error is the one to show


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a search that is told to end do so in order: workers freed, study closed.

    SIGINT is among the signals since a shell starts background jobs with it ignored, and Python then leaves it so.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before: Mapping[int, Any] = {}
    with suppress(ValueError):  # outside the main thread (a notebook's executor) signals are not ours to handle
        before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# What is asked for again where a stranger's study may name it.
_TYPED_AGAIN = ("data_root", "address", "workers", "per_trial_devices")

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
