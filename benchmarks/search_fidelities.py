"""What short trainings say of long ones, and what strategies make of it, on recordings and a simulated clock.

    python benchmarks/search_fidelities.py [--recordings data/fidelities_cifar100.jsonl] [--seeds 30] [--jobs 2]
                                           [--strategies multifidelity gpei ...] [--with-real-searches] [--quick]

With --seeds 0 it does (a) alone.

(a) Spearman's rank correlation between trainings whose schedule is annealed to a share of the budget and whole ones,
over all networks and among the best 30% of them, for each share; and the noise of one training.

(b) Every strategy on a surrogate. Whole trainings are those of `search_replay.py`, fitted to the recorded trials (and
to those of the real searches, --with-real-searches). Shorter ones are a part of that, learned from the recorded
shares; whatever the regression does not explain in networks it has not seen counts as noise of the shorter training.
Each search ends after the seconds of 50 whole trainings, the recorded overhead of a trial included: every training has
that overhead, however short. Suggestions count with the processor seconds that they took. Regret is the surrogate's
best feasible accuracy less what the network that the search holds for the best reaches after the whole budget: medians
over seeds with quartiles and a 95% bootstrap interval. A network is held for the best by its whole training, as soon
as there is one.
Stated are the seconds after which a strategy has what `report` has at the end, as a part of report's own; those are
read from the record of `search_replay.py`, where it was made on this surrogate: such a search takes minutes.

`early-discarding` is told how long it has: it tries as many candidates as leave time for its leaders' whole trainings
within the seconds of 50. Nothing else knows. Its share, and the rungs of the others, are those that did best on seeds
from 1000 on, which are not recorded; so was everything about `multifidelity` chosen.

Each simulated search is one process with one thread. Interrupted, the benchmark goes on where it was, as long as
neither the recordings nor the search's code have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import betanas.search
from _record import spread, write_record
from _replay import (
    REAL_SEARCHES,
    RECORDINGS,
    RESOLUTION,
    described,
    draw_regrets,
    interval,
    one_thread,
    problem,
    recorded,
)
from _training import Journal
from betanas.intervals import mean_interval
from betanas.search.simulation.fidelities import FidelitySurrogate, agreement, fit_fidelities, read_fidelities
from betanas.search.simulation.recording import training_noise
from betanas.search.simulation.replay import incumbents, optimum, simulate
from betanas.search.simulation.surrogate import fit_surrogate

FIDELITIES = Path(__file__).parent / "data" / "fidelities_cifar100.jsonl"
REPLAYED = Path(__file__).parent / "results" / "search_replay.json"
FIGURES = Path(__file__).parents[1] / "docs" / "results"

# The clock of every search but the report's: this number of whole trainings, each with its overhead.
WHOLE_TRAININGS = 50
CHECKPOINTS = (12, 25, 50)

MOST_TRIALS = 2000

# Two fits to the same recordings, by other versions of the libraries, have a best accuracy that is as equal as this.
SAME_SURROGATE = 1e-4

# Points of the figure.
DRAWN = 100

STRATEGIES = (
    "multifidelity",
    "gpei",
    "early-discarding",
    "successive-halving",
    "hyperband",
    "asha",
    "tpe",
    "optuna-gp",
    "smac",
    "cmaes",
    "random",
)
OURS = "multifidelity"
EARLY_SHARE, LEADERS = 0.25, 8


@dataclass(frozen=True)
class Job:
    """One simulated search, which ends after the seconds of so many whole trainings."""

    strategy: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    trainings: int = WHOLE_TRAININGS

    @property
    def key(self) -> str:
        """What the journal calls it."""
        return f"{self.strategy}, {dict(self.options)}, seed {self.seed}"


def fitted(fidelities: Path, real: bool) -> FidelitySurrogate:
    """The surrogate."""
    noise = training_noise(recorded(real=False))
    whole = fit_surrogate(problem("default"), recorded(real=real), noise=noise)
    return fit_fidelities(whole, of_replay(fidelities))


def of_replay(fidelities: Path) -> list[Any]:
    """The recorded trainings at the replay's resolution."""
    return [each for each in read_fidelities(fidelities) if each.resolution == RESOLUTION]


