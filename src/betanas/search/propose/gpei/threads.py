"""Caps torch's threads while a suggestion is worked out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# The matrices have a few hundred rows: more threads wait for each other longer than they compute (with the default on a
# machine of two cores a suggestion took ten times as long).
USEFUL_THREADS = 2


@contextmanager
def capped_threads(most: int) -> Iterator[None]:
    """Let torch use at most `most` threads inside (never more than are useful), and as many as before afterwards.

    On a machine without an accelerator every further thread takes a core from a trial that trains against the clock.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(min(most, USEFUL_THREADS, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
