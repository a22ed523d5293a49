"""Means with intervals: what every claim of ours carries."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

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
