"""What `--prior` is worth where every answer is a real training: searches among the recorded CIFAR-100 trials.

    python benchmarks/search_prior_table.py [--seeds 10] [--trainings 50] [--quick]

The recorded trials (`_replay.py`, the real searches included) are divided in two by a seed. The other study is a search
of --trainings trials among one part, the search one among the other part; neither trains anything, each asks for what
was recorded. Nothing stands between, such as a surrogate: the price is that there are a few hundred networks to choose
from. What the other study found is

- right: the accuracies after the same 20 s;
- related: those after a third of it, another budget as it were;
- shuffled: the right ones dealt out anew among its vectors, so that they say nothing;
- negated: the right ones turned round, so that they say the opposite.

Both are made of `gpei`'s own parts: its process, its view of networks, its expected improvement, as many results before
the model as it has; only its search for the best candidate is replaced by a look at all. Hyper-parameters are fitted
anew whenever there are a quarter more results. Regret is the part's best accuracy less the best found, in points; means
of the same seeds with 95% intervals. The bars: no more than 0.5 points worse than without, whatever the prior; with a
right or related one, half the trainings for the regret of a search that began with nothing.

Interrupted, it goes on where it was; a record is written of the seeds that there are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from _record import spread, write_record
from _replay import problem, recorded
from _training import Journal
from betanas.blueprint import FloatArray
from betanas.intervals import mean_interval
from betanas.search.feasibility import Problem
from betanas.search.lessons import Lesson, lesson_of
from betanas.search.propose.gpei import process as process_module
from betanas.search.propose.gpei.acquisition import expected_improvement
from betanas.search.propose.gpei.experience import Experience
from betanas.search.propose.gpei.model import Model
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.strategy import INITIAL_WITH_LESSONS, SOBOL_BEYOND_PARAMETERS
from betanas.search.simulation.recording import as_curve
from betanas.search.stopping import accuracy_at

KINDS = ("right", "related", "shuffled", "negated")
MOST_LOST = 0.5
FITTED_FROM, FITTED_AGAIN = 8, 1.25
NOTHING = np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Table:
    """Networks that were trained.

    Attributes:
        points: of the unit cube of preset default, shape [n, d].
        values: accuracies after the whole budget, shape [n].
        early: after a third of it; NaN where no curve was recorded.
    """

    points: FloatArray
    values: FloatArray
    early: FloatArray

    def part(self, places: Sequence[int]) -> Table:
        """Some of them."""
        chosen = np.array(places)
        return Table(self.points[chosen], self.values[chosen], self.early[chosen])


@cache
def table() -> Table:
    """Every vector that was recorded, once, with its mean accuracy."""
    found: dict[tuple[float, ...], list[tuple[float, float]]] = {}
    for each in recorded():
        early = accuracy_at(as_curve(each.curve), each.training_seconds / 3) if len(each.curve) > 1 else float("nan")
        found.setdefault(tuple(each.vector[name] for name in searched().space.parameters), []).append(
            (each.top1, early)
        )
    means = np.array([np.mean(values, axis=0) for values in found.values()])
    return Table(searched().space.to_unit(np.array(list(found))), means[:, 0], means[:, 1])


@cache
def searched() -> Problem:
    """What was searched; vectors of the other preset lie beyond its ranges."""
    return problem("default")


@cache
def view() -> NetworkView:
    """What the networks look like, worked out once."""
    return NetworkView.over(searched(), searched().space.from_unit(table().points))


def search(among: Table, trainings: int, seed: int, lesson: Lesson | None = None) -> list[int]:
    """The places that a search asks about, in turn."""
    draws = np.random.default_rng(seed).permutation(len(among.values)).tolist()
    experience = None if lesson is None else Experience.of(searched(), (lesson,), view())
    model = Model(among.points, lambda points: np.ones(len(points), dtype=np.bool_), view(), experience)
    initial = len(searched().space.free) + SOBOL_BEYOND_PARAMETERS if experience is None else INITIAL_WITH_LESSONS
    tried: list[int] = []
    while len(tried) < trainings:
        scores = None
        if len(tried) < initial:
            if experience is not None and len(tried) % 2 == 0:
                scores = experience.expecting(0, among.points[tried])(among.points)
        else:
            process, _ = model._fit(among.points[tried], among.values[tried])
            scores = expected_improvement(process, among.points[tried], NOTHING)(among.points)
        order = draws if scores is None else np.argsort(-scores, kind="stable").tolist()
        tried.append(next(place for place in order if place not in set(tried)))
    return tried


def taught(other: Table, kind: str, trainings: int, seed: int) -> Lesson:
    """What a study of the other part found."""
    if kind == "related":
        known = other.part(np.flatnonzero(np.isfinite(other.early)).tolist())
        other = replace(known, values=known.early)
    places = search(other, trainings, 1000 + seed)
    values = other.values[places]
    if kind == "shuffled":
        values = np.random.default_rng(seed).permutation(values)
    elif kind == "negated":
        values = -values
    space = searched().space
    vectors = [space.to_vector(row) for row in space.from_unit(other.points[places])]
    lesson = lesson_of(kind, list(zip(vectors, values.tolist(), strict=True)), space)
    if lesson is None:
        raise RuntimeError("the other study found too little")
    return lesson


def regrets(seed: int, trainings: int) -> dict[str, list[float]]:
    """Regret after each training, without a prior and with each kind."""
    order = np.random.default_rng(seed).permutation(len(table().values)).tolist()
    half = len(order) // 2
    other, own = table().part(order[:half]), table().part(order[half:])
    found = {}
    for kind in ("none", *KINDS):
        lesson = None if kind == "none" else taught(other, kind, trainings, seed)
        values = own.values[search(own, trainings, seed, lesson)]
        found[kind] = (100 * (own.values.max() - np.maximum.accumulate(values))).tolist()
    return found


def main() -> None:
    """Search, compare, and write the record."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trainings", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="one short seed; its figures mean nothing")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.trainings = 1, 20
    torch.set_num_threads(1)
    settings = {
        "version": 1,
        "trainings": given.trainings,
        "weight": [process_module.TREND, process_module.TREND_DEVIATION],
    }
    journal = Journal("search_prior_table", settings)
    with (
        patch.object(process_module, "ALWAYS_REFIT", FITTED_FROM),
        patch.object(process_module, "REFIT_GROWTH", FITTED_AGAIN),
    ):
        runs = [
            journal.once(f"seed {seed}", lambda seed=seed: regrets(seed, given.trainings))
            for seed in range(given.seeds)
        ]
    figures: dict[str, Any] = {"networks": len(table().values)}
    places = (given.trainings // 4, given.trainings // 2, given.trainings)
    figures["none"] = {f"after {after}": spread([run["none"][after - 1] for run in runs]) for after in places}
    most = []
    for kind in KINDS:
        row: dict[str, Any] = {}
        for after in places:
            differences = [run[kind][after - 1] - run["none"][after - 1] for run in runs]
            row[f"after {after}"] = {
                "regret": spread([run[kind][after - 1] for run in runs]),
                "with minus without": asdict(mean_interval(differences)),
            }
            most.append(float(np.mean(differences)))
        for after in places[:2]:
            halves = [run[kind][after - 1] - run["none"][2 * after - 1] for run in runs]
            row[f"after {after} minus without after {2 * after}"] = asdict(mean_interval(halves))
        figures[kind] = row
    figures["never worse"] = {"most lost": max(most), "bar": MOST_LOST, "held": max(most) <= MOST_LOST}
    if given.quick:
        print(figures)
        return
    write_record("search_prior_table", conditions={"seeds": given.seeds, "trainings": given.trainings}, figures=figures)


if __name__ == "__main__":
    main()
