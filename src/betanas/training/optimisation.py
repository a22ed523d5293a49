"""Optimiser, learning-rate schedule and weight average, as a recipe asks for them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from betanas.training.recipe import Recipe

# Updates of the weight average are this many steps apart: the average reaches back over hundreds of steps, so
# it loses nothing, and its cost falls to a fifth.
AVERAGE_EVERY = 5

# Bands of depth with rates of their own: a group of parameters is a kernel or two a step.
_DEPTH_BANDS = 8


def build_optimizer(
    network: nn.Module, recipe: Recipe, device: torch.device, *, capturable: bool = False
) -> torch.optim.Optimizer:
    """The recipe's optimiser, in torch's fused form where the device has one.

    Args:
        network: whose parameters it changes.
        recipe: which optimiser, and its settings.
        device: the network's.
        capturable: whether its steps can be recorded in a graph: the rate is then a tensor on the device.
    """
    groups = _parameter_groups(network, recipe)
    fused = device.type in ("cpu", "cuda")
    betas = (recipe.momentum, recipe.second_momentum)
    rate = recipe.learning_rate
    if capturable:
        # One for each group: what lowers the rate of every group in turn would lower a common one several times.
        for group in groups:
            group["lr"] = torch.tensor(rate * group["share"], device=device)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=fused)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, betas=betas, fused=fused, capturable=capturable)


def reset_state(optimizer: torch.optim.Optimizer) -> None:
    """Bring an optimiser that has made steps back to its beginning, its tensors where they are."""
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, Tensor):
                value.zero_()


def restore_state(optimizer: torch.optim.Optimizer, stored: Mapping[str, Any]) -> None:
    """Take the state that another optimiser's `state_dict` gave, into the tensors that are there.

    A recorded step goes on reading and writing those, and the fused kernels want the parameters' memory layout, which a
    stored tensor does not have. The settings of its groups are the recipe's.

    Raises:
        KeyError: the state is of other parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for place, parameter in enumerate(parameters):
        for name, value in optimizer.state[parameter].items():
            if isinstance(value, Tensor):
                value.copy_(stored["state"][place][name])


def rate_at(recipe: Recipe, fraction: float) -> float:
    """The learning rate, as a share of the recipe's highest, at a fraction of the budget in (0, 1]."""
    if fraction < recipe.warmup:
        return fraction / recipe.warmup
    if recipe.schedule not in ("linear", "cosine"):
        return 1.0
    progress = (fraction - recipe.warmup) / max(1 - recipe.warmup, 1e-9)
    shape = 1 - progress if recipe.schedule == "linear" else (1 + math.cos(math.pi * progress)) / 2
    return recipe.final_rate + (1 - recipe.final_rate) * shape


class Rate:
    """Sets the learning rate from the fraction of the budget used and from plateaus of the loss."""

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: Recipe) -> None:
        self._optimizer = optimizer
        self._recipe = recipe
        self._plateau = (
            ReduceLROnPlateau(optimizer, factor=recipe.plateau_factor, patience=recipe.plateau_patience)
            if recipe.schedule == "plateau"
            else None
        )
        self._reduced = 1.0

    def set(self, fraction: float) -> None:
        """Set the rate for the next step."""
        rate = self._recipe.learning_rate * self._reduced * rate_at(self._recipe, fraction)
        for group in self._optimizer.param_groups:
            own = rate * group["share"]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(own)
            else:
                group["lr"] = own

    def judge(self, loss: float) -> None:
        """Take a validation loss into account: without progress, a plateau schedule lowers the rate."""
        if self._plateau is None:
            return
        before = float(self._optimizer.param_groups[0]["lr"])
        self._plateau.step(loss)
        self._reduced *= float(self._optimizer.param_groups[0]["lr"]) / before

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        plateau = self._plateau.state_dict() if self._plateau else {}
        return {"reduced": self._reduced, "plateau": plateau}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._reduced = float(state["reduced"])
        if self._plateau is not None:
            self._plateau.load_state_dict(state["plateau"])


class WeightAverage:
    """An exponential average of a network's weights and norm statistics over the last share of a run.

    Args:
        network: what is averaged.
        span: fraction of the budget it reaches back over.
    """

    def __init__(self, network: nn.Module, span: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._span = span
        self._own = _floating(self.network)
        self._source = _floating(network)

    def update(self, step: int, expected_steps: int) -> None:
        """Take the weights after a step into account, where it is due.

        Args:
            step: steps so far.
            expected_steps: steps of the whole run, as far as is known.
        """
        if step % AVERAGE_EVERY and step != expected_steps:
            return
        reach = max(1.0, self._span * expected_steps / AVERAGE_EVERY)
        # Early on the average reaches back no further than a tenth of the run so far: it forgets the random
        # start.
        reach = min(reach, 1.0 + 0.1 * step / AVERAGE_EVERY)
        with torch.no_grad():
            torch._foreach_lerp_(self._own, self._source, 1.0 / reach)


def _floating(network: nn.Module) -> list[Tensor]:
    """Weights and running statistics; counters of batches, being integers, have no average."""
    tensors: Iterable[Tensor] = (*network.parameters(), *network.buffers())
    return [t.detach() for t in tensors if t.is_floating_point()]


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by what is done to them: `share` is that of the learning rate."""
    kinds = [(True, recipe.weight_decay), (False, 0.0)]
    groups: list[dict[str, Any]] = []
    for share, parameters in _by_depth(network, recipe.first_layer_rate):
        for decayed, decay in kinds:
            chosen = [p for p in parameters if (p.ndim > 1 or recipe.decay_norms_and_biases) is decayed]
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "share": share})
    return groups


def _by_depth(network: nn.Module, first: float) -> list[tuple[float, list[nn.Parameter]]]:
    """A network's parameters in bands of depth, each with its share of the learning rate.

    Depth is the order in which a network holds its modules, which in image classifiers is the order of use; the last
    band, of the classifier at least, learns at the full rate.
    """
    if first == 1.0:
        return [(1.0, list(network.parameters()))]
    modules = [list(module.parameters(recurse=False)) for module in network.modules()]
    held = [parameters for parameters in modules if parameters]
    bands: list[tuple[float, list[nn.Parameter]]] = [
        (first ** (1 - band / (_DEPTH_BANDS - 1)), []) for band in range(_DEPTH_BANDS)
    ]
    for place, parameters in enumerate(held):
        # The last band begins at the last module: nothing but a new head may learn as fast as one.
        band = (_DEPTH_BANDS - 1) * place // max(len(held) - 1, 1)
        bands[band][1].extend(parameters)
    return [each for each in bands if each[1]]
