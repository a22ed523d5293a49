"""How many trials share an accelerator: chosen once for a study, by what they train together in the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from betanas.search.executors.base import Assignment, ExecutorSettings, TrialEnded, WorkerSetup
from betanas.search.executors.local import LocalExecutor
from betanas.training.budget import Budget
from betanas.training.result import TrialResult

# What twice as many trials on a device must train more than half of them, together. With less each trial of an equal
# budget sees little more than half of the images, and the search gains a quarter more trials at most.
LEAST_GAIN = 0.25

# More have not been seen to gain, and each takes half a gigabyte of a GPU for its own context.
MOST_TOGETHER = 8

_WARM_UP = Budget(3, "steps")
_MEASURED = Budget(4, "seconds")


@dataclass(frozen=True, slots=True)
class Sharing:
    """How many trials share a device, and why.

    Attributes:
        together: trials on each device.
        speeds: images a second that so many trials train together, by their number.
    """

    together: int
    speeds: Mapping[int, float]

    @property
    def words(self) -> str:
        """For a person."""
        count = f"{self.together} trial{'s' if self.together != 1 else ''}"
        found = ", ".join(f"{speed:,.0f} by {trials}" for trials, speed in self.speeds.items())
        return f"Each device trains {count} at a time. Images a second, by trials together: {found or 'none'}."


def choose_sharing(measure: Callable[[int], float | None], *, most: int, least_gain: float = LEAST_GAIN) -> Sharing:
    """Double the trials on a device for as long as that gains enough.

    Args:
        measure: gives the images a second of so many trials together; None where they do not fit.
        most: trials that may be tried.
        least_gain: part by which twice as many must be faster together.
    """
    speeds: dict[int, float] = {}
    together, count = 1, 1
    while count <= most and (speed := measure(count)) is not None:
        speeds[count] = speed
        if count > 1 and speed < (1 + least_gain) * speeds[together]:
            break
        together, count = count, 2 * count
    return Sharing(together, speeds)


def measure_sharing(
    setup: WorkerSetup,
    settings: ExecutorSettings,
    network: Mapping[str, Any],
    *,
    most: int,
    budget: Budget = _MEASURED,
) -> Sharing:
    """Let more and more workers of one device train a network at the same time.

    Args:
        setup: of the study's workers.
        settings: of its executor, with the one device.
        network: as plain data.
        most: workers that may be tried.
        budget: of each training that is measured.

    Raises:
        UserError: the workers cannot start at all.
    """
    job = replace(setup.first, network=network, budget=_WARM_UP)
    with LocalExecutor(replace(setup, stoppable=False), replace(settings, workers=most, log_folder=None)) as executor:
        while executor.idle < most:
            executor.poll(1.0)
        # A worker plans and loads kernels at its first training of a network, when it says little of the others.
        warm = _train(executor, [Assignment(place, 1, job) for place in range(most)])
        ready = sum(result.outcome == "completed" for result in warm)

        def measure(count: int) -> float | None:
            while executor.idle < most:  # one that died is being replaced
                executor.poll(1.0)
            wanted = [Assignment(place, 1, replace(job, budget=budget, seed=place)) for place in range(count)]
            results = _train(executor, wanted)
            if any(result.outcome != "completed" for result in results):
                return None
            return sum(result.images_per_second or 0.0 for result in results)

        return choose_sharing(measure, most=ready)


def _train(executor: LocalExecutor, wanted: list[Assignment]) -> list[TrialResult]:
    """Train at the same time, to the end of all."""
    for each in wanted:
        executor.submit(each)
    results: list[TrialResult] = []
    while len(results) < len(wanted):
        results += [event.result for event in executor.poll(1.0) if isinstance(event, TrialEnded)]
    return results
