"""How a broken promise is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from betanas.errors import UserError


class BrokenPromiseError(AssertionError):
    """A plug-in does not do what its kind promises; the message says which promise, and what was seen."""


@dataclass(frozen=True)
class Promises:
    """What somebody promises.

    Attributes:
        who: as a message names it: "The search space narrow".
    """

    who: str

    def require(self, kept: object, rule: str, seen: object = "") -> None:
        """Refuse a broken promise.

        Args:
            kept: whether it is kept.
            rule: the promise, as a sentence that begins with "it must".
            seen: what happened instead.

        Raises:
            BrokenPromiseError: it is not kept.
        """
        if not kept:
            raise BrokenPromiseError(self._told(rule, seen))

    @contextmanager
    def holding(self, rule: str, seen: object = "") -> Iterator[None]:
        """Count whatever is raised inside as a broken promise.

        Raises:
            BrokenPromiseError: something was raised.
        """
        try:
            yield
        except BrokenPromiseError:
            raise
        except Exception as error:
            raise BrokenPromiseError(self._told(rule, f"{type(error).__name__}: {error} ({seen})")) from error

    @contextmanager
    def refusing(self, kind: type[UserError], rule: str, seen: object = "", *, saying: str = "") -> Iterator[None]:
        """Count it as a broken promise unless an error of a kind is raised inside.

        Raises:
            BrokenPromiseError: nothing was raised, or something else.
        """
        wanted = f"{rule}: it must raise {kind.__name__}"
        with self.holding(wanted, seen):
            try:
                yield
            except kind as error:
                self.require(saying in str(error), f"{wanted} that says {saying!r}", error)
                return
        raise BrokenPromiseError(self._told(wanted, f"nothing was raised ({seen})"))

    def _told(self, rule: str, seen: Any) -> str:
        return f"{self.who} breaks a promise: {rule}." + (f" Seen: {seen}." if seen != "" else "")
