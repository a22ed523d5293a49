"""How many first points a search may have that has time for a dozen trainings: regret on recordings, simulated clock.

    python benchmarks/search_short.py [--seeds 30] [--jobs 2] [--first-seed 0] [--quick]

`gpei` begins with d + 1 points of a Sobol sequence, `multifidelity` with two and a half times as many brief trainings:
in a short search that is all there is time for. Here they begin with fewer, on the surrogate of `search_fidelities.py`
(all of whose conditions hold), and end after the seconds of 20 whole trainings. Regret is read after those of 8, 12
and 20: medians over seeds, with 95% bootstrap intervals, and the points that each number saves beside the usual one,
paired by seed, with the interval of the mean.

The rule, laid down before: `betanas find` takes, as a part of the time, the number of first points that is best on
average over the three moments on seeds from 1000 on (`--first-seed 1000`, which keeps no record), if on the seeds from
0 on it saves something over the usual number at the moments where that has no time for its model. Interrupted, the
benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from _record import spread, write_record
from _replay import RESOLUTION, described, interval, one_thread, problem
from _training import Journal
from betanas.intervals import mean_interval
from betanas.search.simulation.replay import optimum
from search_fidelities import FIDELITIES, Job, digest, fitted, held_at, horizon, run_apart

TRAININGS, CHECKPOINTS = 20, (8, 12, 20)

# First points; 0 is the usual number.
INITIAL = {"gpei": (4, 6, 8, 12, 0), "multifidelity": (6, 10, 16, 24, 0)}


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first-seed", type=int, default=0, help="from 1000 on to choose: keeps no record")
    parser.add_argument("--strategies", nargs="+", default=list(INITIAL))
    parser.add_argument("--jobs", type=int, default=2, help="searches at the same time, each on one thread")
    parser.add_argument("--quick", action="store_true", help="one seed; prints, keeps no record")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + (1 if given.quick else given.seeds))
    surrogate = fitted(FIDELITIES, real=False)
    best = optimum(problem("default"), surrogate)
    jobs = {
        (name, initial, seed): Job(name, seed, {"initial": initial}, TRAININGS)
        for seed in seeds
        for name in given.strategies
        for initial in INITIAL[name]
    }
    journal = Journal("search_short", {"made of": digest(FIDELITIES)})
    parts = {name: value for name, value in vars(surrogate).items() if name != "problem"}
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        made = {job.key: pool.submit(run_apart, job, parts) for job in jobs.values() if job.key not in journal}
        runs = {at: journal.once(job.key, lambda key=job.key: made[key].result()) for at, job in jobs.items()}
    figures: dict[str, Any] = {"surrogate": described(surrogate, best)}
    for name in given.strategies:
        figures[name] = {}
        for initial in INITIAL[name]:
            found = figures[name][f"initial {initial or 'as usual'}"] = {}
            for trainings in CHECKPOINTS:
                moment = horizon(surrogate, trainings)
                points, usual = (
                    np.array([100 * (best - held_at(runs[name, first, seed], moment)) for seed in seeds])
                    for first in (initial, 0)
                )
                saved = mean_interval((usual - points).tolist())
                found[f"after the seconds of {trainings}"] = {
                    **spread(points.tolist()),
                    "mean": float(points.mean()),
                    "interval": interval(points),
                    "saves": [saved.mean, saved.low, saved.high],
                }
            moments = [found[f"after the seconds of {each}"] for each in CHECKPOINTS]
            means = [round(each["mean"], 2) for each in moments]
            print(name, initial, means, [[round(one, 2) for one in each["saves"]] for each in moments], flush=True)
    if given.quick or given.first_seed:
        return
    conditions = {
        "seeds": given.seeds,
        "resolution": RESOLUTION,
        "preset": "default",
        "whole trainings": TRAININGS,
        "strategies": given.strategies,
    }
    write_record("search_short", conditions=conditions, figures=figures)


if __name__ == "__main__":
    main()
