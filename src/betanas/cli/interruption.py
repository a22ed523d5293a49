"""What a command that Ctrl-C ends says last: what is kept, and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from betanas.errors import BetanasError

INTERRUPTED = 130

SAME_COMMAND = "Interrupted. What has finished is kept; the same command goes on."


class InterruptedCommand(BetanasError):  # noqa: N818 - not an error of anybody's
    """A person has interrupted a command that can be gone on with."""

    exit_code: ClassVar[int] = INTERRUPTED


@contextmanager
def going_on(said: Callable[[], str] = lambda: SAME_COMMAND) -> Iterator[None]:
    """Held while a command works that can be gone on with.

    Args:
        said: what a person is told who interrupts it.

    Raises:
        InterruptedCommand: somebody did. (Of a KeyboardInterrupt Typer would make an exit code, and nothing else.)
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise InterruptedCommand(said()) from interrupt
