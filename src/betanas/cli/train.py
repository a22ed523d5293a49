"""`betanas train`: one network to convergence, resumable, judged on the test set once at the end."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from betanas.cli.networks import find_network
from betanas.cli.output import console, print_json
from betanas.quantities import format_seconds

if TYPE_CHECKING:
    from betanas.training.result import CurvePoint

NetworkArgument = Annotated[
    str, typer.Argument(help="A study's directory, a space, a benchmark network, or a blueprint's file.")
]
DataOption = Annotated[str, typer.Option("--data", help="A data source's name, or a folder of images.")]
ResolutionOption = Annotated[int, typer.Option(min=8, help="Side of the training images, in pixels.")]
RecipeOption = Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
PatienceOption = Annotated[int, typer.Option(min=0, help="Evaluations without progress that end it; 0 for none.")]


def train(
    network: NetworkArgument,
    folder: Annotated[Path, typer.Option(help="Where the training is kept; the same command goes on with it.")],
    data: DataOption = "digits",
    resolution: ResolutionOption = 32,
    budget: Annotated[str, typer.Option(help="At most so long: 100epochs, 2h, 5000steps.")] = "100epochs",
    recipe: RecipeOption = "fast",
    patience: PatienceOption = 0,
    seed: Annotated[int, typer.Option(help="Of the split, the weights, the order and the augmentation.")] = 0,
    device: DeviceOption = "auto",
    track: Annotated[str | None, typer.Option(help="tensorboard, wandb or mlflow.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train one network to convergence; interrupted, the same command goes on where it was."""
    from betanas.data import load_splits, load_test, open_source
    from betanas.training.budget import Budget
    from betanas.training.engine import TrialEngine
    from betanas.training.long import LongPlan, LongTraining
    from betanas.training.recipe import load_recipe
    from betanas.training.tracking import AcceleratedTracker

    Budget.parse(budget)
    settings, source = load_recipe(recipe), open_source(data)
    entrant = find_network(network, source=source, resolution=resolution)
    plan = LongPlan(
        architecture=entrant.architecture,
        data={"source": source.name, "fingerprint": source.fingerprint},
        resolution=resolution,
        recipe=settings.to_dict(),
        budget=budget,
        seed=seed,
        patience=patience,
    )
    engine = TrialEngine(
        load_splits(source, resolution=resolution, seed=seed), resolution=resolution, recipe=settings, device=device
    )
    tracker = (
        AcceleratedTracker(track, folder=folder, project="betanas", settings={**plan.recipe, "budget": budget})
        if track
        else None
    )
    out = console(stderr=as_json)

    def show(point: CurvePoint) -> None:
        out.print(
            f"epoch {point.epoch:.1f}  {format_seconds(point.seconds)}  loss {point.loss:.3f}  "
            f"validation {point.accuracy:.2%}"
        )

    training = LongTraining(folder, plan, engine=engine, build=entrant.build, tracker=tracker)
    test = load_test(source, resolution=resolution) if source.has_test else None
    result = training.run(test=test, on_point=show)
    if as_json:
        print_json({"folder": str(folder), "network": entrant.name, "params": entrant.params, **asdict(result)})
        return
    out.print(f"[bold]{entrant.name}[/bold]: validation top-1 {result.top1:.2%}")
    if result.test_top1 is not None:
        out.print(f"  test top-1 {result.test_top1:.2%}")
    out.print(
        f"  {result.epochs:.1f} epochs in {format_seconds(result.training_seconds)} of training; kept in {folder}"
    )
