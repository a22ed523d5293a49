"""The three rules, on measurements whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from betanas.experiments.leaders import conclude_objective, seconds_to
from betanas.experiments.objective import counted
from betanas.experiments.scaling import EPOCHS, conclude_scaling
from betanas.experiments.search import conclude_strategies
from betanas.search.records import TrialRecord

SIDES = (32, 64)


class TestScaling:
    def test_a_kept_promise(self, scaled) -> None:
        found = conclude_scaling(scaled(lambda v, place, seed: 0.3 + 0.02 * v + 0.04 * place + 0.001 * seed), SIDES)
        assert [each.answer for each in found.verdicts] == ["supported", "supported"]
        (pair,) = [each for each in found.pairs if each.kind == EPOCHS]
        assert (pair.small, pair.large, pair.vectors) == (*SIDES, 8)
        assert pair.spearman.value == pytest.approx(1)
        by_macs, by_params = (u.interval for u in found.uplifts if u.kind == EPOCHS)
        assert by_macs.value == pytest.approx(0.02)  # 4 points for a fourfold cost
        assert (by_params.value, by_params.n) == (None, 0)  # parameters did not change
        assert [each.spearman for each in found.noise] == pytest.approx([1.0] * 4)

    def test_ranks_that_turn_over(self, scaled) -> None:
        found = conclude_scaling(scaled(lambda v, place, seed: 0.5 + (0.02 - 0.04 * place) * v + 0.1 * place), SIDES)
        assert found.verdicts[0].answer == "not supported"

    def test_scaling_that_does_not_pay(self, scaled) -> None:
        found = conclude_scaling(scaled(lambda v, place, seed: 0.3 + 0.02 * v - 0.05 * place), SIDES)
        assert found.verdicts[0].answer == "not supported"

    def test_few_vectors_decide_nothing(self, scaled) -> None:
        found = conclude_scaling(scaled(lambda v, place, seed: 0.3 + 0.02 * v + 0.04 * place, vectors=5), SIDES)
        assert found.verdicts[0].answer == "undecided"

    def test_a_vector_with_a_failed_training_is_left_out_and_named(self, scaled) -> None:
        found = conclude_scaling(
            scaled(lambda v, place, seed: None if (v, place, seed) == (2, 1, 0) else 0.3 + 0.02 * v + 0.04 * place),
            SIDES,
        )
        assert found.left_out[EPOCHS] == ("v2",)
        assert found.pairs[0].vectors == 7

    def test_nothing_that_completed(self, scaled) -> None:
        found = conclude_scaling(scaled(lambda *_: None), SIDES)
        assert found.verdicts[0].answer == "undecided"
        assert found.pairs[0].spearman.value is None


class TestSearch:
    def test_better_than_one_and_no_better_than_another(self, searches) -> None:
        found = conclude_strategies(searches(), "good", ["poor", "equal"], optimum=0.6)
        poor, equal = found.differences
        # Of ten seeds 4, 3 and 3 are ahead by 3.0, 3.1 and 3.2 points.
        assert poor.interval.value == pytest.approx(3.09)
        assert (poor.better, poor.confidence, poor.reached) == (1.0, 0.975, 10)
        assert poor.share == pytest.approx(0.95)
        assert equal.interval.low < 0 < equal.interval.high
        assert found.verdicts[0].answer == "undecided"
        assert found.regrets["poor"].value == pytest.approx(5.0)

    def test_better_than_all(self, searches) -> None:
        assert conclude_strategies(searches(), "good", ["poor"], optimum=0.6).verdicts[0].answer == "supported"

    def test_worse_than_one_is_enough(self, searches) -> None:
        found = conclude_strategies(searches(), "poor", ["good", "equal"], optimum=0.6)
        assert found.verdicts[0].answer == "not supported"
        assert (found.differences[0].share, found.differences[0].reached) == (None, 0)

    def test_a_single_seed_decides_nothing(self, searches) -> None:
        assert conclude_strategies(searches(1), "good", ["poor"], optimum=0.6).verdicts[0].answer == "undecided"


class TestObjective:
    def test_accuracy_cost_and_time(self, leaders) -> None:
        found = conclude_objective(leaders(lambda pair: 0.02 + 0.001 * pair))
        assert found.accuracy.value == pytest.approx(0.0215)
        assert found.accuracy.n == 4
        assert found.macs.value == pytest.approx(2.0)
        assert found.epoch.value == pytest.approx(2.0)
        assert found.sooner.value > 2.0
        assert [each.answer for each in found.verdicts] == ["supported", "supported"]

    def test_pairs_that_disagree(self, leaders) -> None:
        found = conclude_objective(leaders(lambda pair: 0.02 * (-1) ** pair))
        assert found.verdicts[0].answer == "undecided"
        assert conclude_objective(leaders(lambda pair: -0.02 - 0.001 * pair)).verdicts[0].answer == "not supported"

    def test_a_single_pair_decides_nothing(self, leaders) -> None:
        found = conclude_objective(leaders(lambda pair: 0.1, pairs=1))
        assert [each.answer for each in found.verdicts] == ["undecided", "undecided"]

    def test_a_pair_without_a_completed_training_is_left_out(self, leaders) -> None:
        rows = leaders(lambda pair: 0.02)
        broken = [
            replace(each, training=replace(each.training, accuracy=None, curve=()))
            if (each.pair, each.arm) == (1, "macs")
            else each
            for each in rows
        ]
        found = conclude_objective(broken)
        assert found.left_out == (1,)
        assert found.accuracy.n == 3

    def test_seconds_to_an_accuracy_by_hand(self) -> None:
        curve = ((10.0, 0.2), (20.0, 0.1), (30.0, 0.4))
        assert seconds_to(curve, 0.1) == pytest.approx(5.0)
        assert seconds_to(curve, 0.3) == pytest.approx(25.0)
        assert seconds_to(curve, 0.2) == pytest.approx(10.0)
        assert seconds_to(curve, 0.5) == 30.0

    def test_a_trial_counts_where_half_of_it_lies_within_the_total(self) -> None:
        trials = [ended(0, 20.1), ended(1, 20.1), ended(2, 19.8), ended(3, 20.0)]
        assert [each.index for each in counted(trials, 60.0)] == [0, 1, 2]
        assert [each.index for each in counted(trials, 49.0)] == [0, 1]
        running = replace(ended(9, 5.0), ended=None)
        assert [each.index for each in counted([*trials, running], 1000.0)] == [0, 1, 2, 3]


def ended(index: int, seconds: float) -> TrialRecord:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=100 * index)
    return TrialRecord(index, {}, str(index), "random", "completed", training_seconds=seconds, ended=moment)
