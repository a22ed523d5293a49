"""`betanas find`: from a folder of images and a time to a checked model, a report and a paragraph of advice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betanas.cli.interruption import going_on
from betanas.cli.invocation import Invocation
from betanas.cli.options import Given, with_settings
from betanas.cli.output import lasting_console, print_json
from betanas.finding.settable import SETTABLE
from betanas.search.settings import SETTINGS

if TYPE_CHECKING:
    from rich.console import Console

    from betanas.finding.finding import Found

_GOES_ON = "Interrupted. What has finished is kept; the same command goes on with the time that is left."

# What is chosen where it is not typed has no default to show.
_CHOSEN = ("resolution", "budget", "batch_size", "space")
_OPTIONS = tuple(
    replace(SETTINGS[name], default=None, panel="Chosen where not typed") if name in _CHOSEN else SETTINGS[name]
    for name in SETTABLE
)


@with_settings(*_OPTIONS)
def find(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(help="A folder with a folder of images for each class, or a data set's name.", metavar="PHOTOS"),
    ],
    time: Annotated[str, typer.Option(help="Wall-clock for everything: 3m, 1h.", metavar="TIME")],
    to: Annotated[Path, typer.Option(help="The model's folder: a new one, or to go on, the same.")],
    given: Given,
    top: Annotated[
        int | None,
        typer.Option(help="Leaders of the search to train again.", rich_help_panel="Chosen where not typed"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Fresh trainings of each.", rich_help_panel="Chosen where not typed")
    ] = None,
    finetuned: Annotated[
        str | None,
        typer.Option(
            help="A pretrained network, timm:NAME, to fine-tune for a trial's seconds and to set beside the winner.",
            metavar="NAME",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="At the end, print what was measured as JSON.")] = False,
) -> None:
    """Find a network for your images in the time you have: searched, trained, judged, exported and checked.

    Interrupted, the same command goes on with the time that was left.

    Example: betanas find photos/ --time 1h --to model
    """
    began = context.ensure_object(Invocation).began()
    from betanas.cli.reporting.finding import FindReporter
    from betanas.finding.finding import find as find_model

    out = lasting_console(stderr=as_json)
    with FindReporter(out) as reporter, going_on(lambda: _GOES_ON):
        found = find_model(
            data,
            time=time,
            to=to,
            top=top,
            seeds=seeds,
            finetuned=finetuned,
            listener=reporter,
            began=began,
            **given,
        )
    if as_json:
        print_json({"to": str(found.folder), **found.document})
    else:
        _show(out, found)


def _show(out: Console, found: Found) -> None:
    from betanas.cli.output import shown
    from betanas.quantities import format_seconds

    folder = shown(found.folder)
    out.print()
    if found.finished_before:
        out.print(f"This find has finished already; the model is in {folder}. For another, choose another --to.")
    out.print(found.advice, markup=False)
    out.print()
    checked = ", ".join(f"{name} on {images:,} images" for name, images in found.document["verified"].items())
    out.print(f"[bold]{folder}[/bold]: the model, checked ({checked}), and its card", soft_wrap=True)
    if found.report is not None:
        out.print(f"  report     {shown(found.report)}", soft_wrap=True)
    out.print(f"  try it     betanas predict {folder} IMAGE...", soft_wrap=True)
    out.print(f"  the study  betanas dashboard {folder}/search", soft_wrap=True)
    if not found.finished_before:
        out.print(f"Done in {format_seconds(found.document['seconds'])} of {found.document['time']}.")
