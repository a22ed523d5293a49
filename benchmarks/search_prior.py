"""What `--prior` is worth: searches that learn from another one's trials, beside searches that begin with nothing.

    python benchmarks/search_prior.py [--seeds 10] [--trials 50] [--pair-seeds 4] [--for 5m] [--quick]

On the surrogate of the recorded CIFAR-100 trials (`search_replay.py`), preset default, with its noise. The other study
is a search of --trials trainings by `gpei` with a seed of its own, and what it found is

- right: of the same surrogate, with other noise;
- related: of another landscape, by another regression (extra trees) fitted to a random half of the recordings;
- shuffled: the right one with its objectives dealt out anew among its vectors, so that they say nothing;
- negated: the right one with its objectives turned round, so that they say the opposite.

Regret is in points of accuracy, after 25 and after --trials trainings; differences are of the same seed, with 95%
intervals of the mean. The bars: with whatever prior no more than 0.5 points worse than without; with a right or related
one, half the trainings (which take equal seconds) for the regret of a search that began with nothing.

The pairs are of real images: data/pairs.jsonl (`record_pairs.py`) holds the same vectors trained on two halves of the
classes of CIFAR-100, on Fashion-MNIST and on digits. Their rank correlations bound what a prior can be worth. A
surrogate of each set stands for it in searches of --trials trainings, and of half as many that learn from a search of
each other set. Those surrogates know a few dozen networks each: what they say of single points is rough.

Simulated searches are kept in a journal: interrupted, or ended by --for, the benchmark goes on, and a record is written
of what there is, each figure with its number of seeds. With and without a prior alike, suggestions are made cheaper
than a real search's: from a pool of 512 points with two rounds of steps, and with hyper-parameters that are fitted anew
whenever there are a quarter more results.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import permutations
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy import stats

from _pairs import PAIRS, SETS, problem_for, read_pairs
from _record import spread, write_record
from _replay import problem, recorded
from _training import Journal
from betanas.intervals import mean_interval
from betanas.search.feasibility import Problem
from betanas.search.lessons import lesson_of
from betanas.search.propose.gpei import model, process
from betanas.search.propose.gpei.local_search import LocalSearch, ranked
from betanas.search.simulation.recording import Recording, training_noise
from betanas.search.simulation.replay import SimulatedTrial, incumbents, optimum, simulate
from betanas.search.simulation.surrogate import ReplaySurrogate, fit_surrogate
from betanas.training.budget import Budget

CIFAR = "cifar100"
KINDS = ("right", "related", "shuffled", "negated")
OPTIONS = {"pool": 512}
STEPS = LocalSearch(rounds=2)
FITTED_FROM, FITTED_AGAIN = 8, 1.25
MOST_LOST = 0.5

# Seeds of the searches that are learned from, beyond those of the searches that learn.
OTHERS = 1000


@dataclass(frozen=True)
class Job:
    """One simulated search.

    Attributes:
        on: the landscape that is searched.
        trials: trainings.
        seed: of the search.
        prior: what it learns from: nothing, one of `KINDS`, or another landscape.
    """

    on: str
    trials: int
    seed: int
    prior: str = ""

    @property
    def key(self) -> str:
        """What the journal calls it."""
        return f"{self.on}, {self.trials} trials, seed {self.seed}, prior {self.prior or 'none'}"


def problem_on(landscape: str) -> Problem:
    """What is searched."""
    sets = {each.name: each for each in SETS}
    return problem_for(sets[landscape]) if landscape in sets else problem("default")


def recordings(landscape: str) -> list[Recording]:
    """Trials that a landscape's surrogate is fitted to."""
    if landscape == CIFAR:
        return recorded()
    if landscape == "related":
        every = recorded()
        chosen = np.random.default_rng(0).permutation(len(every))[: len(every) // 2]
        return [every[place] for place in chosen]
    return [
        Recording(each.vector, each.top1, ((1.0, each.top1),), 1.0, 1.0, each.params, each.seed)
        for each in read_pairs()
        if each.data == landscape and each.outcome == "completed"
    ]


@cache
def fitted(landscape: str) -> ReplaySurrogate:
    """The surrogate of a landscape, once a process."""
    found = recordings(landscape)
    noise = training_noise(recorded(real=False)) if landscape in (CIFAR, "related") else training_noise(found)
    model = "extra trees" if landscape == "related" else None
    return fit_surrogate(problem_on(landscape), found, noise=noise, model=model)


@cache
def best_of(landscape: str) -> float:
    """The best expected accuracy there is."""
    return optimum(problem_on(landscape), fitted(landscape))


def searching(searched: Problem, landscape: str, trials: int, seed: int) -> list[SimulatedTrial]:
    """A simulated search, its suggestions made cheaper."""
    with (
        patch.object(model, "ranked", partial(ranked, search=STEPS)),
        patch.object(process, "ALWAYS_REFIT", FITTED_FROM),
        patch.object(process, "REFIT_GROWTH", FITTED_AGAIN),
    ):
        return simulate("gpei", searched, fitted(landscape), trials, seed, options=OPTIONS)


def run(job: Job) -> tuple[str, dict[str, Any]]:
    """The job's key; regret in points after each training, and what the search saw."""
    import torch

    torch.set_num_threads(1)
    begun = time.process_time()
    searched = problem_on(job.on)
    if job.prior:
        source = job.on if job.prior in ("right", "shuffled", "negated") else job.prior
        title, trials = found_before(source, job.seed, 50)
        values = np.array([value for _, value in trials])
        if job.prior == "shuffled":
            values = np.random.default_rng(job.seed).permutation(values)
        elif job.prior == "negated":
            values = -values
        told = [(vector, float(value)) for (vector, _), value in zip(trials, values, strict=True)]
        lesson = lesson_of(title, told, searched.space)
        searched = replace(searched, lessons=(lesson,) if lesson else ())
    history = searching(searched, job.on, job.trials, job.seed)
    regret = 100 * (best_of(job.on) - incumbents(history))
    return job.key, {"regret": regret.tolist(), "processor seconds": time.process_time() - begun}


@cache
def found_before(landscape: str, seed: int, trials: int) -> tuple[str, list[tuple[dict[str, float], float]]]:
    """What a search of a landscape without a prior told itself, by a seed of its own."""
    history = searching(problem_on(landscape), landscape, trials, OTHERS + seed)
    return landscape, [(dict(each.vector), each.observed) for each in history if each.observed is not None]


def jobs_of(seeds: int, trials: int, pair_seeds: int) -> list[Job]:
    """Every search, seed by seed; those of one seed and landscape beside each other, since they share a prior."""
    found = []
    for seed in range(seeds):
        found += [Job(CIFAR, trials, seed, prior) for prior in ("", *KINDS)]
    names = [each.name for each in SETS if len(recordings(each.name)) >= 30]
    for seed in range(pair_seeds):
        found += [Job(name, trials, seed) for name in names]
        found += [Job(to, trials // 2, seed, prior) for prior, to in permutations(names, 2)]
    return found


def compared(with_prior: Sequence[Sequence[float]], without: Sequence[Sequence[float]], trials: int) -> dict[str, Any]:
    """Regrets of searches with and without a prior, each pair of one seed."""
    row: dict[str, Any] = {}
    for after in (trials // 2, trials):
        pairs = [(a[after - 1], b[after - 1]) for a, b in zip(with_prior, without, strict=True) if len(a) >= after]
        if pairs:
            row[f"after {after}"] = {
                "regret": spread([a for a, _ in pairs]),
                "regret without": spread([b for _, b in pairs]),
                "with minus without": asdict(mean_interval([a - b for a, b in pairs])),
            }
    halves = [a[trials // 2 - 1] - b[trials - 1] for a, b in zip(with_prior, without, strict=True)]
    row[f"after {trials // 2} minus without after {trials}"] = asdict(mean_interval(halves))
    return row


def correlations() -> dict[str, Any]:
    """Spearman's rank correlation of the mean accuracies of the vectors that two sets share."""
    means: dict[str, dict[tuple[float, ...], float]] = {}
    for each in SETS:
        found: dict[tuple[float, ...], list[float]] = {}
        for trial in read_pairs():
            if trial.data == each.name and trial.outcome == "completed":
                found.setdefault(tuple(trial.vector.values()), []).append(trial.top1)
        means[each.name] = {vector: float(np.mean(values)) for vector, values in found.items()}
    means["cifar100, 20 s"] = {tuple(each.vector.values()): each.top1 for each in recorded(real=False)}
    table = {}
    for first, second in [(a, b) for a, b in permutations(means, 2) if a < b]:
        shared = sorted(means[first].keys() & means[second].keys())
        if len(shared) >= 10:
            a, b = ([means[name][vector] for vector in shared] for name in (first, second))
            best = np.argsort(a)[-max(len(shared) // 3, 5) :]
            table[f"{first} and {second}"] = {
                "vectors": len(shared),
                "rank correlation": float(stats.spearmanr(a, b).statistic),
                "among the best third of the first": float(stats.spearmanr(np.array(a)[best], np.array(b)[best])[0]),
            }
    return table


def figures_of(journal: Journal, jobs: Sequence[Job], trials: int) -> dict[str, Any]:
    """What the searches that there are say."""
    found = {job: journal.once(job.key, dict)["regret"] for job in jobs if job.key in journal}
    figures: dict[str, Any] = {"surrogate": {"model": fitted(CIFAR).model, "noise": fitted(CIFAR).noise}}
    rows = problem_on(CIFAR).space.to_array([each.vector for each in recorded()])
    related = stats.spearmanr(fitted(CIFAR).accuracies(rows), fitted("related").accuracies(rows)).statistic
    figures["rank correlation of the related landscape"] = float(related)
    worst = []
    for kind in KINDS:
        pairs = [(Job(CIFAR, trials, job.seed), job) for job in found if (job.on, job.prior) == (CIFAR, kind)]
        pairs = [(cold, warm) for cold, warm in pairs if cold in found]
        if len(pairs) >= 2:
            row = compared([found[warm] for _, warm in pairs], [found[cold] for cold, _ in pairs], trials)
            figures[kind] = row
            worst += [row[f"after {after}"]["with minus without"]["mean"] for after in (trials // 2, trials)]
    if worst:
        figures["never worse"] = {"most lost": max(worst), "bar": MOST_LOST, "held": max(worst) <= MOST_LOST}
    figures["pairs"] = {"trainings": len(read_pairs()), "correlations": correlations(), "searches": {}}
    halves: list[float] = []
    for prior, to in permutations([each.name for each in SETS], 2):
        warm = [job for job in found if (job.on, job.prior) == (to, prior) and Job(to, trials, job.seed) in found]
        if len(warm) >= 2:
            differences = [found[job][-1] - found[Job(to, trials, job.seed)][-1] for job in warm]
            halves += differences
            figures["pairs"]["searches"][f"{to} from {prior}"] = asdict(mean_interval(differences))
    if len(halves) >= 2:
        figures["pairs"]["half as long with a prior minus without, all pairs"] = asdict(mean_interval(halves))
    return figures


def main() -> None:
    """Simulate what is missing, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pair-seeds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--for", dest="length", type=Budget.parse, default=Budget(1e6, "seconds"))
    parser.add_argument("--quick", action="store_true", help="one seed of short searches; its figures mean nothing")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.pair_seeds, given.trials = 2, 0, 12
    end = time.monotonic() + given.length.amount
    journal = Journal("search_prior", {"version": 1, "pairs": len(read_pairs()) if given.pair_seeds else 0})
    jobs = jobs_of(given.seeds, given.trials, given.pair_seeds)
    missing = [job for job in jobs if job.key not in journal]
    while missing and time.monotonic() < end:
        key, found = run(missing.pop(0))
        journal.once(key, lambda found=found: found)
    print(f"{len(missing)} searches are left.", flush=True)
    figures = figures_of(journal, jobs, given.trials)
    if given.quick:
        print(figures)
        return
    conditions = {
        "seeds": given.seeds,
        "pair seeds": given.pair_seeds,
        "trials": given.trials,
        "left": len(missing),
        "pool": OPTIONS["pool"],
        "pairs": PAIRS.name,
        "sets": {each.name: f"{each.seconds:g} s of a core at {each.resolution} pixels" for each in SETS},
    }
    write_record("search_prior", conditions=conditions, figures=figures)


if __name__ == "__main__":
    main()
