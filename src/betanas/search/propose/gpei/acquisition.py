"""Expected improvement that knows noise and pending trials, maximised over feasible candidates, as Ax components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, cast

import numpy as np
import torch
from ax.core.search_space import SearchSpaceDigest
from ax.generators.torch.botorch_modular.acquisition import Acquisition
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.acquisition.input_constructors import acqf_input_constructor
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from torch import Tensor

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.climb import Climb, Screen, ranked
from betanas.search.propose.gpei.front import Front
from betanas.search.propose.gpei.process import as_tensor

# Candidates predicted at a time: the joint covariance of so many costs no more than the solve that their marginal
# variances need, whereas a batch of single points repeats the training data once for each.
BLOCK = 256


def predict(model: Model, points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latent function at points (shape [n, d]). Shapes [n]."""
    means, variances = [], []
    with torch.no_grad():
        for block in torch.split(points, BLOCK):
            posterior = cast("GPyTorchPosterior", model.posterior(block))
            means.append(posterior.mean.squeeze(-1))
            variances.append(posterior.variance.squeeze(-1))
    return torch.cat(means), torch.cat(variances).clamp_min(1e-12).sqrt()


class PluginLogEI(LogExpectedImprovement):
    """The logarithm of expected improvement (Ament et al. 2023) over the best mean rather than the best value.

    With noisy values the best one is the luckiest: improvement over the largest posterior mean among the trained
    candidates is what Vazquez et al. (2008) plug in. A closed form, so nothing is sampled, unlike the noisy expected
    improvement of Letham et al. (2019), for which `benchmarks/search_feasible_acquisition.py` shows what it would cost.
    """

    def _mean_and_sigma(
        self,
        X: Tensor,  # noqa: N803
        compute_sigma: bool = True,
        min_var: float = 1e-12,
    ) -> tuple[Tensor, Tensor | None]:
        if X.requires_grad or X.ndim != 3:
            moments: tuple[Tensor, Tensor | None] = super()._mean_and_sigma(X, compute_sigma, min_var)
            return moments
        mean, sigma = predict(self.model, X.squeeze(-2))
        return mean.unsqueeze(-1), sigma.unsqueeze(-1)


@acqf_input_constructor(PluginLogEI)
def _construct_inputs(
    model: Model,
    training_data: Any,
    X_pending: Tensor | None = None,  # noqa: N803
    **_: Any,
) -> dict[str, Any]:
    """The incumbent's mean, and a model that believes its own mean at the pending points.

    That is the "kriging believer" of Ginsbourger et al. (2010): the uncertainty around a pending candidate goes, its
    mean stays, so that the next candidate goes elsewhere.
    """
    incumbent = predict(model, training_data.X)[0].max()
    if X_pending is not None and len(X_pending):
        believed = predict(model, X_pending)[0].unsqueeze(-1)
        model = model.condition_on_observations(X_pending, believed)
    return {"model": model, "best_f": incumbent}


@dataclass(frozen=True, eq=False)
class Field:
    """Where a suggestion is looked for.

    Attributes:
        pool: feasible points of the unit cube, shape [n, d].
        screen: which points of the cube are feasible.
        new: which one of ranked points to take: the first whose network has not been tried.
        seed: of the climb's steps.
        climb: how far to climb.
        price: a cost of points and the most of it that counts (None for no limit), where the search is for a front of
            value against that cost; None where it is for the best value alone.
    """

    pool: FloatArray
    screen: Screen
    new: Callable[[FloatArray], FloatArray]
    seed: tuple[int, ...]
    climb: Climb = field(default_factory=Climb)
    price: tuple[Callable[[FloatArray], FloatArray], float | None] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Ax copies its options; the pool is large and never changes."""
        return self


class FeasibleAcquisition(Acquisition):
    """Ax's acquisition with one step of its own: the candidate comes from a `Field`, so it keeps every limit."""

    def optimize(  # type: ignore[override]  # Ax's other arguments have no say here
        self, n: int, search_space_digest: SearchSpaceDigest, **_: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One candidate, its acquisition value and its weight, as Ax expects them."""
        where: Field = self.options["field"]

        trained = self.surrogate.training_data[0].X.numpy()
        score = self._score if where.price is None else self._front_score(trained, *where.price)
        pool = np.concatenate([where.pool, trained[where.screen(trained)]])
        ranking = ranked(score, pool, where.screen, np.random.default_rng(where.seed), where.climb)
        candidate = where.new(ranking)[None]
        return as_tensor(candidate), as_tensor(score(candidate)), torch.ones(1, dtype=torch.float64)

    def _score(self, points: FloatArray) -> FloatArray:
        """The acquisition function's value."""
        with torch.no_grad():
            return np.asarray(self.acqf(as_tensor(points).unsqueeze(-2)).numpy(), dtype=np.float64)

    def _front_score(
        self, trained: FloatArray, price: Callable[[FloatArray], FloatArray], most: float | None
    ) -> Callable[[FloatArray], FloatArray]:
        """Expected growth of the front of predicted means against a known cost, pending candidates included."""
        model = self.acqf.model
        known = trained if self.X_pending is None else np.concatenate([trained, self.X_pending.numpy()])
        front = Front.of(price(known), predict(model, as_tensor(known))[0].numpy(), most)

        def score(points: FloatArray) -> FloatArray:
            mean, deviation = predict(model, as_tensor(points))
            return front.log_improvement(price(points), mean.numpy(), deviation.numpy())

        return score
