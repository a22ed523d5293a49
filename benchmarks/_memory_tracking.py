"""What torch's MemTracker sees of a training step, without the memory: under fake tensors, which have shapes alone."""

from __future__ import annotations

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.optim import SGD, Adam, AdamW, Optimizer

from betanas.blueprint import Blueprint


def tracked_bytes(blueprint: Blueprint, batch_size: int, *, dtype: str = "float32", optimizer: str = "adam") -> int:
    """Peak bytes of a training step, measured operation by operation.

    The step is a later one: the optimiser, fused as in `betanas.training`, has its state.
    """
    with FakeTensorMode():
        network = blueprint.build()
        steps = _optimizer(optimizer, network)
        side = blueprint.resolution
        images = torch.empty(batch_size, blueprint.in_channels, side, side)
        labels = torch.zeros(batch_size, dtype=torch.long)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        steps.step()
        steps.zero_grad()

        tracker = MemTracker()
        tracker.track_external(network, steps, images, labels)
        with tracker:
            with torch.autocast("cpu", dtype=getattr(torch, dtype), enabled=dtype != "float32"):
                logits = network(images)
                loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()
            steps.step()
        (snapshot,) = tracker.get_tracker_snapshot("peak").values()
    return int(snapshot["Total"])


def _optimizer(name: str, network: nn.Module) -> Optimizer:
    if name == "sgd":
        return SGD(network.parameters(), lr=0.1, momentum=0.9, fused=True)
    kind = Adam if name == "adam" else AdamW
    return kind(network.parameters(), fused=True)
