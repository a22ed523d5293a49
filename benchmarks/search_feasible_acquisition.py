"""Which way of maximising expected improvement over feasible candidates reaches most, and how long each takes.

    python benchmarks/search_feasible_acquisition.py [--repeats 5] [--observations 100 400]

Compared on preset table1 at 224 pixels with 30M parameters there and 50M at 384, 15 parameters, on the same fitted
processes of the parameters alone (what a network looks like, which `gpei` shows its process beside them, comes from
whole numbers of channels and has no gradient to compare): the screened pool alone; the pool and shrinking random steps
(what `gpei` does); the pool and L-BFGS ascents from its best points, cut back along their line to the best feasible
point; and BoTorch's nonlinear constraints (SLSQP), where the excess over the limits, a step function, is differentiated
numerically. Two landscapes: one whose best lies inside the feasible part, and one in which larger networks are better,
so that it lies at the limit.

The gain is the logarithm of the expected improvement reached, less the pool's: 0.7 is twice the improvement. Timings
are ratios to the pool's within one run. The last row scores the pool by BoTorch's noisy expected improvement, for its
cost alone.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.exceptions.errors import CandidateGenerationError
from botorch.optim import optimize_acqf
from torch import Tensor

from _objectives import bumpy_accuracy
from _record import spread, write_record
from betanas.blueprint import FloatArray
from betanas.search.feasibility import Problem
from betanas.search.propose.gpei.acquisition import expected_improvement
from betanas.search.propose.gpei.local_search import ranked
from betanas.search.propose.gpei.outcome import OutcomeScale
from betanas.search.propose.gpei.process import Fitter
from betanas.search.propose.gpei.threads import capped_threads
from betanas.search.propose.screened import FeasibleStream, sobol_draw
from betanas.search.settings import Limits
from betanas.spaces import get_space

POOL = 8192
STARTS = 8
NOISE = 0.006
DIFFERENCE = 0.02  # of a parameter's range: below it most channels do not change, and the difference is zero
LANDSCAPES = ("inside", "at the limit")
LIMITS = Limits(params=30_000_000, lookahead=((384, 50_000_000),))
PROBLEM = Problem(get_space("betanet3", "table1"), 224, 100, 3, 100, limits=LIMITS)
DIMENSIONS = len(PROBLEM.space.free)
BOUNDS = torch.stack([torch.zeros(DIMENSIONS), torch.ones(DIMENSIONS)]).double()


def feasible(points: FloatArray) -> np.ndarray:
    """Which points of the unit cube keep the limits."""
    return PROBLEM.feasible(PROBLEM.space.from_unit(points))


def margin(points: FloatArray) -> FloatArray:
    """How far points stay below the limits: minus the logarithm of the largest demand."""
    return -np.log(np.max(list(PROBLEM.demands(PROBLEM.space.from_unit(points)).values()), axis=0))


class Margin(torch.autograd.Function):
    """The margin of one point, differentiated numerically."""

    @staticmethod
    def forward(context, point: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """The margin."""
        context.save_for_backward(point)
        return torch.as_tensor(margin(point.detach().numpy().reshape(1, -1))[0])

    @staticmethod
    def backward(context, upstream: Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Central differences."""
        (point,) = context.saved_tensors
        steps, base = DIFFERENCE * np.eye(len(point)), point.detach().numpy().reshape(1, -1)
        above, below = np.split(margin(np.clip(np.concatenate([base + steps, base - steps]), 0.0, 1.0)), 2)
        return upstream * torch.as_tensor((above - below) / (2 * DIFFERENCE))


