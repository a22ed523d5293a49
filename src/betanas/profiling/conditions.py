"""Under which conditions is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from betanas.errors import QuantityError


@dataclass(frozen=True)
class Conditions:
    """What is the same for every measurement of a table.

    Attributes:
        device: what runs the network.
        threads: of torch and onnxruntime on the CPU; None for torch's own number.
        warm_up: calls before the first that counts.
        repeats: calls that count.
        at_most: seconds after which no further call is begun, be there fewer than `repeats`; the first always is.
        energy_seconds: how long calls are repeated for the energy counter, which moves in steps; 0 leaves energy out.

    Raises:
        QuantityError: nothing would be measured.
    """

    device: torch.device
    threads: int | None = None
    warm_up: int = 5
    repeats: int = 30
    at_most: float = 60.0
    energy_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least in (("repeats", self.repeats, 1), ("warm-up calls", self.warm_up, 0)):
            if value < least:
                raise QuantityError(f"The {name} must be at least {least}.", value=value)
        if self.threads is not None and self.threads < 1:
            raise QuantityError("The threads must be at least 1.", value=self.threads)

    @contextmanager
    def applied(self) -> Iterator[int]:
        """Torch with these threads, whose number is given; afterwards with those it had."""
        before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        try:
            yield torch.get_num_threads()
        finally:
            torch.set_num_threads(before)
