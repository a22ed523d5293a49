"""What early stopping saves and costs, on recorded CIFAR-100 trials.

    python benchmarks/search_stopping.py [--recordings data/replay_cifar100_r32.jsonl] [--size 100] [--tuning 40]
                                         [--searches 500] [--quick]

The recorded vectors are split at random into two halves. On one half the rule's settings are chosen: of a grid, those
that save most seconds while the mean loss stays within half the bar. On the other half, which the choice has not seen,
they are measured: --searches searches of --size trials each, drawn without replacement and in random order, each trial
with its recorded curve at its recorded evaluations. Then the halves change places, so that both are reported; beside
them, what the rule's defaults do. Bars: at least 40% of the training seconds saved for at most 0.2 points of accuracy
in the best network found. Intervals: of the mean, by the bootstrap over searches; they say how much the order and the
draw matter, not how much other networks than the recorded ones would.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

from _record import write_record
from _replay import RECORDINGS
from betanas.search.simulation.recording import Recording, read_recordings
from betanas.search.simulation.stopped import RecordedCurves, StoppedSearch
from betanas.search.stopping import StoppingRule

SAVED_BAR, LOST_BAR = 0.40, 0.2

# Half of the bar: what is best on one half of the recordings is worse on the other.
TUNED_LOSS = LOST_BAR / 2

GRID: dict[str, tuple[float, ...]] = {
    "earliest": (0.15, 0.3, 0.45),
    "confidence": (0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
    "leaders": (1, 3, 5),
}


def searches(curves: RecordedCurves, rule: StoppingRule, size: int, count: int, seed: int) -> list[StoppedSearch]:
    """A number of searches, each over trials of its own in an order of its own; the same for every rule."""
    found = []
    for number in range(count):
        generator = np.random.default_rng((seed, number))
        order = generator.permutation(len(curves))[:size].tolist()
        found.append(curves.replay(replace(rule, seed=number), order))
    return found


def tuned(curves: RecordedCurves, budget: float, size: int, count: int) -> StoppingRule:
    """The rule of the grid that saves most for a small mean loss; the most careful one where none loses so little."""
    outcomes = []
    for earliest, confidence, leaders in product(*GRID.values()):
        rule = StoppingRule(budget, earliest=earliest, confidence=confidence, leaders=int(leaders))
        runs = searches(curves, rule, size, count, seed=1)
        saved, lost = (float(np.mean([getattr(run, name) for run in runs])) for name in ("saved", "lost"))
        outcomes.append((saved, 100 * lost, rule))
    careful = [outcome for outcome in outcomes if outcome[1] <= TUNED_LOSS]
    if careful:
        return max(careful, key=lambda outcome: outcome[0])[2]
    return min(outcomes, key=lambda outcome: outcome[1])[2]


def summary(runs: Sequence[StoppedSearch]) -> dict[str, object]:
    """Means with intervals, and the worst of it."""
    saved = np.array([run.saved for run in runs])
    lost = 100 * np.array([run.lost for run in runs])
    return {
        "saved": {"mean": float(saved.mean()), "interval": interval(saved)},
        "lost points": {
            "mean": float(lost.mean()),
            "interval": interval(lost),
            "median": float(np.median(lost)),
            "95th percentile": float(np.percentile(lost, 95)),
            "searches without a loss": float((lost <= 0).mean()),
        },
        "stopped": float(np.mean([run.stopped / run.trials for run in runs])),
        "keeps the bars": bool(saved.mean() >= SAVED_BAR and lost.mean() <= LOST_BAR),
    }


def interval(values: np.ndarray) -> list[float]:
    """95% bootstrap interval of the mean."""
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    found = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return [float(found.low), float(found.high)]


def halves(recordings: Sequence[Recording]) -> tuple[list[Recording], list[Recording]]:
    """Two random halves of the vectors, each vector with its first training alone."""
    firsts: dict[tuple[float, ...], Recording] = {}
    for each in recordings:
        firsts.setdefault(tuple(each.vector.values()), each)
    kept = list(firsts.values())
    order = np.random.default_rng(0).permutation(len(kept))
    middle = len(kept) // 2
    return [kept[place] for place in order[:middle]], [kept[place] for place in order[middle:]]


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--size", type=int, default=100, help="trials of a search")
    parser.add_argument("--tuning", type=int, default=40, help="searches for each rule of the grid")
    parser.add_argument("--searches", type=int, default=500, help="searches that are reported")
    parser.add_argument("--quick", action="store_true", help="few searches, and no record")
    given = parser.parse_args()
    if given.quick:
        given.size, given.tuning, given.searches = 40, 2, 10
    recordings = read_recordings(given.recordings)
    budget = float(np.median([each.training_seconds for each in recordings]))
    parts = [RecordedCurves(half) for half in halves(recordings)]
    figures: dict[str, object] = {}
    for name, (learning, reporting) in {"first half": parts, "second half": parts[::-1]}.items():
        rule = tuned(learning, budget, given.size, given.tuning)
        figures[f"tuned on the {name}, measured on the other"] = {
            "rule": asdict(rule),
            "trials tuned on": len(learning),
            "trials measured on": len(reporting),
            **summary(searches(reporting, rule, given.size, given.searches, seed=2)),
        }
        figures[f"the defaults, measured on the same as tuned on the {name}"] = {
            "rule": asdict(StoppingRule(budget)),
            **summary(searches(reporting, StoppingRule(budget), given.size, given.searches, seed=2)),
        }
    if given.quick:
        print(figures)
        return
    conditions = {
        "recordings": given.recordings.name,
        "trials of a search": given.size,
        "searches": given.searches,
        "searches for each rule of the grid": given.tuning,
        "grid": GRID,
        "budget": budget,
        "bars": f"{SAVED_BAR:.0%} saved, {LOST_BAR} points lost",
    }
    write_record("search_stopping", conditions=conditions, figures=figures)


if __name__ == "__main__":
    main()
