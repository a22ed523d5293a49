"""Names in messages."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 20


def list_names(names: Sequence[str]) -> str:
    """Names for a message: all of a few, the first of many."""
    rest = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {rest:,} more" if rest > 0 else "")
