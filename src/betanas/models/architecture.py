"""Networks as plain data: a blueprint's document, or a benchmark network by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from betanas.blueprint import Blueprint
from betanas.errors import BlueprintError
from betanas.models.benchmarks import benchmark_network
from betanas.pretrained.remapping import remap
from betanas.pretrained.seed import seed_network
from betanas.pretrained.starts import Start
from betanas.pretrained.timm_networks import is_timm, timm_network

Architecture = Mapping[str, Any]


def build_network(architecture: Architecture, *, start: Start = "random") -> nn.Module:
    """The network that plain data describe, its weights drawn from torch's global generator.

    Args:
        architecture: `Blueprint.to_dict()`, or `network` (a name of `available_networks`, or one of timm's),
            `num_classes` and `in_channels`; with `pretrained`, one of timm's starts from its weights.
        start: a pretrained network, whose weights take the place of those drawn, the classifier's aside.

    Raises:
        BlueprintError: it is neither, there are no such weights, or it cannot start from the pretrained network.
        MissingExtraError: timm or the pretrained network's package is not installed.
    """
    check_start(architecture, start)
    if "layers" in architecture:
        blueprint = Blueprint.from_dict(dict(architecture))
        network = blueprint.build()
        if start != "random":
            network.load_state_dict(remap(blueprint, seed_network(start)), strict=False)
        return network
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


def check_start(architecture: Architecture, start: Start) -> None:
    """Refuse a pretrained start for a network that it cannot be given the shape of.

    Raises:
        BlueprintError: the network is no blueprint's.
    """
    if start != "random" and "layers" not in architecture:
        raise BlueprintError(
            f"Networks of search spaces and of blueprints can start from {start}, and no others.",
            value=architecture.get("network"),
            hint="Type --start random.",
        )
