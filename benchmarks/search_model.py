"""How well Gaussian processes predict real trials: of parameters alone, and with a view of what networks look like.

    python benchmarks/search_model.py [--recordings data/replay_cifar100_r32.jsonl] [--splits 20] [--trained 8 16 32 64]

On the recorded CIFAR-100 trials of each preset, each vector once: the process is fitted to some of them and asked
about all others, over random splits that all variants share. The third variant has the squared exponential kernel,
BoTorch's default, in place of Matern's. Stated for each: Spearman's correlation of predicted and real accuracies, the
error in points of accuracy, the mean accuracy of the five networks predicted best, and the logarithm of the predictive
density of a real result on the process's scale, which is low where it is sure and wrong.
No search and no surrogate of training is involved, only accuracies that networks really reached.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.settings import validate_input_scaling
from gpytorch.mlls import ExactMarginalLogLikelihood
from scipy import stats

from _record import spread, write_record
from _replay import PRESETS, RECORDINGS, problem
from betanas.blueprint import FloatArray
from betanas.search.feasibility import Problem
from betanas.search.propose.gpei import GpeiOptions
from betanas.search.propose.gpei.network import NetworkView
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import Fitter, Process, kernel_inputs
from betanas.search.propose.screened import FeasibleStream, sobol_draw
from betanas.search.simulation.recording import Recording, read_recordings

LEADERS = 5
Fit = Callable[[FloatArray, FloatArray], Process]


def recorded(asked: Problem, recordings: list[Recording]) -> tuple[FloatArray, FloatArray]:
    """Points of a preset's unit cube with the accuracies they reached, each vector once. Shapes [n, d], [n]."""
    points = asked.space.to_unit(asked.space.to_array(each.vector for each in recordings))
    accuracies = np.array([each.top1 for each in recordings])
    inside = ((points >= 0.0) & (points <= 1.0)).all(axis=1)
    points, accuracies = points[inside], accuracies[inside]
    _, first = np.unique(points.round(9), axis=0, return_index=True)
    return points[first], accuracies[first]


def squared_exponential(points: FloatArray, scaled: FloatArray, view: NetworkView) -> Process:
    """BoTorch's default process of the same inputs."""
    with validate_input_scaling(False):
        inputs = torch.as_tensor(kernel_inputs(points, view))
        model = SingleTaskGP(inputs, torch.as_tensor(scaled)[:, None], outcome_transform=None)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return Process(model.eval(), view)


def assess(
    points: FloatArray,
    accuracies: FloatArray,
    trained: int,
    split: int,
    fit: Fit,
) -> dict[str, float]:
    """One fit and its predictions of everything else."""
    order = np.random.default_rng((split, trained)).permutation(len(points))
    known, asked = order[:trained], order[trained:]
    scale = OutcomeScale.fit(accuracies[known])
    process = fit(points[known], scale.forward(accuracies[known]))
    mean, deviation = process.predict(points[asked])
    density = stats.norm.logpdf(scale.forward(accuracies[asked]), mean, np.hypot(deviation, process.noise))
    return {
        "rank correlation": float(stats.spearmanr(mean, accuracies[asked]).statistic),
        "error in points": 100 * float(np.sqrt(((scale.backward(mean) - accuracies[asked]) ** 2).mean())),
        f"accuracy of the {LEADERS} predicted best": 100 * float(accuracies[asked][np.argsort(-mean)[:LEADERS]].mean()),
        "log density": float(density.mean()),
    }


def fits(view: NetworkView) -> dict[str, Fit]:
    """What is compared: functions of points and scaled values that return a fitted process."""
    return {
        "parameters": Fitter().process,
        "parameters and network": Fitter(view).process,
        "parameters and network, squared exponential": partial(squared_exponential, view=view),
    }


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--trained", type=int, nargs="+", default=[8, 16, 32, 64])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    recordings = read_recordings(arguments.recordings)
    figures: dict[str, object] = {}
    for preset in PRESETS:
        asked = problem(preset)
        points, accuracies = recorded(asked, recordings)
        pool = FeasibleStream(asked, sobol_draw(len(asked.space.free), (0, 1))).first(GpeiOptions().pool)
        compared = fits(NetworkView.over(asked, pool))
        for trained in arguments.trained:
            for name, fit in compared.items():
                found = [assess(points, accuracies, trained, split, fit) for split in range(arguments.splits)]
                figures[f"{preset}, {len(points)} trials, {trained} trained: {name}"] = {
                    measure: spread([one[measure] for one in found]) for measure in found[0]
                }
    write_record(
        "search_model",
        conditions={"splits": arguments.splits, "recordings": arguments.recordings.name},
        figures=figures,
    )


if __name__ == "__main__":
    main()
