"""`betanas status` and `betanas best`: how a study stands, and what it found."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from betanas.blocks import space_title
from betanas.cli.answer import measured_answer, show_answer
from betanas.cli.output import console, cost_line, layer_table, print_json, shown, vector_line
from betanas.quantities import format_count, format_latency, format_seconds

StudyArgument = Annotated[str, typer.Argument(help="The study's directory, or its PostgreSQL URL.")]
TrustOption = Annotated[
    bool,
    typer.Option("--trust-files", help="Trust what it names: run its Python files, use its addresses and folders."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class By(StrEnum):
    """Which best network is wanted."""

    confirmed = "confirmed"
    observed = "observed"
    model = "model"


def status(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show how a study stands: trials, best network so far, time spent."""
    from betanas.search.damaged import left_out
    from betanas.search.study import Study

    with Study.open(study) as opened:
        found = opened.status()
    if as_json:
        print_json(found)
        return
    trials, best, out = found["trials"], found["best"], console()
    out.print(f"[bold]{shown(found['study'])}[/bold]: {found['state']}")
    if found["kind"] == "search":
        out.print(
            f"  {shown(space_title(found['space'], found['blocks']))} on {shown(found['data'])} "
            f"at {found['resolution']}x{found['resolution']}, {found['budget']} a trial, "
            f"strategy {shown(found['strategy'])}"
        )
    else:
        out.print(f"  comparison of {shown(', '.join(found['networks']) or 'nothing yet')}")
    if damaged := left_out(found["damaged"]):
        out.print(f"  [yellow]{shown(damaged)}[/yellow]")
    counts = [f"{trials[name]} {name.replace('_', ' ')}" for name in trials if name != "planned" and trials[name]]
    planned = f", of {trials['planned']} planned" if trials["planned"] else ""
    out.print(f"  trials: {', '.join(counts) or 'none yet'}{planned}")
    if best:
        which = f"trial {best['trial']}" if found["kind"] == "search" else shown(best["name"])
        latency = best.get("latency")
        quick = f", {format_latency(latency)} an answer predicted" if latency is not None else ""
        out.print(f"  best: {which}, accuracy {best['accuracy']:.2%}, {format_count(best['params'])} parameters{quick}")
    if found.get("advice"):
        out.print(f"  [yellow]{found['advice']}[/yellow]")
    for lesson in found.get("lessons", ()):
        out.print(f"  learned from: {lesson['trials']} trials of {shown(lesson['title'])}", soft_wrap=True)
    if found.get("baselines"):
        out.print(f"  for comparison: {_baselines_line(found['baselines'])}")
    if found.get("bounds"):
        out.print(f"  [yellow]{shown(found['bounds'])}[/yellow]", soft_wrap=True)
    if found.get("stopping"):
        out.print(f"  {_stopping_line(found['stopping'])}")
    if found.get("front"):
        out.print(f"  front: trials {', '.join(str(one['trial']) for one in found['front'])}, the cheapest first")
    out.print(
        f"  time: {format_seconds(found['wall_seconds'])} in {found['sessions']} session(s), "
        f"of which {format_seconds(found['training_seconds'])} training"
        + (f"; a typical trial saw the training images {found['epochs']:.3g} times" if found["epochs"] else "")
    )
    if found["state"] in ("interrupted", "paused", "failed"):
        out.print(f"  go on with: betanas resume {shown(shlex.quote(found['study']))}", soft_wrap=True)


def _baselines_line(baselines: list[dict[str, Any]]) -> str:
    """What the networks that were trained first have reached."""
    return ", ".join(
        f"{one['name']} {one['accuracy']:.2%} ({format_count(one['params'])} parameters)"
        if one["accuracy"] is not None and one["state"] == "completed"
        else f"{one['name']} {one['state']}"
        for one in baselines
    )


def _stopping_line(found: dict[str, Any]) -> str:
    """What early stopping saved, and how often it was wrong."""
    line = (
        f"stopped early: {found['stopped']} of {found['trials']} trials, which saved "
        f"{format_seconds(found['saved_seconds'])} ({found['saved_share']:.0%} of the training)"
    )
    if not found["controls"]:
        return f"{line}; how often that was wrong is not known yet"
    return (
        f"{line}; of {found['controls']} that were trained to the end all the same, {found['wrong']} would have been "
        f"stopped wrongly (95% interval of the share: {found['wrong_low']:.0%} to {found['wrong_high']:.0%})"
    )


def best(
    study: StudyArgument,
    by: Annotated[
        By | None,
        typer.Option(
            help="The best mean of fresh trainings, the best trial, or the maximum of the strategy's model (in general "
            "never trained). Without it: the confirmed one where there is one, and else the best trial."
        ),
    ] = None,
    trust_files: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a study's best network: accuracy, cost, layers."""
    from betanas.search.study import Study

    with Study.open(study) as opened:
        found, plan = opened.best(by.value if by else None, trust_files=trust_files), opened.plan
        on_bounds = opened.on_bounds()
    if as_json:
        answer = measured_answer(found.blueprint, plan.limits)
        print_json(
            {
                "study": opened.location,
                "by": found.by,
                "trial": found.trial,
                "accuracy": found.accuracy,
                "objective": found.objective,
                "share": found.share,
                "deviation": found.deviation,
                "interval": asdict(found.interval) if found.interval else None,
                "params": found.blueprint.num_params,
                "macs": found.blueprint.macs,
                "latency": answer.predicted if answer else None,
                "latency_measured": answer.measured if answer else None,
                "vector": dict(found.vector),
                "bounds": on_bounds,
                "blueprint": found.blueprint.to_dict(),
            }
        )
        return
    out = console()
    where = f"Trial {found.trial}" if found.trial is not None else "The model's maximum"
    if found.interval is not None:
        headline = (
            f"{where}: accuracy {found.interval.mean:.2%} after {plan.training.budget} of fresh training "
            f"({found.interval.words('{:.2%}'.format)})"
        )
    elif found.trial is not None:
        headline = f"{where}: accuracy {found.accuracy:.2%} after {plan.training.budget.part(found.share)} of training"
    else:
        headline = f"{where}: {found.objective:.4f} ± {found.deviation:.4f} predicted, not trained yet"
    out.print(f"[bold]{headline}[/bold]")
    out.print(layer_table(found.blueprint))
    out.print(cost_line(found.blueprint, plan.batch_size))
    show_answer(out, found.blueprint, plan.limits)
    out.print(vector_line(found.vector))
    if on_bounds:
        out.print(f"[yellow]{shown(on_bounds)}[/yellow]", soft_wrap=True)
