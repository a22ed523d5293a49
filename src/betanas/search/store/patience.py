"""Waiting for a database server that restarts, instead of ending the search."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

from betanas.search.store.connection import ConnectionLostError

# A server's restart or upgrade takes seconds to minutes.
PATIENCE_SECONDS = 300.0
_LONGEST_WAIT_SECONDS = 5.0

_Class = TypeVar("_Class", bound=type)


def patient(store: _Class) -> _Class:
    """A class decorator: each public method is tried again while the connection is lost, for the object's `patience`.

    Sound for methods that are one transaction each: what was cut off has not happened. Where the connection was lost
    between a commit and its answer, conditions in the statements see to it that nothing happens twice.
    """
    for name, method in list(vars(store).items()):
        if isinstance(method, FunctionType) and not name.startswith("_") and not hasattr(method, "__wrapped__"):
            setattr(store, name, _patiently(method))
    return store


def _patiently(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def tried(self: Any, *arguments: Any, **named: Any) -> Any:
        deadline = time.monotonic() + self.patience
        wait = 0.1
        while True:
            try:
                return method(self, *arguments, **named)
            except ConnectionLostError:
                if time.monotonic() + wait > deadline:
                    raise
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    return tried
