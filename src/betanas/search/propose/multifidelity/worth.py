"""What training a candidate for a share of the budget is worth, for each second of it."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.front import log_unit_improvement


def log_worth(
    means: FloatArray, deviations: FloatArray, known: FloatArray, costs: FloatArray, whole_cost: float, best: float
) -> FloatArray:
    """The logarithm of the improvement that a training is expected to lead to, over the seconds that it leads to.

    Training a candidate briefly is worth what one may make of it: should the prediction of its whole training then lie
    above the best, it is trained for the whole. The prediction after the brief training is normally distributed around
    today's, with a part of today's deviation (the knowledge gradient of Frazier et al. 2009, for one candidate); so the
    improvement is an expected improvement with that deviation, and the whole training is paid for with the probability
    that it comes to it. A whole training is the case in which nothing is left to decide.

    Args:
        means: predictions of the whole training, shape [n].
        deviations: of those predictions, shape [n].
        known: correlation between what the training reaches, noise included, and the whole one; shape [n].
        costs: seconds of the training; shape [n].
        whole_cost: seconds of a whole training.
        best: the largest mean of the candidates that had one.
    """
    spread = deviations * known
    z = (means - best) / spread
    paid = np.where(costs < whole_cost, costs + norm.cdf(z) * whole_cost, costs)
    return np.asarray(np.log(spread) + log_unit_improvement(z) - np.log(paid), dtype=np.float64)
