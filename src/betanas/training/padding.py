"""Channels filled up with zeros to a multiple that a GPU's matrix units like; the network computes what it did.

A channel of zeros stays one: a convolution whose row of weights is zero gives zeros, a norm without scale and shift
leaves them, each activation of ours maps zero to zero, and the convolution that follows has no weight for it. Its
parameters therefore have no gradient, and neither the optimiser nor weight decay moves a zero. What a random vector
gives a network is odd in half of all cases, and matrix kernels for unaligned channels were the longest on an H100.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from betanas.models.network import BlueprintNetwork

Shapes = Mapping[str, tuple[int, ...]]


def pad_channels(network: nn.Module, multiple: int) -> None:
    """Fill the channels of a blueprint's network up, in place; others are left as they are.

    State dictionaries go on having the network's own shapes: what is added is cut off when weights are read, and made
    anew when they are loaded.

    Args:
        network: before an optimiser knows its parameters.
        multiple: of what the numbers of channels are to be.
    """
    # A first layer with a residual would add images, whose channels stay, to its output.
    if not isinstance(network, BlueprintNetwork) or network.blueprint.layers[0].residual:
        return
    takes_images = True
    for module in network.modules():
        own = {name: tuple(value.shape) for name, value in _tensors(module).items()}
        if isinstance(module, nn.Conv2d):
            depthwise = module.groups > 1
            module.out_channels = _next(module.out_channels, multiple)
            module.in_channels = module.in_channels if takes_images else _next(module.in_channels, multiple)
            module.groups = module.out_channels if depthwise else 1
            takes_images = False
            _enlarge(module, (module.out_channels, module.in_channels // module.groups))
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features = _next(module.num_features, multiple)
            _enlarge(module, (module.num_features,))
        elif isinstance(module, nn.Linear):
            module.in_features = _next(module.in_features, multiple)
            _enlarge(module, (module.out_features, module.in_features))
        else:
            continue
        module.register_state_dict_post_hook(partial(_cut_off, own))  # type: ignore[no-untyped-call]
        module.register_load_state_dict_pre_hook(_fill_up)  # type: ignore[no-untyped-call]


def _next(channels: int, multiple: int) -> int:
    return -(-channels // multiple) * multiple


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """A module's own parameters and buffers."""
    return dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))


def _enlarge(module: nn.Module, leading: tuple[int, ...]) -> None:
    """Enlarge a module's tensors by zeros, along as many of these first axes as each has."""
    for name, value in _tensors(module).items():
        if value.ndim == 0:
            continue
        enlarged = _enlarged(value.detach(), (*leading, *value.shape[len(leading) :])[: value.ndim])
        setattr(module, name, nn.Parameter(enlarged) if isinstance(value, nn.Parameter) else enlarged)


def _enlarged(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    enlarged = value.new_zeros(shape)
    enlarged[_place(value.shape)] = value
    return enlarged


def _place(shape: torch.Size | tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(size) for size in shape)


def _cut_off(own: Shapes, module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for name, shape in own.items():
        if isinstance(value := state.get(prefix + name), Tensor):
            state[prefix + name] = value[_place(shape)]


def _fill_up(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, held in _tensors(module).items():
        given = state.get(prefix + name)
        if isinstance(given, Tensor) and given.ndim == held.ndim and given.shape != held.shape:
            state[prefix + name] = _enlarged(given, tuple(held.shape))
