"""Expected hypervolume improvement where one objective is predicted and the other, a cost, is known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import erfcx, logsumexp
from scipy.stats import norm

from betanas.blueprint import FloatArray

# The floor, and the reference where no limit sets one, lie this part of the known candidates' range beyond them.
BEYOND = 0.1

# phi(z) + z Phi(z) is a difference of nearly equal numbers where z is small: below the first of these deviations it is
# worked out on a logarithmic scale, below the second by its asymptote, phi(z) / z**2.
_LOGARITHMIC, _ASYMPTOTIC = -1.0, -1e4


@dataclass(frozen=True, eq=False)
class Front:
    """The best value to be had up to each cost: a staircase.

    A candidate of cost c and value y adds to the dominated hypervolume what lies between the staircase F and y at every
    cost t from c to the reference: the integral of max(y - F(t), 0). The cost is known and y normal, so the expectation
    is a sum of ordinary expected improvements, one for each step, weighted by the step's width. (With both objectives
    uncertain there is no form as short: Daulton et al. 2020.)

    Attributes:
        starts: costs at which the steps begin, ascending from minus infinity. Shape [k].
        ends: where they end, the last one at the reference. Shape [k].
        levels: the best value on each step, the first one the floor. Shape [k].
    """

    starts: FloatArray
    ends: FloatArray
    levels: FloatArray

    @classmethod
    def of(cls, costs: FloatArray, values: FloatArray, reference: float | None = None) -> Self:
        """The staircase of known candidates (shape [n], at least one); no cost beyond the reference counts."""
        order = np.lexsort((-values, costs))
        best = np.maximum.accumulate(values[order])
        rises = np.concatenate([[True], best[1:] > best[:-1]])
        edges = costs[order][rises]
        end = float(costs.max() + BEYOND * (np.ptp(costs) or 1.0)) if reference is None else reference
        floor = float(values.min() - BEYOND * (np.ptp(values) or 1.0))
        return cls(
            starts=np.concatenate([[-np.inf], edges]),
            ends=np.concatenate([edges, [end]]),
            levels=np.concatenate([[floor], best[rises]]),
        )

    def log_improvement(self, costs: FloatArray, means: FloatArray, deviations: FloatArray) -> FloatArray:
        """Logarithm of the hypervolume that candidates are expected to add (shape [n]); minus infinity for none."""
        widths = np.maximum(self.ends - np.maximum(self.starts, costs[:, None]), 0.0)
        z = (means[:, None] - self.levels) / deviations[:, None]
        return np.asarray(logsumexp(log_unit_improvement(z), b=widths * deviations[:, None], axis=1))


def log_unit_improvement(z: FloatArray) -> FloatArray:
    """log(phi(z) + z Phi(z)): expected improvement of a unit normal shifted by z (Ament et al. 2023)."""
    above, below = np.maximum(z, _LOGARITHMIC), np.clip(z, _ASYMPTOTIC, _LOGARITHMIC)
    direct = np.log(norm.pdf(above) + above * norm.cdf(above))
    ratio = np.log1p(below * np.sqrt(np.pi / 2.0) * erfcx(-below / np.sqrt(2.0)))
    tail = np.where(z > _ASYMPTOTIC, ratio, -2.0 * np.log(np.maximum(-z, -_ASYMPTOTIC)))
    return np.where(z > _LOGARITHMIC, direct, norm.logpdf(z) + tail)
