"""The Gaussian process: BoTorch's single-task model, fitted within a budget and reproducibly."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from botorch.exceptions.warnings import BotorchWarning
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import InputTransform
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.optim.fit import fit_gpytorch_mll_scipy
from botorch.settings import validate_input_scaling
from botorch.utils.datasets import SupervisedDataset
from gpytorch.kernels import Kernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NanError, NotPSDError
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor, nn

from betanas.blueprint import FloatArray

# Further inputs of the kernel, shape [n, f], for points of shape [n, d].
Describe = Callable[[FloatArray], FloatArray]

# Up to so many observations the hyper-parameters are fitted anew for each suggestion (a quarter of a second); beyond,
# whenever there are 5% more, since twenty more among four hundred hardly move them and the fit is what takes the time.
ALWAYS_REFIT, REFIT_GROWTH = 100, 1.05

# A fit to many observations starts from a fit to so many of them, spread evenly over their order: an iteration there
# costs a tenth. Iterations are capped: what L-BFGS gains after these is in the third digit of the likelihood.
FIRST_FIT_POINTS, FIRST_FIT_ITERATIONS, LAST_FIT_ITERATIONS = 128, 50, 12


def refit_size(observations: int) -> int:
    """How many observations, the first ones, decide the hyper-parameters: a function of their number alone.

    A strategy rebuilt after a crash must suggest what the old one would have, so there is no warm start from a
    history; a fit that several suggestions share can be repeated.
    """
    size = ALWAYS_REFIT
    while (larger := int(size * REFIT_GROWTH)) <= observations:
        size = larger
    return min(size, observations)


class FitMemory:
    """The last fit's hyper-parameters and what they were fitted to, so that it is not repeated for nothing."""

    def __init__(self) -> None:
        self._digest = ""
        self._state: dict[str, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Ax copies what it is given; a copy would forget the fit."""
        return self

    def hyperparameters(self, inputs: Tensor, values: Tensor) -> dict[str, Tensor]:
        """The state of a model fitted to the kernel's inputs (shape [n, d]) and values (shape [n, 1])."""
        digest = hashlib.sha256(inputs.numpy().tobytes() + values.numpy().tobytes()).hexdigest()
        if digest != self._digest:
            self._state = _fit(inputs, values)
            self._digest = digest
        return self._state


class AppendDescription(InputTransform, nn.Module):  # as BoTorch's own transforms are made
    """Shows the kernel a description of each point beside the point, so that a process is still asked about points.

    The description counts as constant where a gradient is asked for: networks are whole numbers of layers and channels.
    Such a gradient is a part of the truth only, so candidates are climbed to by steps (`climb.ranked`).
    """

    def __init__(self, describe: Describe) -> None:
        super().__init__()
        self._describe = describe
        self.transform_on_train = True
        self.transform_on_eval = True
        self.transform_on_fantasize = True

    def transform(self, X: Tensor) -> Tensor:  # noqa: N803
        """Points, shape [..., d], to points with their descriptions, shape [..., d + f]."""
        described = as_tensor(self._describe(X.detach().reshape(-1, X.shape[-1]).numpy()))
        return torch.cat([X, described.reshape(*X.shape[:-1], -1)], dim=-1)


class FeasibleGP(SingleTaskGP):
    """BoTorch's single-task process, with a Matern kernel and a fit of its own.

    Matern 5/2 kernel, dimension-scaled log-normal lengthscale priors (Hvarfner et al. 2024), and inferred
    noise with a log-normal prior whose median deviation is 0.14 of the values' own. That prior suits a search:
    accuracies at a short budget spread over some five points between networks and half a point between seeds. Points
    lie in the unit cube and values are standardised by `OutcomeScale`. With a description the kernel has a lengthscale
    for each of its columns too, after those of the points' own, and the prior of all widens with their number.
    """

    def __init__(
        self,
        train_X: Tensor,  # noqa: N803
        train_Y: Tensor,  # noqa: N803
        memory: FitMemory,
        describe: Describe | None = None,
    ) -> None:
        transform = None if describe is None else AppendDescription(describe)
        # Values are scaled by the first `refit_size` of them, not by all, and descriptions leave the unit interval.
        with validate_input_scaling(False):
            super().__init__(
                train_X,
                train_Y,
                outcome_transform=None,
                covar_module=_kernel(train_X if transform is None else transform(train_X)),
                input_transform=transform,
            )
        self._memory = memory

    @classmethod
    def construct_inputs(  # type: ignore[override]  # Ax passes `model_options` on
        cls, training_data: SupervisedDataset, *, memory: FitMemory, describe: Describe | None = None
    ) -> dict[str, Any]:
        """What Ax calls to turn its data and options into the constructor's arguments."""
        return {"train_X": training_data.X, "train_Y": training_data.Y, "memory": memory, "describe": describe}

    def custom_fit(self, mll: ExactMarginalLogLikelihood, **_: Any) -> ExactMarginalLogLikelihood:
        """What `botorch.fit.fit_gpytorch_mll` calls: hyper-parameters by the rule of `refit_size`."""
        self.train()  # an evaluated model holds transformed inputs
        inputs, values = self.transform_inputs(self.train_inputs[0]), self.train_targets.unsqueeze(-1)
        size = refit_size(len(inputs))
        self.load_state_dict(self._memory.hyperparameters(inputs[:size], values[:size]))
        return mll.eval()


def fitted_process(points: Tensor, values: Tensor, memory: FitMemory, describe: Describe | None = None) -> FeasibleGP:
    """A fitted model of values (shape [n, 1]) at points (shape [n, d])."""
    model = FeasibleGP(points, values, memory, describe)
    model.custom_fit(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def _fit(inputs: Tensor, values: Tensor) -> dict[str, Tensor]:
    """Maximum a posteriori hyper-parameters from the prior's mode, in one stage or two."""
    stages = [(inputs, values, FIRST_FIT_ITERATIONS)]
    if len(inputs) > FIRST_FIT_POINTS + FIRST_FIT_POINTS // 4:
        chosen = np.linspace(0, len(inputs) - 1, FIRST_FIT_POINTS).round().astype(int)
        stages = [
            (inputs[chosen], values[chosen], FIRST_FIT_ITERATIONS),
            (inputs, values, LAST_FIT_ITERATIONS),
        ]
    state: dict[str, Tensor] = {}
    for some_inputs, some_values, iterations in stages:
        with validate_input_scaling(False):
            model = SingleTaskGP(some_inputs, some_values, outcome_transform=None, covar_module=_kernel(some_inputs))
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


def _kernel(inputs: Tensor) -> Kernel:
    """Matern 5/2 with a lengthscale for each of the inputs' columns.

    The squared exponential, BoTorch's default, is as good in its means, but too sure of them between trained points: on
    recorded trials its predictive density is lower from 16 of them on (`benchmarks/search_model.py`), and searches stay
    where they are.
    """
    kernel: Kernel = get_covar_module_with_dim_scaled_prior(ard_num_dims=inputs.shape[-1], use_rbf_kernel=False)
    return kernel


def _copy(model: SingleTaskGP) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def as_tensor(array: np.typing.NDArray[np.float64]) -> Tensor:
    """Double precision, which a Cholesky factor of a smooth kernel needs."""
    return torch.as_tensor(array, dtype=torch.float64)
