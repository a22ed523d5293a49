"""How long calls take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from betanas.profiling.conditions import Conditions
from betanas.training.device import synchronise


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call, over several.

    Attributes:
        calls: that counted.
        median, q1, q3: the median and the quartiles, equal where one call counted.
        least, most: the quickest and the slowest.
    """

    calls: int
    median: float
    q1: float
    q3: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """Summarise at least one call."""
        quartiles = statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 3
        return cls(len(seconds), quartiles[1], quartiles[0], quartiles[2], min(seconds), max(seconds))


def time_calls(call: Callable[[], object], conditions: Conditions) -> Timing:
    """Time calls one by one, each until the device has finished it.

    Args:
        call: is made `warm_up` times before, and then up to `repeats` times.
        conditions: how often, and on what.
    """
    started = time.perf_counter()
    for _ in range(conditions.warm_up):
        call()
        synchronise(conditions.device)
        if time.perf_counter() - started > conditions.at_most:
            break
    seconds: list[float] = []
    while len(seconds) < conditions.repeats:
        before = time.perf_counter()
        call()
        synchronise(conditions.device)
        after = time.perf_counter()
        seconds.append(after - before)
        if after - started > conditions.at_most:
            break
    return Timing.of(seconds)