def options_of(strategy: str, surrogate: FidelitySurrogate) -> dict[str, Any]:
    """What a strategy is told: how long it has, where it cannot do without."""
    if strategy != "early-discarding":
        return {}
    budget, overhead = surrogate.budget, surrogate.overhead
    left = (WHOLE_TRAININGS - LEADERS) * (budget + overhead)
    candidates = int(left / (EARLY_SHARE * budget + overhead))
    return {"least": EARLY_SHARE, "candidates": candidates, "leaders": LEADERS}


def run_apart(job: Job, fitted_to_it: Mapping[str, Any]) -> dict[str, Any]:
    """`run` in a process of the pool, to which a surrogate travels without its problem."""
    return run(job, FidelitySurrogate(problem=problem("default"), **fitted_to_it))


def run(job: Job, surrogate: FidelitySurrogate) -> dict[str, Any]:
    """What the search held for the best after each training, in accuracy after the whole budget, and when."""
    history = simulate(
        job.strategy,
        problem("default"),
        surrogate,
        MOST_TRIALS,
        job.seed,
        options=job.options,
        seconds=horizon(surrogate, job.trainings),
    )
    clock = np.array([trial.ended for trial in history]) + np.cumsum([trial.asking_seconds for trial in history])
    usable = np.array([trial.observed is not None for trial in history])
    shares = [trial.share for trial in history]
    asking = float(np.median([trial.asking_seconds for trial in history]))
    print(f"{job.key}: {len(history)} trainings, a suggestion takes {asking:.2f} s", flush=True)
    return {
        "held": incumbents(history)[usable].tolist(),
        "clock": clock[usable].tolist(),
        "shares": {f"{share:g}": shares.count(share) for share in sorted(set(shares))},
        "asking": asking,
    }


def horizon(surrogate: FidelitySurrogate, trainings: int = WHOLE_TRAININGS) -> float:
    """Seconds of the whole trainings that a search may take."""
    return trainings * (surrogate.budget + surrogate.overhead)


def held_at(run: Mapping[str, Any], seconds: float) -> float:
    """What a search held for the best at a moment of its clock; 0 before its first result."""
    place = int(np.searchsorted(run["clock"], seconds, side="right"))
    return float(run["held"][place - 1]) if place else 0.0


