"""`betanas bench ddp`: epoch time against the number of processes (Figure 17)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from betanas.cli.networks import find_network
from betanas.cli.options import Given, filled, with_settings
from betanas.cli.output import console, print_json
from betanas.cli.train import DeviceOption
from betanas.errors import QuantityError
from betanas.search.settings import SETTINGS

bench = typer.Typer(help="Measure this machine.", no_args_is_help=True)

_BAR = 40


_SHARED = tuple(
    replace(SETTINGS[name], default=default, panel="")
    for name, default in (("data", "digits"), ("resolution", 32), ("recipe", "fast"), ("compression", "fp16"))
)


@bench.command()
@with_settings(*_SHARED)
def ddp(
    given: Given,
    network: Annotated[str, typer.Argument(help="A space, or a blueprint's file.")] = "betanet3",
    processes: Annotated[str, typer.Option(help="Numbers of processes, with commas.")] = "1,2",
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps to measure, for each number.")] = 20,
    device: DeviceOption = "auto",
    keep: Annotated[str | None, typer.Option(help="A study that keeps the result, for its report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure how long a pass over the training images takes with several processes, and draw Figure 17."""
    from betanas.blueprint import Blueprint
    from betanas.data import load_splits, open_source
    from betanas.search.study import Study
    from betanas.training.budget import Budget
    from betanas.training.recipe import load_recipe
    from betanas.training.together import require_accelerate

    require_accelerate()
    from betanas.training.distributed import TrialJob, launch_trial

    counts = _counts(processes)
    if keep is not None:
        Study.open(keep).close()  # one that is not there is refused before anything is measured
    chosen = filled(given, *_SHARED)
    source, resolution = open_source(chosen["data"]), chosen["resolution"]
    entrant = find_network(network, source=source, resolution=resolution)
    job = TrialJob(
        splits=load_splits(source, resolution=resolution, seed=0),
        blueprint=Blueprint.from_dict(entrant.architecture),
        resolution=resolution,
        recipe=load_recipe(chosen["recipe"]).with_settings(evaluations=1),
        budget=Budget(steps, "steps"),
        compression=chosen["compression"],
        device=device,
    )
    out = console(stderr=as_json)
    seconds: dict[int, float] = {}
    for count in counts:
        result = launch_trial(job, processes=count)
        if result.outcome != "completed":
            out.print(f"{count}: {result.reason}")
            continue
        seconds[count] = result.training_seconds / result.epochs
        if not as_json:
            out.print(f"{count}: {seconds[count]:.2f} s an epoch on {result.device}")
    if keep is not None and seconds:
        entries = [{"processes": count, "epoch_seconds": [found]} for count, found in seconds.items()]
        title = f"{entrant.name} at {resolution}x{resolution}, gradients {chosen['compression']}"
        document = {"format": 1, "title": title, "network": entrant.name, "data": source.name, "entries": entries}
        with Study.open(keep, read_only=False) as study:
            study.attach("profile", "processes", document)
    if as_json:
        print_json(
            {
                "network": entrant.name,
                "resolution": resolution,
                "compression": chosen["compression"],
                "epochs": [{"processes": count, "seconds": found} for count, found in seconds.items()],
            }
        )
        return
    out.print("\n[bold]Seconds an epoch against processes[/bold]")
    for count, found in seconds.items():
        out.print(f"{count:>3}  {'█' * max(1, round(_BAR * found / max(seconds.values())))} {found:.2f}")


def _counts(text: str) -> list[int]:
    try:
        counts = [int(each) for each in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise QuantityError("Numbers of processes must be positive, with commas.", value=text, hint="Type 1,2,4.")
    return counts
