"""Strategies that train candidates for parts of the budget: their rules, their model, and what they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.errors import StrategyError
from betanas.search.propose import Observation, Strategy, get_strategy
from betanas.search.propose.multifidelity.levels import Levels
from betanas.search.propose.multifidelity.worth import log_worth
from betanas.search.propose.rungs import (
    Entrant,
    Rung,
    entrants,
    halving_bracket,
    hyperband_brackets,
    next_asynchronous,
    next_in_brackets,
    shares_from,
)
from betanas.search.settings import Limits
from betanas.testing.strategies import simulate, small_problem

RUNGS = (0.0625, 0.25, 1.0)


def seen(index: int, share: float, value: float | None = None, state: str = "completed") -> Observation:
    return Observation(index, {"a": float(index)}, "sobol", state, value, share)  # type: ignore[arg-type]


def tried(*results: dict[float, float | None]) -> list[Entrant]:
    """Candidates with what each reached at some shares; None is a training in progress."""
    found = []
    for place, shares in enumerate(results):
        trials = {
            at: seen(place, at, value, "running" if value is None else "completed") for at, value in shares.items()
        }
        found.append(Entrant({"a": float(place)}, trials))
    return found


@given(least=st.floats(0.01, 0.9), factor=st.integers(2, 5))
def test_rungs_go_down_by_the_factor_to_the_least_share(least: float, factor: int) -> None:
    rungs = shares_from(least, factor)
    assert rungs[-1] == 1.0
    assert least <= rungs[0] * (1 + 1e-9)
    assert rungs[0] / factor < least
    assert all(above == pytest.approx(factor * below) for below, above in pairwise(rungs))


def test_brackets_are_those_of_the_papers() -> None:
    assert halving_bracket(RUNGS, 4) == (Rung(16, 0.0625), Rung(4, 0.25), Rung(1, 1.0))
    # Li et al. 2018, table 1, with eta = 3 and a largest budget of 81.
    shares = shares_from(1 / 81, 3)
    sizes = [[rung.size for rung in bracket] for bracket in hyperband_brackets(shares, 3)]
    assert sizes == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]


class TestBrackets:
    BRACKET = (Rung(3, 0.25), Rung(1, 1.0))

    def test_fill_then_promote_the_best_then_begin_again(self) -> None:
        assert next_in_brackets(tried({0.25: 0.1}, {0.25: 0.3}), [self.BRACKET]).entrant is None
        full = tried({0.25: 0.1}, {0.25: 0.3}, {0.25: 0.2})
        promoted = next_in_brackets(full, [self.BRACKET])
        assert (promoted.entrant, promoted.share) == (full[1], 1.0)
        after = next_in_brackets(tried({0.25: 0.1}, {0.25: 0.3, 1.0: None}, {0.25: 0.2}), [self.BRACKET])
        assert (after.entrant, after.share) == (None, 0.25)

    def test_a_rung_waits_while_the_next_bracket_goes_on(self) -> None:
        waiting = tried({0.25: 0.1}, {0.25: None}, {0.25: 0.2})
        assert next_in_brackets(waiting, [self.BRACKET]).entrant is None
        ended = tried({0.25: 0.1}, {0.25: 0.4}, {0.25: 0.2}, {0.25: None})
        assert next_in_brackets(ended, [self.BRACKET]).entrant is ended[1]

    def test_what_failed_is_not_promoted_and_holds_nothing_up(self) -> None:
        failed = tried({0.25: 0.1}, {0.25: 0.0}, {0.25: 0.2})
        for place in (1, 2):
            failed[place].trials[0.25] = seen(place, 0.25, None, "failed")
        assert next_in_brackets(failed, [self.BRACKET]).entrant is failed[0]
        failed[0].trials[0.25] = seen(0, 0.25, math.nan)
        assert next_in_brackets(failed, [self.BRACKET]).entrant is None


def test_asha_promotes_from_the_top_and_waits_for_nobody() -> None:
    few = tried({0.0625: 0.1}, {0.0625: 0.2}, {0.0625: 0.3})
    assert next_asynchronous(few, RUNGS, 4).entrant is None
    four = tried({0.0625: 0.1}, {0.0625: 0.2}, {0.0625: 0.3}, {0.0625: 0.15}, {0.0625: None})
    promoted = next_asynchronous(four, RUNGS, 4)
    assert (promoted.entrant, promoted.share) == (four[2], 0.25)
    high = tried(*({0.0625: 0.1 * place, 0.25: 0.1 * place} for place in range(4)), {0.0625: 9.0}, *[{0.0625: 0.0}] * 3)
    promoted = next_asynchronous(high, RUNGS, 4)
    assert (promoted.entrant, promoted.share) == (high[3], 1.0), "the top rung first"


def test_trials_of_one_network_are_one_entrant() -> None:
    found = entrants([seen(0, 0.25, 0.1), seen(1, 0.25, 0.2), seen(2, 1.0, 0.4)], [b"a", b"b", b"a"])
    assert [sorted(each.trials) for each in found] == [[0.25, 1.0], [0.25]]
    assert found[0].longest == 1.0
    assert found[0].value(0.5) == -math.inf


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("asha", "least", 1.0),
        ("hyperband", "factor", 1),
        ("early-discarding", "least", 0.0),
        ("early-discarding", "leaders", 65),
        ("early-discarding", "candidates", 0),
        ("multifidelity", "least", 2.0),
        ("multifidelity", "first", 0.0),
        ("multifidelity", "overhead", -0.1),
        ("multifidelity", "wholes", -1),
        ("multifidelity", "pool", 1),
    ],
)
def test_impossible_options_are_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(StrategyError, match=option):
        get_strategy(name)(small_problem(), seed=0, options={option: value})


@pytest.mark.parametrize("name", ["early-discarding", "asha", "multifidelity"])
def test_a_space_that_is_used_up_has_its_best_trained_to_the_end(name: str) -> None:
    space = small_problem().space
    fixed = {each: searched.low for each, searched in space.parameters.items() if each != "S0"}
    small = replace(small_problem(), space=space.replace(fixed=fixed), resolution=32, limits=Limits())
    options = {"initial": 400, "pool": 16} if name == "multifidelity" else {}
    strategy = get_strategy(name)(small, seed=3, options=options)
    told = simulate_until_whole(strategy)
    assert told[-1].share == 1.0
    assert told[-1].origin == "promoted"


def simulate_until_whole(strategy: Strategy) -> Sequence[Observation]:
    found: list[Observation] = []
    while not found or found[-1].share < 1.0:
        (suggestion,) = strategy.ask()
        value = 0.1 + 0.001 * suggestion.vector["S0"]
        origin, share = suggestion.origin, suggestion.share
        found.append(Observation(len(found), suggestion.vector, origin, "completed", value, share))
        strategy.tell(found[-1])
        assert len(found) < 500
    return found


class TestLevels:
    def test_the_rise_is_that_within_networks(self) -> None:
        """Only the better half is trained longer: a comparison of means would take that for the effect of training."""
        rng = np.random.default_rng(0)
        quality = rng.uniform(0.1, 0.3, 40)
        better = np.flatnonzero(quality > np.median(quality))
        networks = np.concatenate([np.arange(40), better])
        shares = np.concatenate([np.full(40, 0.25), np.ones(len(better))])
        values = quality[networks] * np.where(shares == 1.0, 1.0, 0.5)
        levels = Levels.fit(values, shares, networks, shares)
        assert levels.least is not None
        assert np.isfinite(levels.whole(np.zeros(1), np.ones(1))).all()
        assert levels.back(levels.whole(values, shares)) == pytest.approx(quality[networks], rel=0.03)

    def test_one_share_alone_or_negative_values(self) -> None:
        values, networks = np.array([-1.0, 2.0, 3.0]), np.arange(3)
        levels = Levels.fit(values, np.full(3, 0.25), networks, np.array([0.5]))
        assert levels.shares.tolist() == [0.25, 0.5, 1.0]
        assert levels.least is None
        assert np.ptp(levels.whole(values, np.full(3, 0.25)) - values) == pytest.approx(0.0, abs=1e-9)
        assert Levels.fit(np.ones(3), np.ones(3), networks, np.ones(3)).back([0.0]) == pytest.approx([1.0])


class TestWorth:
    def worth(self, **changes: object) -> float:
        values = {"mean": 0.0, "deviation": 1.0, "known": 0.9, "cost": 0.25, "best": 1.0} | changes
        arrays = [np.array([values[name]]) for name in ("mean", "deviation", "known", "cost")]
        return float(log_worth(*arrays, 1.0, values["best"])[0])  # type: ignore[arg-type]

    def test_a_dearer_or_less_telling_training_is_worth_less(self) -> None:
        assert self.worth(cost=0.5) < self.worth(cost=0.25)
        assert self.worth(known=0.5) < self.worth(known=0.9)
        assert self.worth(mean=-1.0) < self.worth()

    def test_a_likely_winner_is_trained_whole_at_once_and_a_doubtful_one_briefly(self) -> None:
        for mean, briefly in ((3.0, False), (-1.5, True)):
            whole = self.worth(mean=mean, known=1.0, cost=1.0)
            assert (self.worth(mean=mean, known=0.9, cost=0.125) > whole) == briefly

    @given(st.floats(-30, 30), st.floats(1e-3, 10), st.floats(0.01, 1.0))
    def test_is_finite(self, mean: float, deviation: float, known: float) -> None:
        assert math.isfinite(self.worth(mean=mean, deviation=deviation, known=known))


class TestMultiFidelity:
    OPTIONS = {"initial": 5, "pool": 64}  # noqa: RUF012 - not changed

    @pytest.fixture(scope="class")
    def told(self) -> list[Observation]:
        return simulate(get_strategy("multifidelity")(small_problem(), seed=3, options=self.OPTIONS), 10)

    def make(self, told: Sequence[Observation], **options: object) -> Strategy:
        made = get_strategy("multifidelity")(small_problem(), seed=3, options=self.OPTIONS | options)
        for observation in told:
            made.tell(observation)
        return made

    def test_begins_briefly_and_trains_the_best_of_those_to_the_end(self, told: list[Observation]) -> None:
        assert [each.share for each in told[:5]] == [0.25] * 5
        best = max(told[:5], key=lambda each: each.objective or 0.0)
        assert (told[5].vector, told[5].share, told[5].origin) == (best.vector, 1.0, "promoted")

    def test_pending_trainings_send_the_next_elsewhere(self, told: list[Observation]) -> None:
        suggestions = self.make(told).ask(3)
        assert len({(*each.vector.values(), each.share) for each in suggestions}) == 3

    def test_a_network_in_training_is_not_trained_longer_meanwhile(self, told: list[Observation]) -> None:
        running = [replace(each, state="running", objective=None) for each in told[6:]]
        (suggestion,) = self.make([*told[:6], *running]).ask()
        assert suggestion.vector not in [each.vector for each in running]

    def test_dear_overhead_makes_trainings_longer(self, told: list[Observation]) -> None:
        cheap, dear = (self.make(told[:6], overhead=overhead, least=0.0625).ask()[0].share for overhead in (0.0, 50.0))
        assert cheap < dear
        assert dear == 1.0

    def test_predicts_the_whole_training(self, told: list[Observation]) -> None:
        prediction = self.make(told).predict_best()
        assert prediction is not None
        assert 0.35 < prediction.mean < 0.65
