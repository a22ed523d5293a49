"""Tables and documents that commands print."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.errors import MarkupError
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from betanas.quantities import format_bytes, format_count

if TYPE_CHECKING:
    from betanas.blueprint import Blueprint


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output, and nothing else."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def layer_table(blueprint: Blueprint, *, title: str | None = None) -> Table:
    """The architecture as a table like Tables A1 to A4 of the report."""
    from betanas.blueprint import TABLE_HEADINGS

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for heading in TABLE_HEADINGS:
        table.add_column(heading, justify="left" if heading == TABLE_HEADINGS[0] else "right")
    for row in blueprint.table():
        table.add_row(*row.cells)
    last = blueprint.layers[-1]
    if blueprint.latent:
        sizes = (str(last.out_channels), str(blueprint.latent), "-", "1", "-", "1", str(last.resolution))
        table.add_row("Conv1x1", *sizes)
    table.add_row("Pool, linear", str(blueprint.num_features), str(blueprint.num_classes), "-", "-", "-", "1", "1")
    return table


def cost_line(blueprint: Blueprint, batch_size: int) -> str:
    """What a network costs, in one line."""
    memory = blueprint.training_memory(batch_size)
    return (
        f"{format_count(blueprint.num_params)} parameters, {format_count(blueprint.macs)} MACs an image, "
        f"{format_bytes(memory)} to train at batch {batch_size}"
    )


def vector_line(vector: Mapping[str, float]) -> str:
    """A parameter vector in one line."""
    return "  ".join(f"{name} {value:.3g}" for name, value in vector.items())


class _Printer(Console):
    """A console that prints whatever stands in a study as it stands there: nothing in it is obeyed."""

    def render_str(self, text: str, **how: Any) -> Text:
        """A text with its markup; one that only looks like markup is printed as it is."""
        text = printable(text)
        try:
            return super().render_str(text, **how)
        except MarkupError:
            return super().render_str(text, **{**how, "markup": False})


def printable(text: str) -> str:
    """A text with escapes in place of the characters that a terminal would obey."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


# Control characters but tab and line feed, those that turn the direction of writing, and halves of characters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(value: object) -> str:
    """A value from somebody's file as part of a line with markup."""
    return escape(printable(str(value)))


def console(*, stderr: bool = False) -> Console:
    """Where a command prints: standard output, or standard error beside a JSON document."""
    return _Printer(stderr=stderr, highlight=False)


def lasting_console(*, stderr: bool = False, notebook: bool = False) -> Console:
    """Where a search prints: it goes on where nobody can read that any more (a full disk, a reader that went away).

    A notebook's output calls itself a terminal, and cannot be redrawn like one.
    """
    stream = cast("IO[str]", _Unfailing(sys.stderr if stderr else sys.stdout))
    return _Printer(file=stream, highlight=False, force_jupyter=False, force_terminal=False if notebook else None)


class _Unfailing:
    """A stream whose writing never fails: what cannot be written is lost, and all that comes after it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write if that is possible."""
        with self._lost():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with self._lost():
            self._stream.flush()

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            # What is still in the buffer would fail again when the process ends, and change its exit code.
            with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self._stream.fileno())
