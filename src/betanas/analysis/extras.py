"""What figures need that tables do not."""

from __future__ import annotations

from betanas.errors import MissingExtraError


def require_plotly(purpose: str) -> None:
    """Refuse early, and once, where plotly is not installed.

    Args:
        purpose: what needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import plotly  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("plotly", extra="plot", purpose=purpose) from error
