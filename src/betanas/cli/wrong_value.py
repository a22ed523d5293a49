"""A value that an option cannot take, in our words: Typer passes on those of the library that checks it."""

from __future__ import annotations

import re
from typing import Any

from betanas.errors import QuantityError, UserError, did_you_mean

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "path": "a path"}


def in_our_words(error: Any) -> UserError | None:
    """What is wrong with an option's value; None where a usage error is about something else.

    Args:
        error: of the command line, as Typer raises it.
    """
    found = getattr(error.__cause__, "errors", None)
    if found is None or error.param is None:
        return None
    wrong, name = found()[0], max(error.param.opts, key=len)
    value, limits = str(wrong["input"]), wrong.get("ctx", {})
    if "ge" in limits:
        return QuantityError(f"{name} must be at least {limits['ge']:,}.", value=value)
    if "le" in limits:
        return QuantityError(f"{name} must be at most {limits['le']:,}.", value=value)
    kind = _KINDS.get(wrong["type"].partition("_")[0])
    if kind is not None:
        return QuantityError(f"{name} must be {kind}.", value=value)
    _, listed, choices = wrong["msg"].partition("is not one of")
    if not listed:
        return None
    known = re.findall(r"'([^']*)'", choices)
    return UserError(f"{name} must be one of {', '.join(known)}.", value=value, hint=did_you_mean(value, known))
