"""`betanas search`, `betanas resume` and `betanas join`."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from betanas.cli.answer import measured_answer, warn_of_drift
from betanas.cli.interruption import going_on
from betanas.cli.options import MACHINE, RESUME, SAME_DATA, SEARCH, Given, with_settings
from betanas.cli.output import lasting_console, print_json
from betanas.cli.study import StudyArgument, TrustOption
from betanas.errors import StudyError

if TYPE_CHECKING:
    from betanas.search.study import Study

StatusJsonOption = Annotated[bool, typer.Option("--json", help="At the end, print the study's status as JSON.")]


@with_settings(*SEARCH)
def search(
    given: Given,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file with any of these settings.", rich_help_panel="What to search"),
    ] = None,
    as_json: StatusJsonOption = False,
) -> None:
    """Search for the network that learns the most within a training budget.

    With --data alone, a place, a space, a resolution, a budget and a time are chosen to fit the images, and said.

    Example: betanas search --data photos/ --space betanet3 --study runs/photos --budget 60s --trials 40
    """
    from betanas.search.settings import SearchSettings, read_config

    typed = {**(read_config(config) if config else {}), **given}
    if typed.get("data") is not None:
        typed = {**_chosen(typed, as_json), **typed}
    settings = SearchSettings(**typed)
    warn_of_drift(lasting_console(stderr=as_json), settings.limits)
    _watch(as_json, lambda listener: _search(settings, listener))


@with_settings(*RESUME, SAME_DATA)
def resume(
    study: StudyArgument, given: Given, trust_files: TrustOption = False, as_json: StatusJsonOption = False
) -> None:
    """Go on with a search that was interrupted, killed, or is to run more trials."""
    _go_on(study, given, trust_files, as_json)


@with_settings(*MACHINE, SAME_DATA)
def join(
    study: Annotated[
        str, typer.Argument(help="The study's PostgreSQL URL: postgresql://user@host/database?study=NAME.")
    ],
    given: Given,
    trust_files: TrustOption = False,
    as_json: StatusJsonOption = False,
) -> None:
    """Let this machine take part in a search that others run too, through a PostgreSQL database.

    Start it on one machine with betanas search --study postgresql://..., and join from as many others as you like. A
    machine that dies is noticed within a minute and its trials are started again elsewhere.
    """
    from betanas.search.store.location import StudyLocation

    if StudyLocation.parse(study).directory is not None:
        raise StudyError(
            "Several machines share a study through a PostgreSQL database.",
            value=study,
            hint="Type its URL, for example postgresql://user@host/database?study=first; or betanas resume.",
        )
    _go_on(study, given, trust_files, as_json)


def _go_on(study: str, given: Given, trust_files: bool, as_json: bool) -> None:
    from betanas.search.settings import ResumeSettings

    changes = ResumeSettings(**given, trust_files=trust_files)
    _watch(as_json, lambda listener: _resume(study, changes, listener))


def _chosen(typed: Given, as_json: bool) -> Given:
    """What is chosen where it was not typed; it is said."""
    from betanas.finding.searching import chosen_settings

    chosen = chosen_settings(typed)
    if chosen:
        said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())
        lasting_console(stderr=as_json).print(f"Chosen: {said}", markup=False, soft_wrap=True)
    return chosen


def _search(settings: Any, listener: Any) -> Any:
    from betanas.search.run import search as run_search

    return run_search(settings, listener=listener)


def _resume(study: str, changes: Any, listener: Any) -> Any:
    from betanas.search.run import resume as run_resume

    return run_resume(study, changes, listener=listener)


def _with_measured_answer(study: Study, status: dict[str, Any]) -> dict[str, Any]:
    """A search's status at its end: the best network's latency is measured where its table's machine is at hand."""
    best = status["best"]
    if status["kind"] == "search" and best is not None:
        found = measured_answer(study.blueprint(best["trial"]), study.plan.limits)
        best["latency_measured"] = found.measured if found else None
    return status


def _watch(as_json: bool, work: Any) -> None:
    """Run a search before a person's eyes, and show what it found."""
    from betanas.cli.reporting import make_reporter, show_result
    from betanas.cli.reporting.remarks import broken_images_noted

    out = lasting_console(stderr=as_json)
    reporter = make_reporter(out)

    def going_on_with() -> str:
        if not reporter.location:
            return "Interrupted before anything was written."
        return f"Interrupted. What has finished is kept; go on with: betanas resume {shlex.quote(reporter.location)}"

    with broken_images_noted(reporter.on_note), going_on(going_on_with), closing(reporter), work(reporter) as study:
        status = study.status()
        if as_json:
            print_json(_with_measured_answer(study, status))
        else:
            show_result(out, study, status)
