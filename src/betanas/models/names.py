"""The names of the benchmark networks, for whoever has to know them before torch is loaded."""

from __future__ import annotations

from betanas.blueprint import PLAIN_NETWORKS

_STANDARD = ("resnet50", "mobilenet_v2", "efficientnet_b0", "efficientnet_v2_s")
_SMALL_IMAGES = ("resnet20", "resnet18_32px", "mobilenet_v2_32px", "efficientnet_b0_32px")


def available_networks() -> tuple[str, ...]:
    """The names `betanas.models.benchmark_network` knows."""
    return (*_STANDARD, *PLAIN_NETWORKS, *_SMALL_IMAGES)
