"""The network that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from betanas.blueprint import Blueprint


@dataclass(frozen=True)
class Subject:
    """A network and the images it takes.

    Attributes:
        name: what tables call it.
        build: gives the network with random weights, which cost as much as trained ones.
        architecture: its blueprint, or the name of a benchmark network.
        resolution: side of its input, in pixels.
        num_classes: classes it tells apart.
        in_channels: channels of the images.
        params: trainable parameters.
        macs: multiply-accumulates of one image.
    """

    name: str
    build: Callable[[], nn.Module]
    architecture: Blueprint | str
    resolution: int
    num_classes: int
    in_channels: int
    params: int
    macs: int

    @classmethod
    def of_blueprint(cls, name: str, blueprint: Blueprint) -> Subject:
        """The network that a blueprint describes."""
        return cls(
            name=name,
            build=blueprint.build,
            architecture=blueprint,
            resolution=blueprint.resolution,
            num_classes=blueprint.num_classes,
            in_channels=blueprint.in_channels,
            params=blueprint.num_params,
            macs=blueprint.macs,
        )
