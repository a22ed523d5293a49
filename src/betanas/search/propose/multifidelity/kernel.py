"""What short trainings and whole ones have in common, as the kernel of a Gaussian process."""

from __future__ import annotations

from math import log

from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.settings import validate_input_scaling
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import LinearKernel, MaternKernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

# What a training of the least share is off by, on the scale of the results, and how far from that it may be: half of
# what networks differ by, whose logarithm has a deviation of one.
OFF, OFF_DEVIATION = 0.5, 1.0

# How far networks lie apart, as a part of all inputs' ranges together, that short trainings misjudge alike.
ALIKE, ALIKE_DEVIATION = 1.0, 1.0

_LEAST = 1e-4


def fidelity_model(inputs: Tensor, values: Tensor, *, place: int) -> SingleTaskGP:
    """A process of what networks reach after the whole budget, and of what shorter trainings are off by.

    The first part knows nothing of the share. The second one is a process of its own, multiplied by how far a training
    is from the whole budget (the logarithm of its share): a whole training is off by nothing, and the shorter one is,
    the less it says. That is the linear truncated kernel of BoTorch's multi-fidelity models (Wu et al. 2019), on a
    logarithmic scale. Neighbours may be misjudged alike, since what makes a network slow is seen in its inputs; or each
    on its own, where the lengthscale turns out short. The noise is that of a whole training.

    Args:
        inputs: shape [n, d], one column of which is the distance from the whole budget: 0 for the whole, 1 for the
            least share.
        values: shape [n, 1].
        place: of that column.
    """
    columns = [column for column in range(inputs.shape[-1]) if column != place]
    reached = get_covar_module_with_dim_scaled_prior(
        ard_num_dims=len(columns), use_rbf_kernel=False, active_dims=columns
    )
    off = LinearKernel(
        active_dims=[place],
        variance_prior=LogNormalPrior(2.0 * log(OFF), 2.0 * OFF_DEVIATION),
        variance_constraint=GreaterThan(_LEAST, initial_value=OFF**2),
    )
    alike = MaternKernel(
        nu=2.5,
        active_dims=columns,
        lengthscale_prior=LogNormalPrior(log(ALIKE), ALIKE_DEVIATION),
        lengthscale_constraint=GreaterThan(_LEAST, initial_value=ALIKE),
    )
    # Values are scaled by the first of them, and descriptions leave the unit interval.
    with validate_input_scaling(False):
        return SingleTaskGP(inputs, values, outcome_transform=None, covar_module=reached + off * alike)
