"""How a `find` tells what it does: calls to one listener, which may print."""

from __future__ import annotations

from betanas.search.progress import SearchListener
from betanas.training.result import CurvePoint


class FindListener:
    """Hears what happens. Every method does nothing here; override those of interest."""

    def on_part(self, name: str, sentences: tuple[str, ...]) -> None:
        """A part of the work begins, or what is known of it."""

    def on_note(self, text: str) -> None:
        """Something a person should know."""

    def searching(self) -> SearchListener:
        """Who hears the search."""
        return SearchListener()

    def confirming(self) -> SearchListener:
        """Who hears the leaders' fresh trainings."""
        return SearchListener()

    def on_point(self, point: CurvePoint) -> None:
        """The final training was judged on the validation images."""
