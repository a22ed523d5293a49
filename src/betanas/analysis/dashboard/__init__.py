"""The live dashboard: a web page that watches studies while they are searched."""

from __future__ import annotations

from betanas.errors import MissingExtraError


def require_dash() -> None:
    """Refuse early, and once, where Dash is not installed.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import dash  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("dash", extra="dashboard", purpose="The dashboard") from error
