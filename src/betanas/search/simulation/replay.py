"""Runs a strategy on a surrogate with a simulated clock."""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from betanas.blueprint import FloatArray
from betanas.errors import SpaceExhausted
from betanas.search.bounds import next_widenings
from betanas.search.feasibility import Problem
from betanas.search.propose import Observation, Suggestion, get_strategy
from betanas.search.propose.gpei.local_search import ranked
from betanas.search.propose.screened import FeasibleStream, sobol_draw
from betanas.search.records import TrialRecord, TrialState, Widening
from betanas.search.simulation.recording import as_curve
from betanas.search.simulation.surrogate import ReplaySurrogate
from betanas.search.stopping import Curve, StoppingRule

# What a candidate costs that turns out to be infeasible when it is built or first trained, where a strategy does not
# know beforehand. Nothing: the comparison is to err on the side of the strategy that suggests them.
INFEASIBLE_SECONDS = 0.0

OPTIMUM_POOL = 16384


@dataclass(frozen=True, slots=True)
class SimulatedTrial:
    """A trial of a simulated search.

    Attributes:
        index: in the order of suggestion.
        vector: the parameter vector.
        origin: what suggested it.
        state: `completed`, `stopped` or `infeasible`.
        observed: the accuracy the search was told; None for an infeasible one.
        expected: the surrogate's accuracy without noise after the whole budget; None for an infeasible one.
        training_seconds: simulated.
        ended: simulated wall-clock seconds from the search's start to this trial's end.
        asking_seconds: processor seconds that the suggestion took, which a busy machine does not change; not part of
            the simulated clock.
        share: part of the budget that it had.
    """

    index: int
    vector: Mapping[str, float]
    origin: str
    state: TrialState
    observed: float | None
    expected: float | None
    training_seconds: float
    ended: float
    asking_seconds: float
    share: float = 1.0


def simulate(
    strategy: str,
    problem: Problem,
    surrogate: ReplaySurrogate,
    trials: int,
    seed: int,
    *,
    options: Mapping[str, Any] | None = None,
    workers: int = 1,
    usable: int | None = None,
    seconds: float | None = None,
    stopping: StoppingRule | None = None,
    widen: bool = False,
) -> list[SimulatedTrial]:
    """Search without training.

    Args:
        strategy: its name.
        problem: what is searched; its space has the surrogate's parameters, in any ranges.
        surrogate: stands for training.
        trials: suggestions at most.
        seed: of the strategy and of the trainings' noise.
        options: of the strategy.
        workers: trials that train at the same time.
        usable: number of trials with a result at which to end.
        seconds: of the simulated clock, after which nothing begins.
        stopping: rule for early stopping; its budget is the surrogate's.
        widen: whether ranges grow at whose ends the best trials crowd, as with `--widen`.

    Returns:
        The trials in the order in which they ended. Fewer than asked for where the space is exhausted.
    """
    make = get_strategy(strategy)
    asked = make(problem, seed=seed, options=options)
    widenings: list[Widening] = []
    queue: list[tuple[float, int, SimulatedTrial]] = []
    ended: list[SimulatedTrial] = []
    history: list[Curve] = []
    clock, index, exhausted = 0.0, 0, False
    while True:
        enough = usable is not None and sum(each.observed is not None for each in ended) >= usable
        enough = enough or (seconds is not None and clock >= seconds)
        while len(queue) < workers and index < trials and not exhausted and not enough:
            start = time.process_time()
            try:
                (suggestion,) = asked.ask()
            except SpaceExhausted:
                exhausted = True
                break
            took = time.process_time() - start
            trial = _train(problem, surrogate, suggestion, index, clock, took, seed, history, stopping)
            asked.tell(Observation(index, suggestion.vector, suggestion.origin, "running", share=suggestion.share))
            heapq.heappush(queue, (trial.ended, index, trial))
            index += 1
        if not queue:
            return ended
        clock, _, trial = heapq.heappop(queue)
        ended.append(trial)
        asked.tell(Observation.of(_record(trial)))
        if trial.state == "completed" and trial.share == 1.0 and stopping is not None and trial.observed is not None:
            history.append(_curve(problem, surrogate, trial.vector, trial.observed))
        known = [*map(_record, ended), *(replace(_record(each), state="running") for _, _, each in queue)]
        if widen and (new := next_widenings(problem, known, widenings)):
            widenings += new
            ranges = {one.parameter: (one.low, one.high) for one in new}
            problem = replace(problem, space=problem.space.replace(ranges=ranges))
            asked = make(problem, seed=seed, options=options)
            for record in known:
                asked.tell(Observation.of(record))


