"""What only some commands need: packages of an extra, looked for before any work begins."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from betanas.errors import MissingExtraError


def missing(packages: Sequence[str]) -> list[str]:
    """Those of some packages that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def require(packages: Sequence[str], *, extra: str, purpose: str) -> None:
    """Refuse early where packages of an extra are not installed.

    Args:
        packages: their import names.
        extra: what `pip install betanas[...]` calls it.
        purpose: what needs them, as the beginning of a sentence.

    Raises:
        MissingExtraError: one is not.
    """
    for package in missing(packages):
        raise MissingExtraError(package, extra=extra, purpose=purpose)
