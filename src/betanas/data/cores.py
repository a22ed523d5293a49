"""What of this machine is one process's: how many cores there are to decode with."""

from __future__ import annotations

import os


def cores() -> int:
    """Cores this process may use, which can be fewer than the machine has.

    Processes that train together on a machine have a part of them each.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, here // processes_here())


def processes_here() -> int:
    """Processes on this machine that train one network together with this one, itself included."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
