"""How long networks that are set side by side take to answer: one image, one thread, PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from betanas.profiling.conditions import Conditions
from betanas.profiling.timing import time_calls

# Enough calls for a median, and no more than this many seconds for each network.
_CALLS, _SECONDS = 20, 3.0


class Answering(Protocol):
    """A network with a name, as plain data."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def architecture(self) -> Mapping[str, Any]:
        """As `betanas.models.architecture` builds it."""
        ...

    def build(self) -> nn.Module:
        """The network."""
        ...


def measured_latencies(networks: Iterable[Answering], *, resolution: int) -> dict[tuple[str, int], float]:
    """The median seconds of an answer on this machine's processor, by name and the side of the images.

    Args:
        networks: what is timed; of equal names the last counts.
        resolution: side of their images, in pixels, where their architecture does not say.
    """
    conditions = Conditions(torch.device("cpu"), threads=1, warm_up=3, repeats=_CALLS, at_most=_SECONDS)
    found: dict[tuple[str, int], float] = {}
    with conditions.applied(), torch.inference_mode():
        for each in networks:
            side = int(each.architecture.get("resolution", resolution))
            images = torch.rand(1, int(each.architecture["in_channels"]), side, side)
            found[each.name, side] = time_calls(partial(each.build().eval(), images), conditions).median
    return found
