"""How much of this machine's processor other programs use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import psutil

# Less than this long says nothing; from this share on, trainings beside it are not what they would be alone.
_LEAST_SECONDS, _BUSY_SHARE = 1.0, 0.3


@dataclass(frozen=True, slots=True)
class ProcessorTimes:
    """Processor seconds since some moment of the past.

    Attributes:
        all: of all cores, idle or not.
        busy: of all cores, in use by whatever program.
        ours: of this process and the children that it has waited for.
    """

    all: float
    busy: float
    ours: float

    @classmethod
    def now(cls) -> Self:
        """As the system counts them."""
        system = psutil.cpu_times()._asdict()
        # Linux counts a guest's time as user time as well.
        total = sum(value for name, value in system.items() if not name.startswith("guest"))
        idle = system["idle"] + system.get("iowait", 0.0)
        return cls(total, total - idle, sum(psutil.Process().cpu_times()[:4]))


@dataclass(frozen=True, slots=True)
class OthersLoad:
    """What other programs use of the processor from now on."""

    since: ProcessorTimes = field(default_factory=ProcessorTimes.now)

    def warning(self, now: ProcessorTimes | None = None) -> str:
        """What to know where they use much of it; empty where they do not, or too little time has passed.

        Args:
            now: the times to go by; the system's where not given.
        """
        now = now or ProcessorTimes.now()
        cores = psutil.cpu_count() or 1
        passed = now.all - self.since.all
        if passed < _LEAST_SECONDS * cores:
            return ""
        share = (now.busy - self.since.busy - (now.ours - self.since.ours)) / passed
        if share < _BUSY_SHARE:
            return ""
        return (
            f"This machine is busy: other programs use {min(share, 1.0):.0%} of its processor. Trials learn less in "
            "their seconds than they would alone, and unequally: their accuracies compare badly while that lasts."
        )
