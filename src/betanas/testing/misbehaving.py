"""A plug-in for `check_executor`: networks of certain latent sizes go wrong when images pass through them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from betanas import models
from betanas.blueprint import Blueprint
from betanas.testing.executors import FAULTS, MESSAGE

_build = models.build


def build(blueprint: Blueprint) -> models.BlueprintNetwork:
    """A network like any other, with a fault where its latent size asks for one."""
    network = _build(blueprint)
    faults = [fault.kind for fault in FAULTS if fault.latent == blueprint.latent]
    if faults:

        def go_wrong(_network: nn.Module, _images: Any, logits: torch.Tensor) -> torch.Tensor:
            if faults == ["raise"]:
                raise RuntimeError(MESSAGE)
            if faults == ["out_of_memory"]:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return logits * float("nan")

        network.register_forward_hook(go_wrong)
    return network


models.build = build
