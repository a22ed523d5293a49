"""Every strategy on a surrogate of recorded CIFAR-100 trials, with a simulated clock.

    python benchmarks/search_replay.py [--recordings data/replay_cifar100_r32.jsonl] [--seeds 30] [--trials 100]
                                       [--strategies gpei report ...] [--preset default] [--jobs 2]
                                       [--model "extra trees"] [--recorded-alone] [--quick]

The surrogate is fitted to the recordings and to the trials of the real searches, which went where a Sobol sequence has
few points (--recorded-alone leaves them out, as in older records), and its cross-validated error stated (in the manner
of NAS-Bench-301); each training adds the noise that the recordings' repeats measure. Regret is the surrogate's best
feasible accuracy less the expected accuracy of the candidate that the search holds for the best, in points of accuracy:
medians over seeds with their quartiles, and a 95% bootstrap interval of the median. `report` is run to 200 usable
results, as in the report, in preset table1 with the limits of the search, where it meets the infeasible candidates that
its procedure is about; with some hundred of them its suggestions take seconds, minutes of a seed in all. Wall-clock is
simulated: the budget and the recorded overhead of each trial, plus the seconds that suggestions really took. Stated for
`gpei`: the part of `report`'s wall-clock after which it has what `report` has at the end.

The surrogate sees the same features of networks as `gpei`'s model, and is a Gaussian process where that has the least
error: --model replays on another regression, in whose landscape no model of ours is at home.

Each simulated search is one process with one thread; --jobs of them run at the same time. Interrupted, the benchmark
goes on where it was, as long as neither the recordings nor the search's code have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import betanas.search
from _record import spread, write_record
from _replay import REAL_SEARCHES, RECORDINGS, described, draw_regrets, interval, one_thread, problem, recorded
from _training import Journal
from betanas.search.propose import available_strategies
from betanas.search.simulation.recording import training_noise
from betanas.search.simulation.replay import incumbents, optimum, simulate
from betanas.search.simulation.surrogate import ReplaySurrogate, fit_surrogate

USABLE, REPORT_TRIALS = 200, 2000
CHECKPOINTS = (25, 50, 100)
FIGURES = Path(__file__).parents[1] / "docs" / "results"


@dataclass(frozen=True)
class Job:
    """One simulated search."""

    strategy: str
    preset: str
    trials: int
    seed: int
    recordings: Path
    noise: float | None
    model: str | None
    real: bool

    @property
    def key(self) -> str:
        """What the journal calls it."""
        return f"{self.strategy}, {self.preset}, {self.trials} trials, seed {self.seed}"


@cache
def fitted(recordings: Path, noise: float | None, model: str | None, real: bool) -> ReplaySurrogate:
    """The surrogate, once a process. Its features do not depend on ranges, so one preset's space serves both.

    The real searches repeat vectors of each other, but on other validation splits: their differences are not noise.
    """
    noise = training_noise(recorded(recordings, real=False)) if noise is None else noise
    return fit_surrogate(problem("default"), recorded(recordings, real=real), noise=noise, model=model)


def run(job: Job) -> tuple[str, list[float], list[float]]:
    """The strategy, the incumbent's expected accuracy after each usable trial, and the wall-clock of each."""
    began = time.process_time()
    surrogate = fitted(job.recordings, job.noise, job.model, job.real)
    history = simulate(
        job.strategy,
        problem(job.preset),
        surrogate,
        job.trials,
        job.seed,
        usable=USABLE if job.strategy == "report" else None,
    )
    held = incumbents(history)
    clock = np.array([trial.ended for trial in history]) + np.cumsum([trial.asking_seconds for trial in history])
    usable = np.array([trial.observed is not None for trial in history])
    print(f"{job.strategy}, seed {job.seed}: {time.process_time() - began:.0f} s of processor time", flush=True)
    return job.strategy, held[usable].tolist(), clock[usable].tolist()