def _record(trial: SimulatedTrial) -> TrialRecord:
    share, observed = trial.share, trial.observed
    return TrialRecord(trial.index, trial.vector, "", trial.origin, trial.state, share=share, objective=observed)


def _train(
    problem: Problem,
    surrogate: ReplaySurrogate,
    suggestion: Suggestion,
    index: int,
    clock: float,
    took: float,
    seed: int,
    history: Sequence[Curve],
    stopping: StoppingRule | None,
) -> SimulatedTrial:
    row = problem.space.to_array([suggestion.vector])
    if not problem.feasible(row)[0]:
        return SimulatedTrial(
            index,
            suggestion.vector,
            suggestion.origin,
            "infeasible",
            None,
            None,
            0.0,
            clock + INFEASIBLE_SECONDS,
            took,
            suggestion.share,
        )
    share, expected = suggestion.share, float(surrogate.accuracies(row)[0])
    reached, deviation = surrogate.training(row, share)
    noise = deviation * float(np.random.default_rng((seed, index)).standard_normal())
    observed, seconds, state = max(reached + noise, 0.0), share * surrogate.budget, "completed"
    if stopping is not None and share == 1.0:
        curve = _curve(problem, surrogate, suggestion.vector, observed)
        for length in range(1, len(curve)):
            verdict = stopping.decide(curve[:length], history, index=index)
            if verdict.stop and verdict.predicted is not None:
                observed, seconds, state = verdict.predicted, verdict.seconds, "stopped"
                break
    ended = clock + seconds + surrogate.overhead
    outcome: TrialState = "stopped" if state == "stopped" else "completed"
    return SimulatedTrial(
        index, suggestion.vector, suggestion.origin, outcome, observed, expected, seconds, ended, took, share
    )


def _curve(problem: Problem, surrogate: ReplaySurrogate, vector: Mapping[str, float], final: float) -> Curve:
    return as_curve(surrogate.curve(problem.space.to_array([vector])[0], final))


def incumbents(history: Sequence[SimulatedTrial]) -> FloatArray:
    """After each trial, the expected accuracy of the completed candidate that had the best observed one. Shape [n].

    What a user would have got: the search believes its noisy results, the network keeps its expected accuracy. Trials
    compare where they had the same part of the budget: the best is the best of those with the longest training so far.
    Zero before the first result.
    """
    best, held, found = (0.0, -np.inf), 0.0, []
    for trial in history:
        if trial.state == "completed" and trial.observed is not None and (trial.share, trial.observed) > best:
            best, held = (trial.share, trial.observed), trial.expected or 0.0
        found.append(held)
    return np.array(found)


def optimum(problem: Problem, surrogate: ReplaySurrogate, *, seed: int = 0) -> float:
    """The largest expected accuracy of a feasible candidate, searched from a large pool: what regret is against."""
    space = problem.space
    pool = space.to_unit(FeasibleStream(problem, sobol_draw(len(space.free), (seed, 7))).first(OPTIMUM_POOL))

    def score(points: FloatArray) -> FloatArray:
        return surrogate.accuracies(space.from_unit(points))

    ranking = ranked(score, pool, lambda points: problem.feasible(space.from_unit(points)), np.random.default_rng(seed))
    return float(score(ranking[:1])[0])
