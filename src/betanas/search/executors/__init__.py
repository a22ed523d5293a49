"""Executors: who trains the trials, and where. A plug-in's executor derives from `Executor`."""

from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerReady,
    WorkerSetup,
)
from betanas.search.executors.registry import available_executors, make_executor, register_executor

__all__ = [
    "Assignment",
    "Executor",
    "ExecutorEvent",
    "ExecutorSettings",
    "TrialEnded",
    "TrialPoint",
    "TrialStarted",
    "WorkerReady",
    "WorkerSetup",
    "available_executors",
    "make_executor",
    "register_executor",
]
