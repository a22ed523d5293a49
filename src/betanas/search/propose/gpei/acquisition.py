"""Expected improvement that knows noise and pending trials: of the best value, or of a front against a known cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.front import Front, log_unit_improvement
from betanas.search.propose.gpei.local_search import Score
from betanas.search.propose.gpei.process import Process


@dataclass(frozen=True, eq=False)
class Price:
    """The cost that a front is against.

    Attributes:
        of: costs of points of the unit cube (shape [n, d]), shape [n].
        most: the largest cost that counts; None where no limit sets one.
    """

    of: Callable[[FloatArray], FloatArray]
    most: float | None


def expected_improvement(process: Process, trained: FloatArray, pending: FloatArray) -> Score:
    """The logarithm of expected improvement over the best mean rather than the best value.

    With noisy values the best one is the luckiest: improvement over the largest posterior mean among the trained
    candidates is what Vazquez et al. (2008) plug in. A closed form, so nothing is sampled, unlike the noisy expected
    improvement of Letham et al. (2019), for which `benchmarks/search_feasible_acquisition.py` shows what it would cost.

    Args:
        process: of the values.
        trained: points with a value, shape [n, d].
        pending: points in training, shape [m, d].
    """
    best = process.predict(trained)[0].max()
    believer = process.believing(pending)

    def score(points: FloatArray) -> FloatArray:
        mean, deviation = believer.predict(points)
        return np.log(deviation) + log_unit_improvement((mean - best) / deviation)

    return score


def expected_growth(process: Process, trained: FloatArray, pending: FloatArray, price: Price) -> Score:
    """The logarithm of what candidates are expected to add to the front of predicted means, pending ones included.

    Args:
        process: of the values.
        trained: points with a value, shape [n, d].
        pending: points in training, shape [m, d].
        price: the cost.
    """
    believer = process.believing(pending)
    known = np.concatenate([trained, pending])
    front = Front.of(price.of(known), believer.predict(known)[0], price.most)

    def score(points: FloatArray) -> FloatArray:
        return front.log_improvement(price.of(points), *believer.predict(points))

    return score
