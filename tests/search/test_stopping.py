from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from betanas.errors import StrategyError
from betanas.search.records import TrialRecord
from betanas.search.stopping import (
    StoppingRule,
    accuracy_at,
    final_accuracy,
    first_hopeless,
    stopping_report,
)
from betanas.training.result import CurvePoint

BUDGET = 20.0
RULE = StoppingRule(budget=BUDGET, controls=0.0)


def curve(final: float, speed: float, seed: int = 0, noise: float = 0.002) -> tuple[CurvePoint, ...]:
    """A learning curve: fast networks saturate early, slow ones climb to the end, all gain in the anneal."""
    draw = np.random.default_rng(seed)
    points = []
    for step in range(1, 11):
        share = step / 10
        shape = (1 - np.exp(-speed * share)) / (1 - np.exp(-speed))
        anneal = 0.85 + 0.15 * max(0.0, (share - 0.7) / 0.3)
        points.append(
            CurvePoint(BUDGET * share, step, share, 1.0, final * shape * anneal + noise * draw.standard_normal())
        )
    return tuple(points)


def population(count: int, seed: int = 0) -> list[tuple[CurvePoint, ...]]:
    draw = np.random.default_rng(seed)
    finals, speeds = draw.uniform(0.2, 0.6, count), draw.uniform(1.0, 6.0, count)
    return [
        curve(final, speed, seed=seed * 1000 + i) for i, (final, speed) in enumerate(zip(finals, speeds, strict=True))
    ]


def test_accuracy_at_interpolates_the_best_so_far() -> None:
    points = [CurvePoint(2.0, 1, 1.0, 1.0, 0.2), CurvePoint(4.0, 2, 2.0, 1.0, 0.4), CurvePoint(6.0, 3, 3.0, 1.0, 0.3)]
    assert [accuracy_at(points, seconds) for seconds in (0.0, 1.0, 3.0, 4.0, 6.0, 9.0)] == pytest.approx(
        [0.0, 0.1, 0.3, 0.4, 0.4, 0.4]
    )
    assert final_accuracy(points) == 0.4


def test_says_nothing_before_it_knows_enough() -> None:
    history = population(30)
    poor = curve(0.05, 3.0)
    assert not RULE.decide(poor[:5], history[:9], index=0).hopeless
    assert not RULE.decide(poor[:1], history, index=0).hopeless  # a tenth of the budget
    assert not RULE.decide((), history, index=0).hopeless
    assert not RULE.decide(poor, history, index=0).hopeless  # it has ended


def test_stops_a_poor_network_and_predicts_its_end() -> None:
    verdict = RULE.decide(curve(0.22, 3.0)[:5], population(30), index=0)
    assert verdict.stop
    assert verdict.hopeless
    assert verdict.predicted == pytest.approx(0.22, abs=0.05)
    assert verdict.predicted < verdict.upper < verdict.bar


def test_a_slow_network_that_will_win_goes_on_although_it_looks_worse() -> None:
    history = population(40)
    slow, fast = curve(0.62, 1.0), curve(0.45, 6.0)
    assert slow[3].accuracy < fast[3].accuracy
    # Slower than all that ended and in the end above them: its growth tells from the third evaluation on.
    rule = replace(RULE, earliest=0.25)
    assert first_hopeless(slow, history, rule, index=0) is None
    for one in (rule, RULE):
        assert first_hopeless(fast, history, one, index=0) is not None


def test_a_slow_network_within_what_has_been_seen_goes_on_from_the_first_evaluation() -> None:
    history = population(40)
    slow = curve(0.6, 1.6)
    assert slow[1].accuracy < curve(0.3, 6.0)[1].accuracy
    assert first_hopeless(slow, history, RULE, index=0) is None


def test_leaders_are_protected() -> None:
    history = population(40)
    best = sorted(history, key=final_accuracy)[-3:]
    for leader in best:
        others = [each for each in history if each is not leader]
        assert first_hopeless(leader, others, RULE, index=0) is None


