"""Caps torch's threads while a suggestion is worked out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def capped_threads(most: int) -> Iterator[None]:
    """Let torch use at most so many threads inside, and as many as before afterwards.

    The matrices have a few hundred rows: more threads wait for each other longer than they compute (with the default
    on a machine of two cores a suggestion took ten times as long), and on a machine without an accelerator they take
    the cores from a trial that trains against the clock.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(most, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
