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


def let_threads_sleep() -> None:
    """Have the threads of OpenMP sleep while they wait, in this process and those it starts; before torch is loaded.

    They spin otherwise, and on cores that somebody else uses too they take the time of the threads they wait for: with
    a second busy program beside it a training on two cores collapses. What the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
