"""The networks that the report compares with (Tables 7 and 8): torchvision's own, with random weights."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torchvision import models

from betanas.errors import BlueprintError, did_you_mean

_CONSTRUCTORS: dict[str, Callable[..., nn.Module]] = {
    "resnet50": models.resnet50,
    "mobilenet_v2": models.mobilenet_v2,
    "efficientnet_b0": models.efficientnet_b0,
    "efficientnet_v2_s": models.efficientnet_v2_s,
}


def available_networks() -> tuple[str, ...]:
    """The names `benchmark_network` knows."""
    return tuple(_CONSTRUCTORS)


def benchmark_network(name: str, *, num_classes: int, in_channels: int = 3) -> nn.Module:
    """A benchmark network with random weights for any number of classes and image channels.

    Args:
        name: one of `available_networks()`.
        num_classes: classes to tell apart.
        in_channels: channels of the image.

    Raises:
        BlueprintError: there is no such network, or no class or channel.
    """
    if name not in _CONSTRUCTORS:
        raise BlueprintError(
            f"The benchmark networks are {', '.join(_CONSTRUCTORS)}.",
            value=name,
            hint=did_you_mean(name, _CONSTRUCTORS, "Type one of them, or the file of a blueprint."),
        )
    for what, number in (("num_classes", num_classes), ("in_channels", in_channels)):
        if number < 1:
            raise BlueprintError(f"A benchmark network's {what} must be at least 1.", value=number)
    network = _CONSTRUCTORS[name](weights=None, num_classes=num_classes)
    if in_channels != 3:
        _widen_stem(network, in_channels)
    return network


def _widen_stem(network: nn.Module, in_channels: int) -> None:
    stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    stem.in_channels = in_channels
    stem.weight = nn.Parameter(stem.weight.new_empty(stem.out_channels, in_channels, *stem.kernel_size))
    nn.init.kaiming_normal_(stem.weight, mode="fan_out")
