"""Means with intervals: what every claim of ours carries."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtrit


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean and its two-sided confidence interval, by Student's t.

    Attributes:
        n: values.
        mean: their mean.
        deviation: their standard deviation (n - 1); NaN for one value.
        low, high: ends of the interval; infinite for one value.
    """

    n: int
    mean: float
    deviation: float
    low: float
    high: float

    @property
    def margin(self) -> float | None:
        """Half the width of the interval; None for one value, which has none."""
        return self.high - self.mean if self.n > 1 else None

    @property
    def known(self) -> bool:
        """Whether the interval says something: of at least three values that are not all the same.

        With two values Student's t has one degree of freedom, and the interval reaches 12.7 standard errors to either
        side; equal values would give one without width, as if the mean were certain.
        """
        return self.n > 2 and self.deviation > 0

    def words(self, text: Callable[[float], str]) -> str:
        """What the mean rests on, for a sentence: the interval, or why there is none.

        Args:
            text: a value with its unit.
        """
        if self.n == 1:
            return "a single training"
        if self.deviation == 0:
            return f"{self.n} trainings with equal results"
        if self.n == 2:
            half = self.deviation / math.sqrt(2)
            return f"two trainings, {text(self.mean - half)} and {text(self.mean + half)}: too few for an interval"
        return f"{self.n} trainings, 95% interval {text(self.low)} to {text(self.high)}"


def accuracy_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """As `mean_interval`, for shares in [0, 1]: the part of the interval outside is cut off.

    The mean of shares is a share, so what is cut off cannot hold it, and the interval covers it as often as before. An
    interval on the logit scale would stay inside by itself, but is one for another quantity (the logit's mean) and is
    undefined where a training gets everything right or wrong.

    Raises:
        ValueError: there is no value.
    """
    found = mean_interval(values, confidence)
    return found if found.n == 1 else replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Mean of at least one value with its confidence interval.

    Raises:
        ValueError: there is no value.
    """
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return MeanInterval(1, mean, math.nan, -math.inf, math.inf)
    deviation = statistics.stdev(values)
    reach = float(stdtrit(n - 1, 0.5 + confidence / 2)) * deviation / math.sqrt(n)
    return MeanInterval(n, mean, deviation, mean - reach, mean + reach)
