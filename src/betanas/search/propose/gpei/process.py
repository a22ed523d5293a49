"""The Gaussian process: BoTorch's single-task model, fitted within a budget and reproducibly."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from botorch.cross_validation import efficient_loo_cv
from botorch.exceptions.warnings import BotorchWarning
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.optim.fit import fit_gpytorch_mll_scipy
from botorch.posteriors.gpytorch import GPyTorchPosterior
from botorch.settings import validate_input_scaling
from gpytorch.kernels import LinearKernel
from gpytorch.means import ConstantMean
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NanError, NotPSDError
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from betanas.blueprint import FloatArray

# What the kernel sees of points beside their coordinates: shape [n, f] for points of shape [n, d].
Describe = Callable[[FloatArray], FloatArray]
State = dict[str, Tensor]

# A model of values (shape [n, 1]) at the kernel's inputs (shape [n, d]), its hyper-parameters at their priors' modes.
MakeModel = Callable[[Tensor, Tensor], SingleTaskGP]

# Up to 100 observations the hyper-parameters are fitted anew for each suggestion (a quarter of a second); beyond,
# whenever there are 5% more, since twenty more among four hundred hardly move them and the fit is what takes the time.
ALWAYS_REFIT, REFIT_GROWTH = 100, 1.05

# A fit to many observations starts from a fit to 128 of them, spread evenly over their order: an iteration there
# costs a tenth. Iterations are capped: what L-BFGS gains after these is in the third digit of the likelihood.
FIRST_FIT_POINTS, FIRST_FIT_ITERATIONS, LAST_FIT_ITERATIONS = 128, 50, 12

# Points predicted at a time: their joint covariance costs no more than the solve that their marginal variances need,
# whereas a batch of single points repeats the training data once for each.
BLOCK = 256

# How much of what a finished study expects a search expects before it has results of its own, and how far from that it
# may turn out: of its results, on their own scale, for each unit of the study's. With several studies both are shared.
TREND, TREND_DEVIATION = 0.5, 0.5


@dataclass(frozen=True, eq=False)
class Process:
    """A fitted process, asked about points of the unit cube.

    Attributes:
        model: BoTorch's, over the kernel's inputs; double precision, which a Cholesky factor of a smooth kernel needs.
        describe: what the model sees of points beside their coordinates; None for nothing.
        trends: how many of the description's columns, its last ones, the mean follows and the kernel does not see.
    """

    model: SingleTaskGP
    describe: Describe | None = None
    trends: int = 0

    @property
    def lengthscales(self) -> FloatArray:
        """Of the kernel: one for each coordinate of a point, then one for each column of its description."""
        kernel = self.model.covar_module
        return _as_array((kernel.kernels[0] if self.trends else kernel).lengthscale).reshape(-1)

    @property
    def noise(self) -> float:
        """Standard deviation of one training's value."""
        return float(self.model.likelihood.noise.detach().sqrt().reshape(-1)[0])

    def predict(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of the value without noise, at points of shape [n, d]. Shapes [n]."""
        means, variances = [], []
        with torch.no_grad():
            for block in torch.split(_as_tensor(kernel_inputs(points, self.describe)), BLOCK):
                posterior = cast("GPyTorchPosterior", self.model.posterior(block))
                means.append(posterior.mean.squeeze(-1))
                variances.append(posterior.variance.squeeze(-1))
        return _as_array(torch.cat(means)), _as_array(torch.cat(variances).clamp_min(1e-12).sqrt())

    def believing(self, pending: FloatArray) -> Process:
        """The process as if points in training (shape [m, d]) had turned out as it predicts.

        That is the "kriging believer" of Ginsbourger et al. (2010): the uncertainty around a pending candidate goes,
        its mean stays, so that the next candidate goes elsewhere.
        """
        if not len(pending):
            return self
        inputs = _as_tensor(kernel_inputs(pending, self.describe))
        predicted = _as_tensor(self.predict(pending)[0])[:, None]
        return replace(self, model=cast("SingleTaskGP", self.model.condition_on_observations(inputs, predicted)))

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of each trained value (noise included) from all others, hyper-parameters kept."""
        with torch.no_grad():
            posterior = cast("GPyTorchPosterior", efficient_loo_cv(self.model, observation_noise=True).posterior)
        return _as_array(posterior.mean).reshape(-1), _as_array(posterior.variance.clamp_min(0.0).sqrt()).reshape(-1)


class Fitter:
    """Fits processes, and remembers the last fit so that it is not repeated for the same data.

    Matern 5/2 kernel with a lengthscale for each input, dimension-scaled log-normal lengthscale priors (Hvarfner et
    al. 2024), and inferred noise with a log-normal prior whose median deviation is 0.14 of the values' own. That prior
    suits a search: accuracies at a short budget spread over some five points between networks and half a point between
    seeds. Points lie in the unit cube and values are standardised by `OutcomeScale`. With a description the kernel has
    a lengthscale for each of its columns too, and the prior of all widens with their number.

    The squared exponential, BoTorch's default, is as good in its means, but too sure of them between trained points: on
    recorded trials its predictive density is lower from 16 of them on (`benchmarks/search_model.py`), and searches stay
    where they are.

    Another kernel comes with a function that makes the model, `make`.

    Where the last columns of a description are what finished studies expect (`trends` of them), the mean follows them:
    each with a weight that is normally distributed before there are results, and settled by those. Such a weight is a
    linear mean and a linear kernel, so that the process is still one.
    """

    def __init__(self, describe: Describe | None = None, *, trends: int = 0, make: MakeModel | None = None) -> None:
        self._describe = describe
        self._trends = trends
        self._make = make or partial(_model, trends=trends)
        self._digest = ""
        self._state: State = {}

    def process(self, points: FloatArray, values: FloatArray) -> Process:
        """A process of values (shape [n]) at points (shape [n, d]); hyper-parameters by the rule of `refit_size`."""
        inputs = kernel_inputs(points, self._describe)
        size = refit_size(len(inputs))
        model = self._make(_as_tensor(inputs), _as_tensor(values)[:, None])
        model.load_state_dict(self._hyperparameters(inputs[:size], values[:size]))
        return Process(model.eval(), self._describe, self._trends)

    def _hyperparameters(self, inputs: FloatArray, values: FloatArray) -> State:
        digest = hashlib.sha256(inputs.tobytes() + values.tobytes()).hexdigest()
        if digest != self._digest:
            self._state = _fit(_as_tensor(inputs), _as_tensor(values)[:, None], self._make)
            self._digest = digest
        return self._state


def refit_size(observations: int) -> int:
    """How many observations, the first ones, decide the hyper-parameters: a function of their number alone.

    A strategy rebuilt after a crash must suggest what the old one would have, so there is no warm start from a
    history; a fit that several suggestions share can be repeated.
    """
    size = ALWAYS_REFIT
    while (larger := int(size * REFIT_GROWTH)) <= observations:
        size = larger
    return min(size, observations)


def kernel_inputs(points: FloatArray, describe: Describe | None) -> FloatArray:
    """Points (shape [n, d]) with their descriptions, shape [n, d + f]."""
    return points if describe is None else np.concatenate([points, describe(points)], axis=1)


def _fit(inputs: Tensor, values: Tensor, make: MakeModel) -> State:
    """Maximum a posteriori hyper-parameters from the prior's mode, in one stage or two."""
    stages = [(inputs, values, FIRST_FIT_ITERATIONS)]
    if len(inputs) > FIRST_FIT_POINTS + FIRST_FIT_POINTS // 4:
        chosen = np.linspace(0, len(inputs) - 1, FIRST_FIT_POINTS).round().astype(int)
        stages = [
            (inputs[chosen], values[chosen], FIRST_FIT_ITERATIONS),
            (inputs, values, LAST_FIT_ITERATIONS),
        ]
    state: State = {}
    for some_inputs, some_values, iterations in stages:
        model = make(some_inputs, some_values)
        state = state or _copy(model)
        model.load_state_dict(state)
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        try:
            with warnings.catch_warnings():
                # The cap on iterations is meant; jitter on a near-singular matrix is what the library adds on purpose.
                warnings.simplefilter("ignore", BotorchWarning)
                warnings.simplefilter("ignore", NumericalWarning)
                fit_gpytorch_mll_scipy(mll, options={"maxiter": iterations})
        except (NotPSDError, NanError):
            return state  # the prior's mode, or the smaller fit: a model still, and a search that goes on
        state = _copy(model)
    return state


def _model(inputs: Tensor, values: Tensor, trends: int) -> SingleTaskGP:
    seen = inputs.shape[-1] - trends
    columns = list(range(seen)) if trends else None
    kernel = get_covar_module_with_dim_scaled_prior(ard_num_dims=seen, use_rbf_kernel=False, active_dims=columns)
    # Values are scaled by the first `refit_size` of them, not by all, and descriptions leave the unit interval.
    with validate_input_scaling(False):
        if not trends:
            return SingleTaskGP(inputs, values, outcome_transform=None, covar_module=kernel)
        weight = LinearKernel(active_dims=list(range(seen, seen + trends)))
        weight.variance = TREND_DEVIATION**2 / trends
        weight.raw_variance.requires_grad_(False)
        mean = _Trend(seen, TREND / trends)
        return SingleTaskGP(inputs, values, outcome_transform=None, mean_module=mean, covar_module=kernel + weight)


class _Trend(ConstantMean):  # type: ignore[misc] # GPyTorch has no types
    """A constant, and so much of the sum of all columns from the given one on."""

    def __init__(self, first: int, part: float) -> None:
        super().__init__()
        self._first = first
        self._part = part

    def forward(self, inputs: Tensor) -> Tensor:
        constant: Tensor = super().forward(inputs)
        return constant + self._part * inputs[..., self._first :].sum(dim=-1)


def _copy(model: SingleTaskGP) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _as_tensor(array: FloatArray) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float64)


def _as_array(tensor: Tensor) -> FloatArray:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)
