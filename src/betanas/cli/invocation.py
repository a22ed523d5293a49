"""How a command was started."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True, slots=True)
class Invocation:
    """How a command was started.

    Attributes:
        own_process: whether its process was started for it.
    """

    own_process: bool = False

    def began(self) -> float:
        """When the command's time began, by `time.monotonic`: with its process, where that is its own."""
        if not self.own_process:
            return monotonic()
        from betanas.finding.clock import process_began

        return process_began()
