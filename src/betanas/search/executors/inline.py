"""The in-process executor: trials train in the search's own process. For debugging: a crash takes the search along."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from typing_extensions import override

from betanas.errors import DeviceError
from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerSetup,
)
from betanas.search.executors.runner import TrialRunner
from betanas.training.result import CurvePoint


class InlineExecutor(Executor):
    """Trains one trial at a time, inside `poll`; breakpoints and tracebacks work as usual.

    Its points arrive together with the trial's end, so nothing can be stopped early here.
    """

    name: ClassVar[str] = "inline"

    def __init__(self, setup: WorkerSetup, settings: ExecutorSettings) -> None:
        if settings.per_trial_devices != 1:
            raise DeviceError(
                "The inline executor trains in the search's own process, on one device.",
                value=settings.per_trial_devices,
                hint="Leave --executor out to train a trial on several.",
            )
        super().__init__(setup, settings)
        self._runner: TrialRunner | None = None
        self._jobs: deque[Assignment] = deque()

    @override
    def start(self) -> None:
        device = self.settings.devices[0] if self.settings.devices else "auto"
        self._runner = TrialRunner(self.setup, device=device, threads=self.settings.threads)

    @property
    @override
    def capacity(self) -> int:
        return 1

    @property
    @override
    def idle(self) -> int:
        return 0 if self._jobs else 1

    @override
    def submit(self, assignment: Assignment) -> None:
        self._jobs.append(assignment)

    def poll(self, timeout: float) -> list[ExecutorEvent]:
        """See `Executor.poll`: trains the submitted trial to its end, whatever the timeout."""
        if not self._jobs or self._runner is None:
            return []
        assignment = self._jobs.popleft()
        events: list[ExecutorEvent] = [TrialStarted(assignment.index, assignment.attempt, self._runner.device)]

        def on_point(point: CurvePoint) -> bool:
            events.append(TrialPoint(assignment.index, assignment.attempt, point))
            return True

        events.append(TrialEnded(assignment.index, assignment.attempt, self._runner.run(assignment, on_point)))
        return events

    def answer(self, index: int, step: int, *, go_on: bool) -> None:
        """See `Executor.answer`: by the time it is asked the trial has ended, so nothing is stopped early here."""

    @override
    def close(self) -> None:
        self._runner = None
        self._jobs.clear()
