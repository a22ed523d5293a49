"""The processes that train one network together: here, a single one. `distributed` holds the other kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from betanas.training.batches import ALONE, Share


class Processes(Protocol):
    """What a training run asks of the processes it runs in."""

    @property
    def share(self) -> Share:
        """This process's number, and how many there are."""
        ...

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network such that a backward pass leaves the mean gradient of all processes."""
        ...

    def maximum(self, value: float) -> float:
        """The largest of all processes' values."""
        ...

    def total(self, sums: Tensor) -> Tensor:
        """The sum of all processes' tensors."""
        ...

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor, in place, by its mean over all processes."""
        ...

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """All processes' tensors, of one shape, in the order of their numbers."""
        ...


class OneProcess:
    """A run on its own."""

    share = ALONE

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network itself."""
        return network

    def maximum(self, value: float) -> float:
        """The value itself."""
        return value

    def total(self, sums: Tensor) -> Tensor:
        """The sums themselves."""
        return sums

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Nothing: a single process's tensors are their own mean."""

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensor itself."""
        return [tensor]
