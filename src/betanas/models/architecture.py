"""Networks as plain data: a blueprint's document, or a benchmark network by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from betanas.blueprint import Blueprint
from betanas.errors import BlueprintError
from betanas.models.benchmarks import benchmark_network
from betanas.pretrained.timm_networks import is_timm, timm_network

Architecture = Mapping[str, Any]


def build_network(architecture: Architecture) -> nn.Module:
    """The network that plain data describe, its weights drawn from torch's global generator.

    Args:
        architecture: `Blueprint.to_dict()`, or `network` (a name of `available_networks`, or one of timm's),
            `num_classes` and `in_channels`; with `pretrained`, one of timm's starts from its weights.

    Raises:
        BlueprintError: it is neither, or there are no such weights.
        MissingExtraError: timm or the pretrained network's package is not installed.
    """
    if "layers" in architecture:
        return Blueprint.from_dict(dict(architecture)).build()
    try:
        name = str(architecture["network"])
        sizes = {key: int(architecture[key]) for key in ("num_classes", "in_channels")}
    except (KeyError, TypeError, ValueError) as error:
        raise BlueprintError(
            "A network's description must be a blueprint, or a benchmark network's name with its numbers of classes "
            "and channels.",
            value=sorted(architecture),
        ) from error
    if architecture.get("pretrained") and is_timm(name):
        return timm_network(name, **sizes, pretrained=True)
    return benchmark_network(name, **sizes)