def test_controls_are_drawn_by_index_and_finish() -> None:
    rule = replace(RULE, controls=0.1, seed=5)
    drawn = [rule.is_control(index) for index in range(2000)]
    assert 0.07 < np.mean(drawn) < 0.13
    assert drawn == [replace(rule).is_control(index) for index in range(2000)]
    control = drawn.index(True)
    verdict = rule.decide(curve(0.22, 3.0)[:5], population(30), index=control)
    assert verdict.hopeless
    assert not verdict.stop


def test_a_rule_travels_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(RULE)) == RULE


@pytest.mark.parametrize(
    "change",
    [{"budget": 0}, {"earliest": 1.0}, {"least_history": 3}, {"leaders": 11}, {"confidence": 0.4}, {"controls": 1.5}],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match=next(iter(change))):
        replace(RULE, **change)


def search(rule: StoppingRule, count: int, seed: int) -> list[TrialRecord]:
    """What a search would record: the rule sees the trials that completed before."""
    records: list[TrialRecord] = []
    history: list[tuple[CurvePoint, ...]] = []
    for index, whole in enumerate(population(count, seed)):
        record = TrialRecord(index, {}, str(index), "sobol", "completed", top1=final_accuracy(whole), curve=whole)
        record = replace(record, training_seconds=BUDGET)
        for length in range(1, len(whole)):
            verdict = rule.decide(whole[:length], history, index=index)
            if verdict.stop:
                record = replace(record, state="stopped", curve=whole[:length], training_seconds=verdict.seconds)
                break
        else:
            history.append(whole)
        records.append(record)
    return records


def test_a_search_saves_time_and_keeps_its_best() -> None:
    saved, lost = [], []
    for seed in range(1, 6):
        records = search(replace(RULE, controls=0.1), 100, seed)
        report = stopping_report(records, replace(RULE, controls=0.1))
        saved.append(report.saved_share)
        best = max(final_accuracy(whole) for whole in population(100, seed))
        lost.append(best - max(each.top1 for each in records if each.state == "completed" and each.top1))
    assert np.mean(saved) > 0.4
    assert np.mean(lost) < 0.002


def test_the_report_counts_what_happened() -> None:
    rule = replace(RULE, controls=0.3)
    records = search(rule, 120, 1)
    report = stopping_report(reversed(records), rule)
    stopped = [each for each in records if each.state == "stopped"]
    assert (report.trials, report.stopped) == (120, len(stopped))
    assert report.saved_seconds == pytest.approx(sum(BUDGET - each.training_seconds for each in stopped))
    assert report.saved_share == pytest.approx(report.saved_seconds / (120 * BUDGET))
    assert report.controls >= 10
    assert report.wrong <= report.controls
    assert report.wrong_low <= report.wrong / report.controls <= report.wrong_high


def test_a_wrong_control_is_found() -> None:
    # Thirty ordinary trials, then one that looks dead until the very end and wins.
    rule = replace(RULE, controls=1.0)
    ordinary = [
        TrialRecord(i, {}, str(i), "sobol", "completed", top1=final_accuracy(each), curve=each, training_seconds=BUDGET)
        for i, each in enumerate(population(30))
    ]
    dead = [CurvePoint(BUDGET * step / 10, step, 1.0, 1.0, 0.01) for step in range(1, 10)]
    late = (*dead, CurvePoint(BUDGET, 10, 1.0, 1.0, 0.9))
    winner = TrialRecord(30, {}, "w", "gpei", "completed", top1=0.9, curve=late, training_seconds=BUDGET)
    report = stopping_report([*ordinary, winner], rule)
    assert report.wrong >= 1
    assert report.worst_miss > 0.25


def test_a_report_of_nothing() -> None:
    report = stopping_report([], RULE)
    assert (report.trials, report.controls, report.saved_share) == (0, 0, 0.0)
    assert (report.wrong_low, report.wrong_high) == (0.0, 1.0)
