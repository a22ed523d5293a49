"""What a search strategy promises."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from betanas.errors import LimitError, SpaceExhausted, StrategyError
from betanas.search.feasibility import Problem
from betanas.search.propose import Observation, Strategy, get_strategy
from betanas.search.settings import Limits
from betanas.spaces import get_space
from betanas.testing.promises import Promises

_TRIALS = 12

# More than all networks of the smallest space below, of which there are fewer than 200.
_MOST_NETWORKS = 1000


def check_strategy(
    strategy: type[Strategy] | str, *, options: Mapping[str, Any] | None = None, repeats: bool = False
) -> list[Observation]:
    """Check that a search strategy keeps its promises, on a small problem whose answers cost nothing.

    Args:
        strategy: its class, name or `.py` file.
        options: with which it shows what it can in twelve trials.
        repeats: whether its whole point is to suggest networks again, and infeasible ones, as the report's does.

    Returns:
        The twelve trials of the search that was checked.

    Raises:
        BrokenPromiseError: it does not; the message says which promise.
    """
    made = get_strategy(strategy) if isinstance(strategy, str) else strategy
    promises = Promises(f"The search strategy {made.name}")
    checks = _Checks(made, options, promises)
    checks.check_suggestions(repeats=repeats)
    checks.check_memory()
    checks.check_several()
    checks.check_failures()
    checks.check_wider_ranges(repeats=repeats)
    checks.check_predictions(repeats=repeats)
    checks.check_refusals(repeats=repeats)
    if not repeats:
        checks.check_end()
    return checks.history


def small_problem() -> Problem:
    """BetaNet3 at 64 pixels, within a limit that ninety-nine networks in a hundred exceed, a third of them slightly."""
    space = get_space("betanet3", "table1", fixed={"B": 0.3, "S1": 15.0})
    limits = Limits(params=1_200_000)
    return Problem(space, resolution=64, num_classes=10, in_channels=3, batch_size=32, limits=limits)


def simulate(strategy: Strategy, trials: int) -> list[Observation]:
    """A search one trial after another, on a parabola, of which a part of the budget reaches a part.

    A candidate that is infeasible is told so, every seventh trial fails, every ninth has a result that is no number.
    """
    problem, seen = strategy.problem, []
    for index in range(trials):
        (suggestion,) = strategy.ask()
        row = problem.space.to_array([suggestion.vector])
        unit = problem.space.to_unit(row)[0]
        value: float | None = float(0.5 - 0.3 * (np.linspace(1.0, 0.1, len(unit)) * (unit - 0.4) ** 2).sum())
        state = "completed"
        if not problem.feasible(row)[0]:
            state, value = "infeasible", None
        elif index % 7 == 6:
            state, value = "failed", None
        elif index % 9 == 8:
            value = float("nan")
        value = None if value is None else value * suggestion.share**0.3
        share, origin = suggestion.share, suggestion.origin
        observation = Observation(index, suggestion.vector, origin, state, value, share)  # type: ignore[arg-type]
        strategy.tell(observation)
        seen.append(observation)
    return seen


class _Checks:
    """The checks, over one search of a few trials."""

    def __init__(self, strategy: type[Strategy], options: Mapping[str, Any] | None, promises: Promises) -> None:
        self.strategy, self.options, self.promises = strategy, options, promises
        self.problem = small_problem()
        with promises.holding(f"it must suggest a candidate for each of {_TRIALS} trials"):
            self.history = simulate(self.make(), _TRIALS)

    def make(self, problem: Problem | None = None, told: Sequence[Observation] = ()) -> Strategy:
        made = self.strategy(problem or self.problem, seed=3, options=self.options)
        for observation in told:
            made.tell(observation)
        return made

    def check_suggestions(self, *, repeats: bool) -> None:
        space, require = self.problem.space, self.promises.require
        least = self.make().least_share
        for seen in self.history:
            vector = dict(seen.vector)
            require(list(vector) == list(space.parameters), "vectors must have every parameter, in order", vector)
            require(
                all(value in space.parameters[name] for name, value in vector.items()),
                "vectors must lie in the ranges and keep what is fixed",
                vector,
            )
            plain = json.loads(json.dumps(vector)) == vector and {type(value) for value in vector.values()} == {float}
            require(plain, "vectors must be plain numbers, which JSON can hold", vector)
            require(seen.origin and isinstance(seen.origin, str), "a suggestion must say where it comes from", seen)
            require(
                0.0 < least <= seen.share <= 1.0,
                "a suggestion's share of the budget must lie between the strategy's least and the whole",
                f"{seen.share}, and the least is {least}",
            )
        if repeats:
            return
        rows = space.to_array(seen.vector for seen in self.history)
        excluded = np.nonzero(~self.problem.feasible(rows))[0]
        require(not len(excluded), "candidates must keep the limits", f"trials {excluded.tolist()} do not")
        blueprints = self.problem.blueprints(rows)
        keys = [(each.key, seen.share) for each, seen in zip(blueprints, self.history, strict=True)]
        rule = "no network must be suggested twice for the same share of the budget"
        require(len(set(keys)) == len(keys), rule, f"{len(set(keys))} of {len(keys)}")

    def check_memory(self) -> None:
        shuffled = list(self.history)
        random.Random(0).shuffle(shuffled)  # noqa: S311 - nothing secret
        other = self.make()
        for seen in shuffled:
            other.tell(replace(seen, state="running", objective=None))
            other.tell(seen)
        expected, found = self.make(told=self.history).ask(), other.ask()
        rule = "it must be a function of what it was told, in whatever order"
        self.promises.require(expected == found, rule, f"{expected}, and {found} when told in another order")
        old = self.make(told=self.history[:9])
        old.ask()
        for seen in self.history[9:11]:
            old.tell(seen)
        again, last = old.ask()[0], self.history[11]
        rule = "it must suggest the same whether it is made anew or was asked before"
        same = (again.vector, again.share) == (last.vector, last.share)
        self.promises.require(same, rule, f"{again}, not {last}")

    def check_several(self) -> None:
        together, apart = self.make(told=self.history[:10]), self.make(told=self.history[:10])
        one_by_one = []
        for index in range(10, 12):
            (suggestion,) = apart.ask()
            one_by_one.append(suggestion)
            apart.tell(Observation(index, suggestion.vector, suggestion.origin, "running", share=suggestion.share))
        several = together.ask(2)
        rule = "asking for several must be asking for one and telling it as running, again and again"
        self.promises.require(several == one_by_one, rule, f"{several}, not {one_by_one}")
        different = len({(*suggestion.vector.values(), suggestion.share) for suggestion in several})
        self.promises.require(different == 2, "candidates for trials at the same time must differ", several)

    def check_failures(self) -> None:
        for state, value in (("completed", 0.5), ("failed", None)):
            told = [replace(seen, state=state, objective=value) for seen in self.history[:8]]  # type: ignore[arg-type]
            rule = "equal results, or nothing but failures, must not keep it from suggesting"
            with self.promises.holding(rule, f"every trial {state}, {value}"):
                self.problem.space.check(self.make(told=told).ask()[0].vector)

    def check_wider_ranges(self, *, repeats: bool) -> None:
        space = self.problem.space
        ranges = {}
        for name in space.free:
            searched, allowed = space.parameters[name], space.domain[name]
            ranges[name] = (searched.low, min(searched.high + searched.span / 2, allowed.high))
        wider = replace(self.problem, space=space.replace(ranges=ranges))
        rule = "where ranges are widened in the middle of a search it must go on from what it was told"
        with self.promises.holding(rule):
            (suggestion,) = self.make(wider, told=self.history).ask()
        inside = all(value in wider.space.parameters[name] for name, value in suggestion.vector.items())
        self.promises.require(inside, rule, suggestion)
        feasible = repeats or bool(wider.feasible(wider.space.to_array([suggestion.vector]))[0])
        self.promises.require(feasible, "candidates must keep the limits in wider ranges too", suggestion)
        again = self.make(wider, told=self.history).ask()[0]
        self.promises.require(again == suggestion, f"{rule}, always the same", f"{suggestion}, then {again}")

    def check_predictions(self, *, repeats: bool) -> None:
        require = self.promises.require
        fresh = self.make()
        known = (fresh.predict_best(), fresh.export_surrogate())
        require(known == (None, None), "a strategy that was told nothing must predict nothing", known)
        strategy = self.make(told=self.history)
        prediction = strategy.predict_best()
        if prediction is None:
            return
        row = self.problem.space.to_array([prediction.vector])
        feasible = repeats or bool(self.problem.feasible(row)[0])
        require(feasible, "what it predicts to be best must keep the limits", prediction)
        require(prediction.deviation > 0, "a prediction must have a deviation", prediction)
        again = strategy.predict_best()
        require(again == prediction, "it must predict the same when asked again", f"{prediction}, then {again}")

    def check_refusals(self, *, repeats: bool) -> None:
        refusing = self.promises.refusing
        with refusing(StrategyError, "an unknown option must be refused", "no_such_option", saying="option"):
            self.strategy(self.problem, seed=0, options={"no_such_option": 1})
        fixed = {name: searched.low for name, searched in self.problem.space.parameters.items()}
        nothing = replace(self.problem, space=self.problem.space.replace(fixed=fixed), limits=Limits())
        with refusing(
            StrategyError, "a space without a free parameter must be refused", saying="at least one parameter"
        ):
            self.make(nothing)
        if not repeats:
            impossible = replace(self.problem, limits=Limits(params=500))
            rule = "limits that nothing keeps must be refused before the first trial"
            with refusing(LimitError, rule, saying="at most 500 parameters excludes 100.0%"):
                self.make(impossible).ask()

    def check_end(self) -> None:
        space = self.problem.space
        fixed = {name: searched.low for name, searched in space.parameters.items() if name != "S0"}
        small = replace(self.problem, space=space.replace(fixed=fixed), resolution=32, limits=Limits())
        strategy = self.make(small)
        rule = "when every network has been suggested it must say so"
        with self.promises.refusing(SpaceExhausted, rule, saying="has not been tried"):
            simulate(strategy, _MOST_NETWORKS)
        tried = len({(*seen.vector.values(),) for seen in strategy.observations})
        self.promises.require(5 < tried < 200, "it must suggest every network of a small space", f"{tried} suggested")
