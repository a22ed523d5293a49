"""Conducting a study: its lock, its executor, its session and its end, whatever kind of study it is."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from betanas.environment import hardware, versions
from betanas.errors import BetanasError, StoreError
from betanas.search.executors.base import Executor, ExecutorSettings, WorkerSetup
from betanas.search.executors.registry import make_executor
from betanas.search.loop import LoopParts, StudyLoop
from betanas.search.progress import SearchListener
from betanas.search.propose.proposer import Proposer
from betanas.search.records import Purpose
from betanas.search.store.location import hide_passwords
from betanas.search.store.store import Store


def conduct(
    store: Store,
    make_proposer: Callable[[Executor], Proposer],
    listener: SearchListener,
    *,
    setup: WorkerSetup,
    settings: ExecutorSettings,
    extent: Mapping[str, object] | None = None,
    ago: float = 0.0,
    apart: Purpose | None = None,
    make_first: Callable[[], Proposer | None] = lambda: None,
    on_begin: Callable[[StudyLoop, Executor], None] = lambda loop, executor: None,
) -> str:
    """Train what a proposer proposes, in a session of its own; the caller holds the study's lock.

    Args:
        store: of the study.
        make_proposer: the proposer, for the executor that is used.
        listener: who is told.
        setup: what the executor's workers need to know.
        settings: which executor, and how.
        extent: how long a search goes on from now, by the names of the settings; kept once the executor is known to
            work.
        ago: seconds since the command began.
        apart: what the trials are for, where they are kept apart from the study's own.
        make_first: proposes baselines, which are trained before anything else.
        on_begin: called before the first trial.

    Returns:
        How it ended, as `StudyLoop.run` says.

    Raises:
        SearchFailedError: trial after trial failed.
        KeyboardInterrupt: it was interrupted; the study is safe.
    """
    executor = make_executor(settings.executor, setup, settings)
    if extent:
        store.extend(extent)
    with store.turn():
        session = store.begin_session(
            host=socket.gethostname(),
            pid=os.getpid(),
            command=hide_passwords(" ".join(["betanas", *sys.argv[1:]])),
            versions=versions(),
            hardware=hardware(),
            ago=ago,
        )
    ending, reason = "failed", ""
    try:
        with _interruptible(), executor:
            proposer = make_proposer(executor)
            parts = LoopParts(store, proposer, executor, listener, session, apart, curves=setup.stoppable)
            loop = StudyLoop(parts)
            on_begin(loop, executor)
            with store.beating(session):
                first = make_first()
                paused = first is not None and _train_baselines(replace(parts, proposer=first, apart="baseline"))
                ending = "paused" if paused else loop.run()
                proposer.conclude()
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    except BetanasError as error:
        reason = str(error)
        raise
    finally:
        _end_session(store, session, ending)
        listener.on_end(ending, reason)
    return ending


def _train_baselines(parts: LoopParts) -> bool:
    """Whether a person paused the study meanwhile; one that their time has cut off leaves its worker."""
    loop = StudyLoop(parts)
    paused = loop.run() == "paused"
    if loop.in_progress and not paused:
        parts.executor.restart()
    return paused


def _end_session(store: Store, session: int, ending: str) -> None:
    try:
        store.end_session(session, ending)
    except StoreError:
        return  # a full disk has ended the study already; that error is the one to show


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let a study that is told to end do so in order: workers freed, study closed.

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


_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
