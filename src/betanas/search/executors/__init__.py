"""Executors: who trains the trials, and where. A plug-in's executor derives from `Executor`."""

from betanas.search.executors.base import (
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialJob,
    TrialPoint,
    TrialStarted,
    WorkerReady,
    WorkerSetup,
)
from betanas.search.executors.registry import available_executors, make_executor, register_executor

__all__ = [
    "Executor",
    "ExecutorEvent",
    "ExecutorSettings",
    "TrialEnded",
    "TrialJob",
    "TrialPoint",
    "TrialStarted",
    "WorkerReady",
    "WorkerSetup",
    "available_executors",
    "make_executor",
    "register_executor",
]
