"""What a person sees of a `find`: what each part is about, the search, the confirmation, the final training."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from rich.console import Console
from rich.text import Text
from typing_extensions import override

from betanas.cli.reporting.listed import ListedReporter
from betanas.cli.reporting.remarks import broken_images_noted
from betanas.cli.reporting.reporters import Reporter, make_reporter
from betanas.finding.listener import FindListener
from betanas.quantities import format_seconds
from betanas.search.progress import SearchListener
from betanas.training.result import CurvePoint

_COLUMN = 14


class FindReporter(FindListener):
    """Prints what happens; used as a context manager, within which libraries' warnings are silent.

    Args:
        console: where it prints.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._search: Reporter = make_reporter(console)
        self._held = ExitStack()
        self._noted: set[str] = set()

    def __enter__(self) -> Self:
        self._held.callback(self._search.close)
        self._held.enter_context(broken_images_noted(self.on_note))
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @override
    def on_part(self, name: str, sentences: tuple[str, ...]) -> None:
        for place, sentence in enumerate(sentences or ("",)):
            heading = name.ljust(_COLUMN) if place == 0 else " " * _COLUMN
            self._console.print(Text.assemble((heading, "bold"), sentence), soft_wrap=True)

    @override
    def on_note(self, text: str) -> None:
        if text not in self._noted:  # a broken image is met by every part of the work
            self._noted.add(text)
            self._search.on_note(text)

    @override
    def searching(self) -> SearchListener:
        return self._search

    @override
    def confirming(self) -> SearchListener:
        return ListedReporter(lambda line: self._console.print(line, markup=False, soft_wrap=True))

    @override
    def on_point(self, point: CurvePoint) -> None:
        self._console.print(
            f"epoch {point.epoch:.1f}  {format_seconds(point.seconds)}  loss {point.loss:.3f}  "
            f"validation {point.accuracy:.2%}"
        )
