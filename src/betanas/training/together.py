"""Processes that train one network together: what they need, and that they talk on this machine alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from betanas.extras import require


def rank_environment(rank: int, size: int) -> Mapping[str, str]:
    """A process's variables: its place, as torchrun would set it, and the loopback interface for what is sent.

    Args:
        rank: the process's number.
        size: how many there are; all of this machine.
    """
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", loopback),
        "NCCL_SOCKET_IFNAME": os.environ.get("NCCL_SOCKET_IFNAME", loopback),
    }


def under_torchrun() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def require_accelerate() -> None:
    """Refuse several processes for one network where the package that ties them together is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    require(("accelerate",), extra="several-devices", purpose="Training one network on several devices")
