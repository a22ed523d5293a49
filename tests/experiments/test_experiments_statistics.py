from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from betanas.experiments.statistics import (
    Estimate,
    agreement_of_seeds,
    kendall,
    mean_of,
    rank_agreement,
    spearman,
    uplift_per_doubling,
)
from betanas.experiments.verdict import above, all_of, in_words


def test_correlations_of_rows_are_scipys_ties_included() -> None:
    draws = np.random.default_rng(1)
    first, second = draws.integers(6, size=(40, 9)).astype(float), draws.normal(size=(40, 9)).round(1)
    for row, (rho, tau) in enumerate(zip(spearman(first, second), kendall(first, second), strict=True)):
        assert rho == pytest.approx(stats.spearmanr(first[row], second[row]).statistic)
        assert tau == pytest.approx(stats.kendalltau(first[row], second[row]).statistic)
    flat = np.ones((1, 5))
    assert np.isnan(spearman(flat, second[:1, :5])).all()
    assert np.isnan(kendall(flat, second[:1, :5])).all()


def test_the_same_order_agrees_completely_and_the_reverse_not_at_all() -> None:
    first = np.arange(8.0)[:, None] + np.array([[0.0, 0.1]])
    same = rank_agreement(first, 2 * first)
    assert (same.spearman.value, same.kendall.value, same.spearman.n) == (pytest.approx(1), pytest.approx(1), 8)
    assert same.spearman.low > 0.8
    opposite = rank_agreement(first, -first)
    assert opposite.spearman.value == pytest.approx(-1)
    assert opposite.kendall.high < 0


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """A bivariate normal of correlation 0.7 has a Spearman correlation of 6/pi asin(0.35) = 0.683."""
    draws, truth, covered = np.random.default_rng(5), 6 / math.pi * math.asin(0.35), 0
    for round_ in range(40):
        pairs = draws.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=16)
        found = rank_agreement(pairs[:, :1], pairs[:, 1:], seed=round_).spearman
        covered += found.low <= truth <= found.high
    assert covered >= 34


def test_noise_between_seeds_widens_the_interval() -> None:
    draws = np.random.default_rng(2)
    truth = np.arange(12.0)[:, None]
    quiet = rank_agreement(truth + draws.normal(0, 0.1, (12, 3)), truth + draws.normal(0, 0.1, (12, 3))).spearman
    loud = rank_agreement(truth + draws.normal(0, 6, (12, 3)), truth + draws.normal(0, 6, (12, 3))).spearman
    assert loud.high - loud.low > 2 * (quiet.high - quiet.low)


def test_what_has_no_ranks_has_no_correlation() -> None:
    assert rank_agreement(np.ones((5, 2)), np.arange(10.0).reshape(5, 2)).spearman.value is None
    assert rank_agreement(np.ones((1, 2)), np.ones((1, 2))).spearman == Estimate(None, None, None, 1)
    assert rank_agreement(np.zeros((0, 2)), np.zeros((0, 2))).kendall == Estimate(None, None, None, 0)


def test_seeds_that_agree_and_seeds_that_do_not() -> None:
    order = np.arange(6.0)
    assert agreement_of_seeds(np.column_stack([order, order, order])) == pytest.approx(1)
    assert agreement_of_seeds(np.column_stack([order, -order])) == pytest.approx(-1)
    assert agreement_of_seeds(order[:, None]) is None
    assert agreement_of_seeds(np.ones((6, 2))) is None
    assert agreement_of_seeds(np.zeros((0, 2))) is None


def test_uplift_by_hand() -> None:
    costs = np.array([[1.0, 2.0, 4.0], [3.0, 12.0, 48.0], [5.0, 5.0, 5.0]])
    accuracies = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5], [0.1, 0.2, 0.3]])
    assert uplift_per_doubling(costs, accuracies) == pytest.approx([0.1, 0.05])


def test_means_by_hand() -> None:
    # t(0.975, 2) = 4.302653, deviation 1.
    found = mean_of([1.0, 2.0, 3.0])
    assert (found.value, found.n) == (2.0, 3)
    assert found.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    assert mean_of([1.0]) == Estimate(1.0, None, None, 1)
    assert mean_of([]) == Estimate(None, None, None, 0)
    wider = mean_of([1.0, 2.0, 3.0], confidence=0.99)
    assert wider.high > found.high


@pytest.mark.parametrize(
    ("ends", "answer"),
    [
        ((0.6, 0.9), "supported"),
        ((0.1, 0.4), "not supported"),
        ((0.4, 0.6), "undecided"),
        ((0.5, 0.6), "undecided"),
        ((None, None), "undecided"),
    ],
)
def test_an_interval_decides(ends: tuple[float | None, float | None], answer: str) -> None:
    assert above(Estimate(0.5, *ends, 8), 0.5) == answer


def test_all_have_to_hold_and_one_that_does_not_is_enough() -> None:
    assert all_of(["supported", "supported"]) == "supported"
    assert all_of(["supported", "undecided"]) == "undecided"
    assert all_of(["undecided", "not supported"]) == "not supported"
    assert all_of([]) == "undecided"


def test_intervals_in_words() -> None:
    assert in_words(Estimate(0.0123, 0.01, 0.0234, 5), scale=100) == "1.23 [1.00, 2.34]"
    assert in_words(Estimate(0.5, None, None, 1)) == "0.50 (no interval)"
    assert in_words(Estimate(None, None, None, 0)) == "undefined"
