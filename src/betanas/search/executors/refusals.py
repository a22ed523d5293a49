"""Why a worker cannot start, as plain data and back: an error of the user's crosses a process boundary as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import betanas.errors as errors
from betanas.errors import BetanasError, UserError


def write_refusal(error: Exception) -> dict[str, Any]:
    """The body of a `refused` message."""
    if isinstance(error, UserError):
        value = None if error.value is None else str(error.value)
        return {"type": type(error).__name__, "rule": error.rule, "value": value, "hint": error.hint}
    rule = f"A worker could not start: {type(error).__name__}: {error}"
    return {"type": "", "rule": rule, "value": None, "hint": ""}


def read_refusal(body: Mapping[str, Any], *, where: str = "") -> BetanasError:
    """The error that `write_refusal` wrote, as it was raised there.

    Args:
        body: what it wrote.
        where: a sentence that says where that was; it ends the hint.
    """
    kind = getattr(errors, body["type"], BetanasError)
    if not (isinstance(kind, type) and issubclass(kind, UserError)):
        kind = BetanasError
    hint = " ".join(text for text in (body["hint"], where) if text)
    if body["value"] is None:
        return kind(body["rule"], hint=hint)
    return kind(body["rule"], value=body["value"], hint=hint)
