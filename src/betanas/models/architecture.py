"""Networks as plain data: a blueprint's document, or a benchmark network by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from betanas.blueprint import Blueprint
from betanas.errors import BlueprintError
from betanas.models.benchmarks import benchmark_network

Architecture = Mapping[str, Any]


def build_network(architecture: Architecture) -> nn.Module:
    """The network that plain data describe, its weights drawn from torch's global generator.

    Args:
        architecture: `Blueprint.to_dict()`, or `network` (a name of `available_networks`), `num_classes` and
            `in_channels`.

    Raises:
        BlueprintError: it is neither.
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
    return benchmark_network(name, **sizes)
