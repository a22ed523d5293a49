"""Whether a search should widen its ranges by itself, on a surrogate of recorded CIFAR-100 trials.

    python benchmarks/search_widen.py [--seeds 10] [--trials 60] [--strategies gpei local] [--jobs 2] [--quick]

Two beginnings, each without and with `--widen`: `default` (right, for all we know) and `narrow`, the middle half of
each of its ranges (as somebody might choose who does not know where good networks lie). A search may widen as far as
trials were recorded: to the union of the presets `default` and `table1`. Beyond it the surrogate would answer with
guesses, so what lies outside our presets altogether, as a winner at an end of both does, cannot be judged here. Regret
is the best feasible accuracy of the union less the expected accuracy of what a search holds, in points, after 30, 45
and all trainings; differences between with and without are paired by seed.

Which should be the default is decided by `figures.decision`: on where it is better from `narrow` (the whole 95%
interval of the mean difference below zero) and costs less than half a point from `default` (the whole interval below
0.5) at the end, with `gpei`; otherwise off. With two cores a seed of `gpei` takes some four minutes, all four searches.
Interrupted, it goes on where it was. `--quick` tries it out and writes no record.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from typing import Any, ClassVar

import numpy as np

from _record import spread, write_record
from _replay import problem as recorded_problem
from _replay import recorded
from _training import Journal
from betanas.intervals import mean_interval
from betanas.search.feasibility import Problem
from betanas.search.simulation.recording import training_noise
from betanas.search.simulation.replay import incumbents, optimum, simulate
from betanas.search.simulation.surrogate import ReplaySurrogate, fit_surrogate
from betanas.spaces import BetaNet3, Range

BEGINNINGS = ("narrow", "default")
LEARNER = "gpei"

# Points of accuracy that widening may cost where the ranges were right.
MOST_LOST = 0.5


def _union() -> dict[str, Range]:
    presets = (BetaNet3.presets["default"], BetaNet3.presets["table1"])
    return {
        name: Range(min(each[name].low for each in presets), max(each[name].high for each in presets))
        for name in BetaNet3.domain
    }


class Recorded(BetaNet3):
    """BetaNet3 as far as trials were recorded."""

    name: ClassVar[str] = "betanet3-recorded"
    domain: ClassVar[dict[str, Range]] = _union()
    presets: ClassVar[dict[str, dict[str, Range]]] = {
        "default": dict(BetaNet3.presets["default"]),
        "union": _union(),
        "narrow": {
            name: Range(searched.low + searched.span / 4, searched.high - searched.span / 4)
            for name, searched in BetaNet3.presets["default"].items()
        },
    }


@dataclass(frozen=True)
class Job:
    """One simulated search."""

    strategy: str
    beginning: str
    widen: bool
    trials: int
    seed: int

    @property
    def key(self) -> str:
        """What the journal calls it."""
        how = "widening" if self.widen else "as it is"
        return f"{self.strategy}, {self.beginning}, {how}, {self.trials} trials, seed {self.seed}"


def problem(preset: str) -> Problem:
    """What is searched."""
    return replace(recorded_problem("default"), space=Recorded.from_preset(preset))


@cache
def fitted() -> ReplaySurrogate:
    """The surrogate, once a process."""
    noise = training_noise(recorded(real=False))
    return fit_surrogate(problem("union"), recorded(), noise=noise)


def run(job: Job) -> tuple[str, dict[str, Any]]:
    """The job's key; the incumbent's expected accuracy after each trial, and the trials beyond the first ranges."""
    import torch

    torch.set_num_threads(1)
    begun = problem(job.beginning)
    history = simulate(job.strategy, begun, fitted(), job.trials, job.seed, widen=job.widen)
    ranges = begun.space.parameters
    beyond = [any(value not in ranges[name] for name, value in trial.vector.items()) for trial in history]
    return job.key, {"held": incumbents(history).tolist(), "beyond": sum(beyond)}


def main() -> None:
    """Simulate, compare, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--strategies", nargs="+", default=[LEARNER, "local"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two seeds of local search; its figures mean nothing")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.trials, given.strategies = 2, 30, ["local"]
    conditions = {"seeds": given.seeds, "trials": given.trials, "strategies": given.strategies, "jobs": given.jobs}
    # More seeds, or another number of jobs, leave what has been simulated as it was.
    journal = Journal(f"search_widen{'_quick' if given.quick else ''}", {"benchmark": "search_widen", "version": 1})
    jobs = [
        Job(strategy, beginning, widen, given.trials, seed)
        for seed in range(given.seeds)
        for strategy in given.strategies
        for beginning in BEGINNINGS
        for widen in (False, True)
    ]
    missing = [job for job in jobs if job.key not in journal]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for key, found in pool.map(run, missing):
            journal.once(key, lambda found=found: found)
    results = {job: journal.once(job.key, dict) for job in jobs}
    best = optimum(problem("union"), fitted())
    figures: dict[str, Any] = {"best_of_the_union": 100 * best}
    for strategy in given.strategies:
        figures[strategy] = {}
        for beginning in BEGINNINGS:
            regret = {
                widen: np.array(
                    [
                        100 * (best - np.array(found["held"]))
                        for job, found in results.items()
                        if (job.strategy, job.beginning, job.widen) == (strategy, beginning, widen)
                    ]
                )
                for widen in (False, True)
            }
            row: dict[str, Any] = {}
            for after in (30, 45, given.trials):
                if after > given.trials:
                    continue
                without, widened = (regret[widen][:, after - 1] for widen in (False, True))
                row[f"after_{after}"] = {
                    "regret": spread(without.tolist()),
                    "regret_widening": spread(widened.tolist()),
                    "widening_minus_without": asdict(mean_interval((widened - without).tolist())),
                }
            row["trials_beyond_the_first_ranges"] = spread(
                [
                    float(found["beyond"])
                    for job, found in results.items()
                    if (job.strategy, job.beginning, job.widen) == (strategy, beginning, True)
                ]
            )
            figures[strategy][beginning] = row
    learner = figures[LEARNER if LEARNER in given.strategies else given.strategies[0]]
    ends = {
        beginning: learner[beginning][f"after_{given.trials}"]["widening_minus_without"] for beginning in BEGINNINGS
    }
    figures["decision"] = {
        "at_the_end": ends,
        "widen_by_default": ends["narrow"]["high"] < 0 and ends["default"]["high"] < MOST_LOST,
    }
    if given.quick:
        print(figures)
        return
    write_record("search_widen", conditions=conditions, figures=figures)


if __name__ == "__main__":
    main()
