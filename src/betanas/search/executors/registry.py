"""Executors by name: BetaNAS's own and those that a user or another package registers."""

from __future__ import annotations

import platform

from betanas.errors import DeviceError
from betanas.registry import Registry
from betanas.search.executors.base import Executor, ExecutorSettings, WorkerSetup
from betanas.training.together import require_accelerate

EXECUTORS: Registry[type[Executor]] = Registry(
    "executor",
    group="betanas.executors",
    error=DeviceError,
    built_in={
        "local": "betanas.search.executors.local:LocalExecutor",
        "inline": "betanas.search.executors.inline:InlineExecutor",
        "ray": "betanas.search.executors.ray.executor:RayExecutor",
    },
    base=Executor,
    register="betanas.register_executor",
)
register_executor, available_executors = EXECUTORS.register, EXECUTORS.names


def make_executor(name: str, setup: WorkerSetup, settings: ExecutorSettings) -> Executor:
    """An executor by name; it is started when it is entered.

    Args:
        name: one of `available_executors`, or the path of a `.py` file that registers exactly one executor.
        setup: what its workers need to know.
        settings: which devices it uses, and how.

    Raises:
        DeviceError: there is no such executor, its devices are not there, or this system has not what it needs.
        MissingExtraError: the executor's library is not installed, or what several devices for a trial need.
    """
    if name == "local" and platform.system() == "Windows":
        raise DeviceError(
            "Worker processes are tied to the life of their search by means that Windows lacks.",
            value=name,
            hint="Search inside WSL 2, or type --executor inline, which trains in the search's own process.",
        )
    if settings.per_trial_devices > 1:
        require_accelerate()
    return EXECUTORS.get(name)(setup, settings)