def digest(recordings: Path) -> str:
    """Of everything that decides a simulated search: the recordings, the limits, the search's code."""
    package = Path(betanas.search.__file__).parent
    files = [recordings, REAL_SEARCHES, Path(__file__).with_name("_replay.py"), *sorted(package.glob("*.py"))]
    files += sorted(file for room in ("propose", "simulation") for file in (package / room).rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--strategies", nargs="+", default=list(available_strategies()))
    parser.add_argument("--preset", default="default")
    parser.add_argument("--report-preset", default="table1")
    parser.add_argument("--noise", type=float, help="of one training, where no vector was recorded twice")
    parser.add_argument("--model", help="the surrogate's regression, where not the one of the least error")
    parser.add_argument("--recorded-alone", action="store_true", help="without the trials of the real searches")
    parser.add_argument("--jobs", type=int, default=2, help="searches at the same time, each on one thread")
    parser.add_argument("--quick", action="store_true", help="one seed of each; prints what each took, keeps no record")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = 1
    surrogate = fitted(arguments.recordings, arguments.noise, arguments.model, not arguments.recorded_alone)
    best = optimum(problem(arguments.preset), surrogate)
    jobs = [
        Job(
            name,
            arguments.report_preset if name == "report" else arguments.preset,
            REPORT_TRIALS if name == "report" else arguments.trials,
            seed,
            arguments.recordings,
            arguments.noise,
            arguments.model,
            not arguments.recorded_alone,
        )
        for seed in range(arguments.seeds)
        for name in arguments.strategies
    ]
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        if arguments.quick:
            runs = list(pool.map(run, jobs))
        else:
            made_of = digest(arguments.recordings)
            settings = {"noise": arguments.noise, "model": arguments.model, "alone": arguments.recorded_alone}
            journal = Journal("search_replay", settings | {"made of": made_of})
            made = {job.key: pool.submit(run, job) for job in jobs if job.key not in journal}
            runs = [journal.once(job.key, lambda key=job.key: made[key].result()) for job in jobs]
    regrets: dict[str, dict[str, object]] = {}
    for name in arguments.strategies:
        curves = [held for strategy, held, _ in runs if strategy == name]
        regrets[name] = {}
        for trials in CHECKPOINTS:
            points = np.array([100 * (best - held[trials - 1]) for held in curves if len(held) >= trials])
            if len(points):
                regrets[name][f"after {trials}"] = {**spread(points.tolist()), "interval": interval(points)}
    held = {
        name: np.array(
            [one[: arguments.trials] for strategy, one, _ in runs if strategy == name and len(one) >= arguments.trials]
        )
        for name in arguments.strategies
    }
    figures: dict[str, Any] = {
        "surrogate": described(surrogate, best),
        "regret in points": regrets,
        "curves": {name: np.median(curves, axis=0).tolist() for name, curves in held.items()},
    }
    if "report" in arguments.strategies:
        ends = [(held[-1], clock[-1]) for strategy, held, clock in runs if strategy == "report"]
        target, wall = (float(np.median(column)) for column in zip(*ends, strict=True))
        figures["report"] = {"final accuracy": target, "wall seconds": wall}
        for name in arguments.strategies:
            times = [
                next((second for value, second in zip(held, clock, strict=True) if value >= target), np.inf)
                for strategy, held, clock in runs
                if strategy == name
            ]
            reached = [second / wall for second in times if np.isfinite(second)]
            regrets[name]["wall-clock to the report's result, as a part of the report's"] = {
                "median": float(np.median(times)) / wall if np.isfinite(np.median(times)) else None,
                "reached": len(reached),
                "of": len(times),
            }
    if arguments.quick:
        return
    record = "search_replay" if arguments.model is None else f"search_replay_{arguments.model.replace(' ', '_')}"
    if "report" in figures:
        regret = {name: 100 * (best - curves) for name, curves in held.items()}
        reached_at = 100 * (best - figures["report"]["final accuracy"])
        file = FIGURES / f"{record.removeprefix('search_')}.svg"
        axis = np.arange(1, arguments.trials + 1)
        draw_regrets(regret, axis, reached_at, file, title="Regret on the replay", along="Trainings")
    write_record(
        record,
        conditions={
            "seeds": arguments.seeds,
            "trials": arguments.trials,
            "preset": arguments.preset,
            "report's preset": arguments.report_preset,
            "limits": "30M parameters and 30M multiply-accumulates at 32, 50M parameters at 224",
            "recordings": arguments.recordings.name,
            "with the real searches": not arguments.recorded_alone,
        },
        figures=figures,
    )


if __name__ == "__main__":
    main()
