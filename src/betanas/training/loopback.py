"""Processes of one machine that train together keep what they tell each other on that machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


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
