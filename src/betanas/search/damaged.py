"""What of a study cannot be read, in words."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 5  # the others are counted


def left_out(damaged: Sequence[str]) -> str:
    """The damaged rows that are left out; empty where there is none."""
    if not damaged:
        return ""
    more = len(damaged) - _NAMED
    return f"damaged and left out: {'; '.join(damaged[:_NAMED])}{f'; and {more} more' if more > 0 else ''}"
