"""Executors by name."""

from __future__ import annotations

from betanas.errors import DeviceError
from betanas.search.executors.base import Executor, ExecutorSettings, WorkerSetup

AVAILABLE = ("local", "inline", "ray")


def make_executor(name: str, setup: WorkerSetup, settings: ExecutorSettings) -> Executor:
    """An executor by name; it is started when it is entered.

    Raises:
        DeviceError: there is no such executor, or its devices are not there.
        MissingExtraError: the executor's library is not installed.
    """
    if name == "local":
        from betanas.search.executors.local import LocalExecutor

        return LocalExecutor(setup, settings)
    if name == "inline":
        from betanas.search.executors.inline import InlineExecutor

        return InlineExecutor(setup, settings)
    if name == "ray":
        from betanas.search.executors.ray.executor import RayExecutor

        return RayExecutor(setup, settings)
    raise DeviceError(f"The executors are {', '.join(AVAILABLE)}.", value=name)
