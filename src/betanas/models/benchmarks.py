"""Networks to compare with: the report's (Tables 7 and 8), plain ones, and known ones adapted to small images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from betanas.blueprint import PLAIN_NETWORKS, plain_network
from betanas.errors import BlueprintError, did_you_mean
from betanas.models import small_images
from betanas.models.names import available_networks
from betanas.models.network import build
from betanas.pretrained.timm_networks import is_timm, timm_network

# A blueprint states its images' side, but the modules of a convolutional network do not depend on it.
_ANY_RESOLUTION = 32

_CONSTRUCTORS: dict[str, Callable[..., nn.Module]] = {
    "resnet50": models.resnet50,
    "mobilenet_v2": models.mobilenet_v2,
    "efficientnet_b0": models.efficientnet_b0,
    "efficientnet_v2_s": models.efficientnet_v2_s,
}
SMALL_IMAGE_NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    made.__name__: made
    for made in (
        small_images.resnet20,
        small_images.resnet18_32px,
        small_images.mobilenet_v2_32px,
        small_images.efficientnet_b0_32px,
    )
}


def benchmark_network(name: str, *, num_classes: int, in_channels: int = 3) -> nn.Module:
    """A benchmark network with random weights for any number of classes and image channels.

    Args:
        name: one of `available_networks()`, or one of timm's (`timm:NAME`).
        num_classes: classes to tell apart.
        in_channels: channels of the image.

    Raises:
        BlueprintError: there is no such network, or no class or channel.
        MissingExtraError: timm is not installed.
    """
    if is_timm(name):
        return timm_network(name, num_classes=num_classes, in_channels=in_channels)
    if name not in available_networks():
        raise BlueprintError(
            f"The benchmark networks are {', '.join(available_networks())}.",
            value=name,
            hint=did_you_mean(name, available_networks(), "Type one of them, or the file of a blueprint."),
        )
    for what, number in (("num_classes", num_classes), ("in_channels", in_channels)):
        if number < 1:
            raise BlueprintError(f"A benchmark network's {what} must be at least 1.", value=number)
    if name in PLAIN_NETWORKS:
        sizes = {"num_classes": num_classes, "in_channels": in_channels}
        return build(plain_network(name, resolution=_ANY_RESOLUTION, **sizes))
    if name in SMALL_IMAGE_NETWORKS:
        network = SMALL_IMAGE_NETWORKS[name](num_classes)
    else:
        network = _CONSTRUCTORS[name](weights=None, num_classes=num_classes)
    if in_channels != 3:
        _widen_stem(network, in_channels)
    return network


def benchmark_costs(name: str, *, resolution: int, num_classes: int, in_channels: int = 3) -> tuple[int, int]:
    """A benchmark network's trainable parameters, and multiply-accumulates of one image's forward pass.

    Counted by torch on the network without its weights; as of a blueprint, convolutions and the linear layer count.

    Raises:
        BlueprintError: as of `benchmark_network`.
    """
    with torch.device("meta"):
        network = benchmark_network(name, num_classes=num_classes, in_channels=in_channels).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, in_channels, resolution, resolution))
    params = sum(parameter.numel() for parameter in network.parameters())
    return params, counter.get_total_flops() // 2  # torch counts a multiply-accumulate as two operations


def _widen_stem(network: nn.Module, in_channels: int) -> None:
    stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    stem.in_channels = in_channels
    stem.weight = nn.Parameter(stem.weight.new_empty(stem.out_channels, in_channels, *stem.kernel_size))
    nn.init.kaiming_normal_(stem.weight, mode="fan_out")
