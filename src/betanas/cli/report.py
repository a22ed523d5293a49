"""`betanas report`: a study as one HTML file, or a single figure or table of it."""

from __future__ import annotations

import re
import shlex
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
    pdf = "pdf"
    csv = "csv"
    json = "json"
    latex = "latex"


_SUFFIXES = {each: f".{each.value}" for each in Format} | {Format.latex: ".tex"}
_FORMATS = {suffix: each for each, suffix in _SUFFIXES.items()} | {".htm": Format.html}


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
            help="html is the whole report or a figure; png, svg and pdf a figure; csv and latex a table; json either. "
            "Where not given, what the file's name ends in; else html."
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

    chosen = _chosen(format, output)
    with Study.open(study) as opened:
        snapshot = StudySnapshot.of(opened)
    name = re.sub(r"[^\w.-]+", "-", f"{snapshot.name}-{only or 'report'}")
    target = output or Path(f"{name}{_SUFFIXES[chosen]}")
    notes: list[str] = []
    if chosen is Format.html and only is None:
        from betanas.analysis.report import build_report

        made = build_report(snapshot)
        content = made.html.encode()
        notes = [f"{piece} could not be made: {reason}" for piece, reason in made.failed.items()]
    else:
        from betanas.analysis.singles import single_piece

        content = single_piece(snapshot, only, chosen.value)
    _write(target, content)
    out.print(f"{target} ({len(content) / 2**20:.2f} MiB)", markup=False)
    for note in notes:
        console(stderr=True).print(note, markup=False)


def _chosen(typed: Format | None, output: Path | None) -> Format:
    """The format that was typed, or that the file's name ends in.

    Raises:
        AnalysisError: the name ends in none that is written, or in another than was typed.
    """
    from betanas.analysis.errors import AnalysisError

    suffix = output.suffix.lower() if output is not None else ""
    named = _FORMATS.get(suffix)
    if typed is not None and named in (None, typed):
        return typed
    if output is not None and named is None and suffix:
        raise AnalysisError(
            f"What a file holds is told by the end of its name: {', '.join(_SUFFIXES.values())}.",
            value=str(output),
            hint=f"Type, for example, --output {shlex.quote(str(output.with_suffix('.svg')))}, or add --format.",
        )
    if named is not None and typed is not None:
        raise AnalysisError(
            f"A file whose name ends in {suffix} holds {named.value}.",
            value=f"--format {typed.value} --output {output}",
            hint=f"Leave --format out, or type a name that ends in {_SUFFIXES[typed]}.",
        )
    return named or Format.html


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
