"""The budget clock: counts training steps with their data work, and nothing else.

A device works through its queue long after Python has filled it, so a time is only true after a
synchronisation, and synchronising after each step would leave the device idle between steps. The clock
therefore reads itself only now and then (`READING_INTERVAL` steps apart at most, every step near the end) and
extrapolates in between.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

from betanas.training.budget import Budget

# Steps between two readings on a device with a queue: one drained queue in 32 steps costs a launch latency.
READING_INTERVAL = 32

# Steps that took this many seconds more, and this many times as long, as usual did not train all that time: the process
# was stopped, or the machine asleep. A busy machine delays a step by fractions of a second.
_GAP_SECONDS, _GAP_FACTOR = 3.0, 20.0


class BudgetClock:
    """Decides when a run has used its budget up.

    It starts stopped: `start`, then `count_step` after every step, `pause` before anything that must not
    count. Under several processes each makes the same decision, because all read the same agreed times.

    Attributes:
        gap: seconds between steps that no step explains, in all; they are not counted.

    Args:
        budget: what may be used.
        steps_per_epoch: optimiser steps in a pass over the training set.
        until: `budget` stops within one step of it; `epoch_end` finishes the epoch in which it runs out.
        expected_step: seconds a step is expected to take (from the warm-up), before any was measured.
        reading_interval: steps between readings at most; 1 where reading costs nothing.
        synchronise: waits until the device has done what it was given.
        agree: turns this process's elapsed seconds into those all processes go by.
        notices_gaps: whether time between steps that no step explains is left out; not where steps wait for a disk.
        now: the time, in seconds.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        steps_per_epoch: int,
        until: Literal["budget", "epoch_end"] = "budget",
        expected_step: float = 0.0,
        reading_interval: int = 1,
        synchronise: Callable[[], None] = lambda: None,
        agree: Callable[[float], float] = lambda seconds: seconds,
        notices_gaps: bool = True,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.budget = budget
        self.steps = 0
        self._steps_per_epoch = steps_per_epoch
        self._until = until
        self._step_seconds = expected_step
        self._longest_interval = reading_interval
        self._synchronise = synchronise
        self._agree = agree
        self._notices_gaps = notices_gaps
        self._now = now
        self._read_seconds = 0.0
        self._read_steps = 0
        self._interval = 1
        self._running = False
        self._started = 0.0
        self.gap = 0.0

    @property
    def seconds(self) -> float:
        """Training seconds so far: the last reading, extrapolated over the steps since."""
        return self._read_seconds + (self.steps - self._read_steps) * self._step_seconds

    @property
    def epochs(self) -> float:
        """Passes over the training set so far."""
        return self.steps / self._steps_per_epoch

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole run where the budget decides them; None where it counts seconds."""
        if self.budget.unit == "seconds":
            return None
        per_unit = self._steps_per_epoch if self.budget.unit == "epochs" else 1
        steps = max(1, math.floor(self.budget.amount * per_unit + 0.5))
        if self._until == "epoch_end":
            return math.ceil(steps / self._steps_per_epoch) * self._steps_per_epoch
        return steps

    @property
    def expected_steps(self) -> int:
        """Steps of the whole run as far as is known now."""
        if self.total_steps is not None:
            return self.total_steps
        if self._step_seconds <= 0:
            return max(1, self.steps)
        left = max(0.0, self.budget.amount - self.seconds)
        return max(1, self.steps + round(left / self._step_seconds))

    @property
    def expected_seconds(self) -> float:
        """Seconds of the whole run as far as is known now."""
        if self.budget.unit == "seconds":
            return self.budget.amount
        return self.expected_steps * self._step_seconds

    @property
    def fraction(self) -> float:
        """Share of the budget used, in [0, 1]."""
        total = self.total_steps
        used = self.steps / total if total is not None else self.seconds / self.budget.amount
        return min(used, 1.0)

    @property
    def next_fraction(self) -> float:
        """The fraction in the middle of the step that comes next, in (0, 1]: what a schedule goes by."""
        total = self.total_steps
        if total is not None:
            return min((self.steps + 0.5) / total, 1.0)
        return min((self.seconds + self._step_seconds / 2) / self.budget.amount, 1.0)

    def goes_on(self) -> bool:
        """Whether another step brings the run nearer to its budget, rather than further past it."""
        total = self.total_steps
        if total is not None:
            return self.steps < total
        if self._until == "epoch_end":
            return self.seconds < self.budget.amount or self.steps % self._steps_per_epoch != 0
        return self.steps == 0 or self.seconds + self._step_seconds / 2 <= self.budget.amount

    def start(self) -> None:
        """Count from now on; a clock that counts already goes on."""
        if not self._running:
            self._synchronise()
            self._running, self._started = True, self._now()

    def count_step(self) -> bool:
        """Count one step. Returns whether the device was synchronised for a reading."""
        self.steps += 1
        if self.steps - self._read_steps < self._interval:
            return False
        self._read()
        return True

    def pause(self) -> None:
        """Stop counting until `start`."""
        if self._running:
            self._read()
            self._running = False

    def state_dict(self) -> dict[str, float | int]:
        """What a checkpoint needs to go on counting."""
        return {"seconds": self.seconds, "steps": self.steps, "step_seconds": self._step_seconds}

    def load_state_dict(self, state: dict[str, float | int]) -> None:
        """Go on from a checkpoint."""
        self._read_seconds, self._step_seconds = float(state["seconds"]), float(state["step_seconds"])
        self.steps = self._read_steps = int(state["steps"])

    def _read(self) -> None:
        self._synchronise()
        elapsed = self._agree(self._now() - self._started)
        steps = self.steps - self._read_steps
        usual = max(steps, 1) * self._step_seconds
        if self._notices_gaps and usual > 0 and elapsed - usual > _GAP_SECONDS and elapsed > _GAP_FACTOR * usual:
            self.gap += elapsed - usual
            elapsed = usual
        if steps:
            latest = elapsed / steps
            # Half the weight on the past: one step that the machine interrupted must not decide when to stop.
            self._step_seconds = (self._step_seconds + latest) / 2 if self._step_seconds > 0 else latest
        self._read_seconds += elapsed
        self._read_steps = self.steps
        # From after the agreement: what the processes say to each other is not training.
        self._started = self._now()
        self._interval = self._next_interval()

    def _next_interval(self) -> int:
        if self.budget.unit != "seconds" or self._step_seconds <= 0:
            return self._longest_interval
        left = max(0.0, self.budget.amount - self._read_seconds) / self._step_seconds
        return max(1, min(self._longest_interval, int(left / 2)))