def digest(fidelities: Path) -> str:
    """Of everything that decides a simulated search: the recordings, the limits, the search's code."""
    package = Path(betanas.search.__file__).parent
    files = [fidelities, *sorted(file for room in ("propose", "simulation") for file in (package / room).rglob("*.py"))]
    files += [RECORDINGS, REAL_SEARCHES, Path(__file__).with_name("_replay.py")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def compared(name: str, runs: list[dict[str, Any]], best: float, surrogate: FidelitySurrogate) -> dict[str, Any]:
    """Regret after the seconds of some whole trainings, and what the search did."""
    found: dict[str, Any] = {}
    for trainings in CHECKPOINTS:
        moment = trainings / WHOLE_TRAININGS * horizon(surrogate)
        points = np.array([100 * (best - held_at(run, moment)) for run in runs])
        found[f"after the seconds of {trainings}"] = {**spread(points.tolist()), "interval": interval(points)}
    found["seconds of a suggestion"] = float(np.median([run["asking"] for run in runs]))
    shares = sorted({float(share) for run in runs for share in run["shares"]})
    found["trainings"] = {
        f"{share:g}": float(np.median([run["shares"].get(f"{share:g}", 0) for run in runs])) for share in shares
    }
    return found


def against_report(runs: list[dict[str, Any]], target: float, wall: float) -> dict[str, Any]:
    """When searches have what the report's search has at its end, as a part of the report's seconds."""
    times = [
        next((second for held, second in zip(run["held"], run["clock"], strict=True) if held >= target), np.inf)
        for run in runs
    ]
    median = float(np.median(times))
    return {
        "median": median / wall if np.isfinite(median) else None,
        "reached": int(np.isfinite(times).sum()),
        "within a quarter": int((np.array(times) <= wall / 4).sum()),
        "of": len(times),
    }


def saved(ours: list[dict[str, Any]], other: list[dict[str, Any]], moment: float) -> dict[str, Any]:
    """What ours holds for the best at a moment beyond what another strategy's search of the same seed does."""
    points = [100 * (held_at(one, moment) - held_at(two, moment)) for one, two in zip(ours, other, strict=True)]
    mean = mean_interval(points)
    return {**spread(points), "mean": mean.mean, "interval": [mean.low, mean.high]}


def report_on(best: float) -> tuple[float, float] | None:
    """The report's final accuracy and its seconds, by `search_replay.py`; None where that was on another surrogate."""
    kept = json.loads(REPLAYED.read_text(encoding="utf-8"))["figures"]
    if "report" not in kept or abs(kept["surrogate"]["best"] - best) > SAME_SURROGATE:
        return None
    return kept["report"]["final accuracy"], kept["report"]["wall seconds"]


def replayed(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The conditions and the figures of the searches; draws them, unless settings are being chosen."""
    path, real = arguments.recordings, arguments.with_real_searches
    surrogate = fitted(path, real)
    best = optimum(problem("default"), surrogate)
    jobs = [
        Job(name, seed, options_of(name, surrogate))
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for name in arguments.strategies
    ]
    journal = Journal("search_fidelities", {"made of": digest(path), "real": real})
    parts = {name: value for name, value in vars(surrogate).items() if name != "problem"}
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        made = {job.key: pool.submit(run_apart, job, parts) for job in jobs if job.key not in journal}
        runs = [(job.strategy, journal.once(job.key, lambda key=job.key: made[key].result())) for job in jobs]
    by_strategy = {name: [one for each, one in runs if each == name] for name in arguments.strategies}
    regrets = {name: compared(name, some, best, surrogate) for name, some in by_strategy.items()}
    figures: dict[str, Any] = {
        "surrogate": {
            **described(surrogate, best),
            "networks at every share": surrogate.networks,
            "deviations as parts of the whole accuracy": {f"{at:g}": one for at, one in surrogate.deviations.items()},
            "explained part of the variance": surrogate.explained,
            "overhead of a trial in seconds": surrogate.overhead,
        },
        "regret in points": regrets,
    }
    reached = None
    if (report := report_on(best)) is not None:
        target, wall = report
        reached = 100 * (best - target)
        figures["report"] = {"final accuracy": target, "seconds": wall}
        for name, some in by_strategy.items():
            regrets[name]["seconds to the report's result, as a part of the report's"] = against_report(
                some, target, wall
            )
    for name, one in regrets.items():
        print(name, one)
    if OURS in by_strategy:
        figures[f"points of regret that {OURS} saves, paired by seed"] = {
            name: saved(by_strategy[OURS], some, horizon(surrogate))
            for name, some in by_strategy.items()
            if name != OURS
        }
    axis = np.linspace(WHOLE_TRAININGS / DRAWN, WHOLE_TRAININGS, DRAWN)
    drawn = {
        name: np.array(
            [[100 * (best - held_at(one, at / WHOLE_TRAININGS * horizon(surrogate))) for at in axis] for one in some]
        )
        for name, some in by_strategy.items()
    }
    figures["curves"] = {name: np.median(curves, axis=0).tolist() for name, curves in drawn.items()}
    if not arguments.quick and not arguments.first_seed:
        title, file = "Regret on the replay with parts of the budget", FIGURES / "fidelities.svg"
        draw_regrets(drawn, axis, reached, file, title=title, along="Seconds, in whole trainings", top=10.0)
    conditions = {
        "seeds": arguments.seeds,
        "seconds": horizon(surrogate),
        "preset": "default",
        "with the real searches": real,
        "early-discarding": options_of("early-discarding", surrogate),
    }
    return conditions, figures


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=Path, default=FIDELITIES)
    parser.add_argument("--seeds", type=int, default=30, help="0 for what short trainings say alone")
    parser.add_argument("--first-seed", type=int, default=0, help="from 1000 on to choose settings: keeps no record")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--jobs", type=int, default=2, help="searches at the same time, each on one thread")
    parser.add_argument("--with-real-searches", action="store_true", help="their trials in the surrogate too")
    parser.add_argument("--quick", action="store_true", help="one seed of each; prints, keeps no record")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = 1
    told = agreement(of_replay(arguments.recordings))
    for each in told:
        print(each, flush=True)
    conditions, figures = replayed(arguments) if arguments.seeds else ({}, {})
    if arguments.quick or arguments.first_seed:
        return
    write_record(
        "search_fidelities",
        conditions={"recordings": arguments.recordings.name, "resolution": RESOLUTION, **conditions},
        figures={"what short trainings say": [asdict(each) for each in told], **figures},
    )


if __name__ == "__main__":
    main()
