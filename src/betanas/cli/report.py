"""`betanas report`: a study as one HTML file, or a single figure or table of it."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from betanas.cli.study import StudyArgument


class Format(StrEnum):
    """What is written."""

    html = "html"
    png = "png"
    svg = "svg"
    csv = "csv"
    json = "json"
    latex = "latex"


def _suffix(form: Format) -> str:
    return "tex" if form is Format.latex else form.value


def _form_of(output: Path | None) -> Format:
    """What a file's name says it holds; html where it says nothing."""
    ending = "" if output is None else output.suffix.removeprefix(".").lower()
    return next((form for form in Format if _suffix(form) == ending), Format.html)


def report(
    study: StudyArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write; by default it is named after the study.", dir_okay=False
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name is the interface
        Format | None,
        typer.Option(
            help="html is the whole report; png and svg a figure; csv and latex a table; json either.",
            show_default="what --output ends in, otherwise html",
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(help="The figure or table to write; see --list.", metavar="NAME")] = None,
    list_pieces: Annotated[bool, typer.Option("--list", help="List the figures and tables, and end.")] = False,
) -> None:
    """Write a study's report: one HTML file to open anywhere, or a single figure or table."""
    from betanas.analysis.catalogue import FIGURES, TABLES
    from betanas.cli.output import console

    out = console()
    if list_pieces:
        for what, pieces in (("figures", FIGURES), ("tables", TABLES)):
            out.print(f"[bold]{what}[/bold]")
            for piece in pieces:
                out.print(f"  {piece.name:<16} {piece.counterpart}", markup=False)
        return

    from betanas.analysis.snapshot import StudySnapshot
    from betanas.search.study import Study

    with Study.open(study) as opened:
        snapshot = StudySnapshot.of(opened)
    form = format or _form_of(output)
    name = re.sub(r"[^\w.-]+", "-", f"{snapshot.name}-{only or 'report'}")
    target = output or Path(f"{name}.{_suffix(form)}")
    notes: list[str] = []
    if form is Format.html and only is None:
        from betanas.analysis.report import build_report

        made = build_report(snapshot)
        content = made.html.encode()
        notes = [f"{piece} could not be made: {reason}" for piece, reason in made.failed.items()]
    else:
        from betanas.analysis.singles import single_piece

        content = single_piece(snapshot, only, form.value)
    _write(target, content)
    out.print(f"{target} ({len(content) / 2**20:.2f} MiB)", markup=False)
    for note in notes:
        console(stderr=True).print(note, markup=False)


def _write(target: Path, content: bytes) -> None:
    from betanas.analysis.errors import AnalysisError
    from betanas.files import write_atomically

    try:
        write_atomically(target, content)
    except OSError as error:
        raise AnalysisError(
            "The report's file must be writable.",
            value=str(target),
            hint=f"{error.strerror}; choose another with --output.",
        ) from error
