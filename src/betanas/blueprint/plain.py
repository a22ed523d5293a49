"""Plain convolutional networks as blueprints: what a person would write in ten lines, and what a search must beat."""

from __future__ import annotations

from betanas.blueprint.layer import Layer
from betanas.blueprint.network import Blueprint
from betanas.blueprint.numbers import contracted

# Channels of each 3x3 convolution with batch norm and ReLU, and whether a 2x2 max pool follows.
_LAYERS = {
    "plain4": ((16, True), (32, True), (64, True), (128, True)),
    "plain6": ((32, False), (32, True), (64, False), (64, True), (128, False), (128, True)),
}

PLAIN_NETWORKS = tuple(_LAYERS)


def plain_network(name: str, *, resolution: int, num_classes: int, in_channels: int = 3) -> Blueprint:
    """One of `PLAIN_NETWORKS` for images of a size: convolutions, then average pool and linear layer.

    Raises:
        BlueprintError: there is no pixel, class or channel.
    """
    layers, before, side = [], in_channels, resolution
    for channels, pooled in _LAYERS[name]:
        side = contracted(side) if pooled else side
        layers.append(
            Layer(
                kind="CNA",
                in_channels=before,
                out_channels=channels,
                stride=2 if pooled else 1,
                hidden=0,
                squeeze=0,
                expansion=1.0,
                se_ratio=1.0,
                drop_path=0.0,
                resolution=side,
                activation="ReLU",
                pooled=pooled,
            )
        )
        before = channels
    return Blueprint(resolution, in_channels, num_classes, tuple(layers), latent=0)