class Case:
    """One fitted process with its acquisition function, and the ways to maximise it: each returns a point."""

    def __init__(self, landscape: str, observations: int, seed: int) -> None:
        space = PROBLEM.space
        points = space.to_unit(FeasibleStream(PROBLEM, sobol_draw(DIMENSIONS, seed)).first(observations))
        values = bumpy_accuracy(points) + NOISE * np.random.default_rng(seed).standard_normal(observations)
        if landscape == "at the limit":
            values = values - 0.1 * margin(points)
        self.points = points
        self.process = Fitter().process(points, OutcomeScale.fit(values).forward(values))
        self.score = expected_improvement(self.process, points, points[:0])
        self.pool = space.to_unit(FeasibleStream(PROBLEM, sobol_draw(DIMENSIONS, (seed, 1))).first(POOL))

    def starts(self) -> FloatArray:
        """The pool's best."""
        return self.pool[np.argsort(-self.score(self.pool), kind="stable")[:STARTS]]

    def from_pool(self) -> FloatArray:
        """The pool alone."""
        return self.starts()[0]

    def by_steps(self) -> FloatArray:
        """Random steps from the pool's best."""
        return ranked(self.score, self.pool, feasible, np.random.default_rng(0))[0]

    def by_gradients(self) -> FloatArray:
        """Unconstrained ascents from the pool's best, cut back."""
        starts = self.starts()
        ends = self._optimise(starts, return_best_only=False)[:, 0].numpy()
        line = np.linspace(0.0, 1.0, 33)[:, None, None]
        between = (starts + line * (ends - starts)).reshape(-1, DIMENSIONS)
        between = between[feasible(between)]
        return between[np.argmax(self.score(between))]

    def by_constraints(self) -> FloatArray | None:
        """Constrained ascents from the pool's best; None where BoTorch gives up, all of them ending infeasible."""
        try:
            return self._optimise(self.starts(), nonlinear_inequality_constraints=[(Margin.apply, True)])[0].numpy()
        except CandidateGenerationError:
            return None

    def noisy(self) -> None:
        """Score the pool by noisy expected improvement."""
        acquisition = qLogNoisyExpectedImprovement(
            self.process.model, torch.as_tensor(self.points), prune_baseline=True
        )
        with torch.no_grad():
            for block in torch.split(torch.as_tensor(self.pool), 512):
                acquisition(block.unsqueeze(-2))

    def _optimise(self, starts: FloatArray, **more: object) -> Tensor:
        best = torch.as_tensor(self.process.predict(self.points)[0].max())
        ends, _ = optimize_acqf(
            LogExpectedImprovement(self.process.model, best),
            BOUNDS,
            q=1,
            num_restarts=STARTS,
            batch_initial_conditions=torch.as_tensor(starts)[:, None],
            options={"maxiter": 50, "batch_limit": 1 if "nonlinear_inequality_constraints" in more else STARTS},
            **more,
        )
        return ends


def timed(way: Callable[[], FloatArray | None]) -> tuple[float, FloatArray | None]:
    """Seconds, and what the way returns."""
    start = time.perf_counter()
    point = way()
    return time.perf_counter() - start, point


def measure(landscape: str, observations: int, repeats: int) -> dict[str, dict[str, object]]:
    """Gains and times of every way."""
    gains: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    for seed in range(repeats):
        case = Case(landscape, observations, seed)
        base, pool_point = timed(case.from_pool)
        reference = float(case.score(np.array(pool_point)[None])[0])
        ways = {"steps": case.by_steps, "gradients": case.by_gradients, "constraints": case.by_constraints}
        for name, way in ways.items():
            seconds, point = timed(way)
            fits = point is not None and bool(feasible(point[None])[0])
            gains.setdefault(name, []).append(float(case.score(point[None])[0]) - reference if fits else np.nan)
            ratios.setdefault(name, []).append(seconds / base)
        ratios.setdefault("noisy EI", []).append(timed(partial(case.noisy))[0] / base)
    figures: dict[str, dict[str, object]] = {}
    for name, ratio in ratios.items():
        figures[name] = {"time_over_pool": spread(ratio)}
        if name in gains:
            valid = [gain for gain in gains[name] if np.isfinite(gain)]
            figures[name] |= {"gain": spread(valid) if valid else None, "infeasible": len(gains[name]) - len(valid)}
    return figures


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--observations", type=int, nargs="+", default=[100, 400])
    arguments = parser.parse_args()
    with capped_threads(2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figures = {
            f"{landscape}, {count} observations": measure(landscape, count, arguments.repeats)
            for landscape in LANDSCAPES
            for count in arguments.observations
        }
    conditions = {"preset": "table1", "resolution": 224, "limits": "30M, 50M at 384", "pool": POOL, "threads": 2}
    write_record("search_feasible_acquisition", conditions=conditions, figures=figures)


if __name__ == "__main__":
    main()
