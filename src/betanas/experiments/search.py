"""Hypothesis 2: does model-based search find better networks than other strategies with the same number of trainings?

Searches are replayed on a surrogate of recorded trainings (`betanas.search.simulation`), where one takes seconds rather
than hours, so that every strategy can be run with many seeds. A strategy's regret is the surrogate's best accuracy
within the limits less the expected accuracy of the network that the search holds for the best; it sees noisy trainings,
and is judged without the noise.

What makes it fair:

- Every strategy has the same number of usable trainings. Candidates that turn out to be infeasible cost nothing, which
  errs on the side of the strategies that suggest them.
- Differences are paired: with one seed, the i-th training of every strategy has the same noise.
- One strategy is compared with several others, so each interval has a confidence of 1 - 0.05/others (Bonferroni): all
  of them hold together in 95 of 100 experiments.
- The surrogate knows nothing that was not recorded. Its cross-validated error is reported; a difference between
  strategies that is small against it says little.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from betanas.experiments.errors import ExperimentError
from betanas.experiments.folder import ExperimentFolder
from betanas.experiments.settings import StrategySettings
from betanas.experiments.statistics import Estimate, mean_of
from betanas.experiments.verdict import Verdict, above, all_of, in_words
from betanas.files import read_json
from betanas.search.feasibility import Problem, survey
from betanas.search.propose import get_strategy
from betanas.search.settings import Limits
from betanas.search.simulation.recording import read_recordings
from betanas.search.simulation.replay import incumbents, optimum, simulate
from betanas.search.simulation.surrogate import ReplaySurrogate, fit_surrogate
from betanas.spaces import get_space
from betanas.training.files import write_json

RULE = (
    "Supported where, against every other strategy, the whole interval of the mean paired difference in regret at the "
    "end lies on the strategy's side of zero; not supported where one lies on the other's side; otherwise undecided."
)

# A strategy is timed over this number of suggestions before the plan is shown: `gpei` has a model after 16 in thirteen
# dimensions.
_TIMED_TRIALS = 18

# Suggestions in all for each usable one: the report's procedure wastes most of its own.
_SUGGESTIONS = 50

_FREE = ("seeds", "jobs", "recordings")


@dataclass(frozen=True, eq=False)
class StrategyPlan:
    """An experiment that has passed every check.

    Attributes:
        settings: what was asked for.
        folder: where it is kept.
        problem: what is searched.
        surrogate: stands for training.
        derived: what the folder remembers beside the settings.
    """

    settings: StrategySettings
    folder: ExperimentFolder
    problem: Problem
    surrogate: ReplaySurrogate
    derived: Mapping[str, Any]

    @property
    def estimated_seconds(self) -> float:
        """About how long all of it takes, from nothing; suggestions become slower as a search goes on."""
        a_trial = sum(self.derived["seconds_a_trial"][name] for name in self.settings.strategies)
        return float(a_trial) * self.settings.trials * self.settings.seeds / self.settings.jobs

    @property
    def searches(self) -> int:
        """How many searches are simulated."""
        return len(self.settings.strategies) * self.settings.seeds

    def lines(self) -> list[str]:
        """The plan for a person."""
        asked, model = self.settings, self.surrogate
        error = model.errors[model.model]
        return [
            f"{asked.strategy} against {', '.join(asked.against)}: {asked.seeds} searches of {asked.trials} usable "
            f"trainings each",
            f"surrogate: {model.model} on {model.recordings} recorded trainings, cross-validated error "
            f"{100 * error.rmse:.2f} points, rank correlation {error.rank_correlation:.2f}, training noise "
            f"{100 * model.noise:.2f} points",
        ]


@dataclass(frozen=True, slots=True)
class SimulatedSearch:
    """One search on the surrogate.

    Attributes:
        strategy, seed: of the search.
        held: after each usable training, the expected accuracy of what the search holds for the best.
        wall: simulated seconds at the end of each, the real seconds of the suggestions included.
    """

    strategy: str
    seed: int
    held: tuple[float, ...]
    wall: tuple[float, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SimulatedSearch:
        """Read what `dataclasses.asdict` wrote."""
        return cls(data["strategy"], int(data["seed"]), tuple(data["held"]), tuple(data["wall"]))


def plan_strategies(settings: StrategySettings, folder: Path) -> StrategyPlan:
    """Check everything, fit the surrogate and time the strategies; writes nothing.

    Raises:
        UserError: something about it cannot work.
    """
    _check(settings)
    place = ExperimentFolder(folder, "search")
    read_recordings(Path(settings.recordings))
    digest = hashlib.sha256(Path(settings.recordings).read_bytes()).hexdigest()
    known = place.derived({**asdict(settings), "recordings_digest": digest}, free=_FREE)
    problem = _problem(settings)
    survey(problem).require()
    for name in settings.strategies:
        get_strategy(name)(problem, seed=0)  # an unknown or unusable one is refused here
    surrogate = _surrogate(replace(settings, seeds=1, jobs=1), digest)
    derived = known or {
        "recordings_digest": digest,
        "optimum": optimum(problem, surrogate),
        "seconds_a_trial": {
            name: _seconds_a_trial(name, problem, surrogate, min(settings.trials, _TIMED_TRIALS))
            for name in settings.strategies
        },
        "surrogate": {
            "model": surrogate.model,
            "recordings": surrogate.recordings,
            "noise": surrogate.noise,
            "errors": {name: asdict(error) for name, error in surrogate.errors.items()},
        },
    }
    return StrategyPlan(settings, place, problem, surrogate, derived)


def run_strategies(plan: StrategyPlan, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Simulate what has not been simulated yet, and conclude.

    Args:
        plan: what to do.
        tell: told a line about every search.

    Returns:
        The result, as the folder's `results.json` holds it.
    """
    settings, best = plan.settings, float(plan.derived["optimum"])
    identity = {**asdict(settings), "recordings_digest": plan.derived["recordings_digest"]}
    with plan.folder.held():
        plan.folder.begin(identity, plan.derived)
        found: dict[tuple[str, int], SimulatedSearch] = {}
        for number, one in enumerate(_simulate_all(plan), start=1):
            found[one.strategy, one.seed] = one
            regret = 100 * (best - one.held[-1])
            tell(f"{number} of {plan.searches}: {one.strategy}, seed {one.seed}: regret {regret:.2f} points")
        ordered = [found[name, seed] for name in settings.strategies for seed in range(settings.seeds)]
        findings = conclude_strategies(ordered, settings.strategy, settings.against, optimum=best)
        return plan.folder.finish(
            identity,
            {
                "title": f"{settings.strategy} against other strategies",
                "hypothesis": "Model-based search beats other strategies (hypothesis 2).",
                "derived": plan.derived,
                "searches": [asdict(one) for one in ordered],
                **asdict(findings),
            },
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """The other strategy's regret less that of the one in question, in points of accuracy, at the end.

    Attributes:
        other: the other strategy.
        interval: of the mean over seeds; positive where the strategy in question is better.
        confidence: of the interval.
        better: part of the seeds in which it is.
        share: median over seeds of the part of its trainings after which it holds what the other holds at the end; None
            where most searches never do.
        reached: seeds in which it does.
    """

    other: str
    interval: Estimate
    confidence: float
    better: float
    share: float | None
    reached: int


@dataclass(frozen=True, slots=True)
class StrategyFindings:
    """What the searches say; `regrets` in points, the mean of each strategy over seeds at the end."""

    regrets: Mapping[str, Estimate]
    differences: tuple[Difference, ...]
    verdicts: tuple[Verdict, ...]


def conclude_strategies(
    searches: Sequence[SimulatedSearch], strategy: str, against: Sequence[str], *, optimum: float
) -> StrategyFindings:
    """Regrets, paired differences and the verdict."""
    by_name = {
        name: {one.seed: np.array(one.held) for one in searches if one.strategy == name}
        for name in (strategy, *against)
    }
    regrets = {
        name: {seed: 100 * (optimum - held[-1]) for seed, held in runs.items()} for name, runs in by_name.items()
    }
    confidence = 1 - 0.05 / len(against)
    differences = []
    for other in against:
        seeds = sorted(set(regrets[strategy]) & set(regrets[other]))
        gaps = [float(regrets[other][seed] - regrets[strategy][seed]) for seed in seeds]
        shares = [_share_needed(by_name[strategy][seed], float(by_name[other][seed][-1])) for seed in seeds]
        median = float(np.median(shares))
        differences.append(
            Difference(
                other=other,
                interval=mean_of(gaps, confidence),
                confidence=confidence,
                better=sum(gap > 0 for gap in gaps) / len(gaps),
                share=median if np.isfinite(median) else None,
                reached=int(np.isfinite(shares).sum()),
            )
        )
    verdict = Verdict(
        question=f"Does {strategy} end with less regret than {' and '.join(against)}?",
        rule=RULE,
        answer=all_of([above(each.interval, 0.0) for each in differences]),
        because="Less regret, in points of accuracy: "
        + "; ".join(f"{in_words(each.interval)} than {each.other}" for each in differences)
        + f" (n = {differences[0].interval.n}, {100 * confidence:.3g}% intervals).",
    )
    means = {name: mean_of([float(value) for value in runs.values()]) for name, runs in regrets.items()}
    return StrategyFindings(means, tuple(differences), (verdict,))


def _share_needed(held: np.ndarray[Any, np.dtype[np.float64]], target: float) -> float:
    """The part of a search after which it holds as good a network; infinite where it never does."""
    reached = np.flatnonzero(held >= target)
    return float((reached[0] + 1) / len(held)) if len(reached) else float("inf")


def _check(settings: StrategySettings) -> None:
    names = settings.strategies
    if len(set(names)) < len(names):
        raise ExperimentError(
            "A strategy is compared with one or more others.",
            value=f"{settings.strategy} against {', '.join(settings.against) or 'none'}",
            hint="Type, for example, --strategy gpei --against random,sobol.",
        )


def _seconds_a_trial(name: str, problem: Problem, surrogate: ReplaySurrogate, trials: int) -> float:
    """The last suggestion's seconds, and what the surrogate takes beside it."""
    started = time.perf_counter()
    history = simulate(name, problem, surrogate, trials, seed=0)
    whole = time.perf_counter() - started
    asking = [each.asking_seconds for each in history]
    return asking[-1] + (whole - sum(asking)) / len(history)


def _simulate_all(plan: StrategyPlan) -> Iterator[SimulatedSearch]:
    """Every search as it is known: stored ones first, then each as it ends. Seeds are the outer loop."""
    jobs = []
    for seed in range(plan.settings.seeds):
        for name in plan.settings.strategies:
            file = plan.folder.path / "searches" / f"{name}-{seed}.json"
            if file.exists():
                yield SimulatedSearch.from_dict(read_json(file))
            else:
                jobs.append((file, name, seed))
    fixed = (replace(plan.settings, seeds=1, jobs=1), plan.derived["recordings_digest"])
    if plan.settings.jobs == 1:
        for file, name, seed in jobs:
            yield _kept(file, _simulate_one(name, seed, *fixed))
        return
    with ProcessPoolExecutor(plan.settings.jobs, mp_context=get_context("spawn")) as pool:
        try:
            futures = {pool.submit(_simulate_one, name, seed, *fixed): file for file, name, seed in jobs}
            for future in as_completed(futures):
                yield _kept(futures[future], future.result())
        finally:
            pool.shutdown(cancel_futures=True)


def _kept(file: Path, one: SimulatedSearch) -> SimulatedSearch:
    write_json(file, asdict(one))
    return one


def _problem(settings: StrategySettings) -> Problem:
    return Problem(
        get_space(settings.space, settings.preset, blocks=settings.blocks),
        settings.resolution,
        settings.classes,
        settings.channels,
        settings.batch_size,
        limits=Limits(params=settings.max_params, macs=settings.max_macs, lookahead=settings.lookahead),
    )


@lru_cache(maxsize=1)
def _surrogate(settings: StrategySettings, digest: str) -> ReplaySurrogate:
    """Fitted once in each process; the digest tells recordings apart that share a file's name."""
    return fit_surrogate(_problem(settings), read_recordings(Path(settings.recordings)), noise=settings.noise)


def _simulate_one(name: str, seed: int, settings: StrategySettings, digest: str) -> SimulatedSearch:
    trials, surrogate = settings.trials, _surrogate(settings, digest)
    history = simulate(name, _problem(settings), surrogate, _SUGGESTIONS * trials, seed, usable=trials)
    usable = np.array([trial.observed is not None for trial in history])
    if not usable.any():
        raise ExperimentError("A search must find a feasible candidate.", value=f"{name}, seed {seed}")
    clock = np.array([trial.ended for trial in history]) + np.cumsum([trial.asking_seconds for trial in history])
    held, wall = incumbents(history)[usable][:trials].tolist(), clock[usable][:trials].tolist()
    # A space that is exhausted early leaves the search with what it holds.
    missing = trials - len(held)
    return SimulatedSearch(name, seed, (*held, *held[-1:] * missing), (*wall, *wall[-1:] * missing))
