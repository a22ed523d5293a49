"""What an engine does differently on different devices, beyond what a recipe says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from betanas.training.graphs import Graphs, device_graphs

# Pixels of a step below which a GPU is bound by starting kernels, so that smaller images train no faster: with 100
# images of 32 pixels it is idle nine tenths of an eager step, and a replayed step with 512 takes 1.4 times as long as
# with 100. With 100 of 224 pixels it is busy. Between them nothing has been measured; benchmarks/gpu.py does.
_FILLING_PIXELS = 2**20


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How networks are run.

    Attributes:
        graphs: finds a device's graphs, in which steps are recorded; one that gives None keeps steps eager.
        few_shapes: whether convolutions are to see as few shapes as can be, because the device plans for each new one:
            no smaller images where those train no faster, evaluations in the training's batch shape. None: on a GPU.
        pointwise_products: whether 1x1 convolutions run as matrix products, which need no plan. Not measured on a GPU
            yet (benchmarks/gpu.py does), and therefore off.
        channel_multiple: channels of blueprints' networks are filled up with zeros to multiples of it, which changes
            nothing that the network computes. Not measured on a GPU yet either, and therefore 1.
    """

    graphs: Callable[[torch.device], Graphs | None] = device_graphs
    few_shapes: bool | None = None
    pointwise_products: bool = False
    channel_multiple: int = 1

    def spares_shapes(self, device: torch.device) -> bool:
        """Whether convolutions see few shapes on a device."""
        return device.type == "cuda" if self.few_shapes is None else self.few_shapes

    def gains_from_small_images(self, device: torch.device, *, batch_size: int, resolution: int) -> bool:
        """Whether a step with smaller images would take less time."""
        return not self.spares_shapes(device) or batch_size * resolution**2 >= _FILLING_PIXELS
