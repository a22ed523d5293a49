"""How long `gpei` takes for a suggestion, and whether its memory grows.

    python benchmarks/search_suggestions.py [--repeats 20] [--trials 100 200 400] [--memory-trials 1000]

15 parameters (preset default, R=32, a look-ahead limit at 224, so that screening is not free). A strategy is told
that number of Sobol results of a made-up objective, asked once, told the answer, and asked again: each repeat is one
such ask with one more trial, so hyper-parameter fits occur as often as in a search. The bar: median below 1 s, 95th
percentile below 2 s at 400 trials on two cores. The first ask, which imports BoTorch and screens the pool, is stated
apart. For the memory, a strategy is asked every 25 trials up to 1,000; the resident size is that of this process.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import psutil

from _objectives import bumpy_accuracy
from _record import spread, write_record
from betanas.search.feasibility import Problem
from betanas.search.propose import Observation, Strategy, Suggestion, get_strategy
from betanas.search.settings import Limits
from betanas.spaces import get_space

LIMITS = Limits(params=10_000_000, lookahead=((224, 50_000_000),))
PROBLEM = Problem(get_space("betanet3", "default"), 32, 100, 3, 100, limits=LIMITS)
NOISE, THREADS = 0.006, 2


def outcome(suggestion: Suggestion, index: int) -> Observation:
    """What a trial would have told."""
    space = PROBLEM.space
    value = float(bumpy_accuracy(space.to_unit(space.to_array([suggestion.vector])))[0])
    value += NOISE * float(np.random.default_rng(index).standard_normal())
    return Observation(index, suggestion.vector, suggestion.origin, "completed", value)


def told(trials: int) -> Strategy:
    """A strategy that knows this number of Sobol trials."""
    strategy = get_strategy("gpei")(PROBLEM, seed=0)
    strategy.threads = THREADS
    for index, suggestion in enumerate(get_strategy("sobol")(PROBLEM, seed=0).ask(trials)):
        strategy.tell(outcome(suggestion, index))
    return strategy


def latencies(trials: int, repeats: int) -> dict[str, object]:
    """Seconds of asks from `trials` trials on."""
    strategy, seconds = told(trials), []
    for index in range(trials, trials + repeats + 1):
        start = time.perf_counter()
        (suggestion,) = strategy.ask()
        seconds.append(time.perf_counter() - start)
        strategy.tell(outcome(suggestion, index))
    first, others = seconds[0], seconds[1:]
    return {"first": first, **spread(others), "p95": float(np.percentile(others, 95))}


def memory(trials: int, every: int = 25) -> dict[str, float]:
    """Resident MiB at the first tenth and at the end of a long search."""
    strategy, process, sizes = get_strategy("gpei")(PROBLEM, seed=0), psutil.Process(), []
    strategy.threads = THREADS
    sobol = get_strategy("sobol")(PROBLEM, seed=0).ask(trials)
    for index, suggestion in enumerate(sobol):
        if index % every == every - 1:
            (suggestion,) = strategy.ask()
            sizes.append(process.memory_info().rss / 2**20)
        strategy.tell(outcome(suggestion, index))
    tenth = max(1, len(sizes) // 10)
    return {"after a tenth": sizes[tenth], "at the end": sizes[-1], "growth": sizes[-1] / sizes[tenth] - 1}


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--memory-trials", type=int, default=1000)
    arguments = parser.parse_args()
    figures: dict[str, object] = {
        f"seconds at {trials} trials": latencies(trials, arguments.repeats) for trials in arguments.trials
    }
    figures["resident MiB"] = memory(arguments.memory_trials)
    write_record(
        "search_suggestions",
        conditions={"parameters": len(PROBLEM.space.free), "repeats": arguments.repeats, "threads": THREADS},
        figures=figures,
    )


if __name__ == "__main__":
    main()
