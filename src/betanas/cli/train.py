"""`betanas train`: one network to convergence, resumable, judged on the test set once at the end."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from betanas.cli.describe import BlocksOption
from betanas.cli.inherited import TAUGHT_BY, TRAINED_ON, TrainedOn, finetuned, taught, training_for
from betanas.cli.interruption import going_on
from betanas.cli.networks import find_networks
from betanas.cli.options import Given, filled, with_settings
from betanas.cli.output import console, print_json
from betanas.cli.study import TrustOption
from betanas.errors import BetanasError, DataError, DeviceError, RecipeError
from betanas.pretrained.timm_networks import is_timm
from betanas.quantities import format_seconds
from betanas.search.settings import SETTINGS
from betanas.training.budget import Budget

if TYPE_CHECKING:
    from betanas.training.compression import Compression
    from betanas.training.result import CurvePoint, TrialResult
    from betanas.training.teaching.teacher import Teacher

NetworkArgument = Annotated[
    str,
    typer.Argument(help="A study's directory, a space, a benchmark network, timm:NAME, or a blueprint's file."),
]
RecipeOption = Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
PatienceOption = Annotated[int, typer.Option(min=0, help="Evaluations without progress that end it; 0 for none.")]

# Where a training's evaluations are printed.
Told = Literal["stdout", "stderr", "nowhere"]

_GOES_ON = "Interrupted. The same command goes on from the last evaluation."

_OWN = tuple(
    replace(SETTINGS[name], default=default, panel="Training", help=what)
    for name, default, what in (
        ("budget", Budget(100, "epochs"), "At most this long: 100epochs, 2h, 5000steps."),
        ("seed", 0, "Of the split, the weights, the order and the augmentation."),
        ("compression", "none", "Of gradients between the processes."),
    )
)


TRAINED_WITH = (*TRAINED_ON, *TAUGHT_BY, *_OWN)


@with_settings(*TRAINED_WITH)
def train(
    network: NetworkArgument,
    folder: Annotated[Path, typer.Option(help="Where the training is kept; the same command goes on with it.")],
    given: Given,
    patience: PatienceOption = 0,
    device: DeviceOption = "auto",
    blocks: BlocksOption = "ordinary",
    trial: Annotated[int | None, typer.Option(help="A trial of the study, instead of its best network.")] = None,
    trust_files: TrustOption = False,
    track: Annotated[str | None, typer.Option(help="tensorboard, wandb or mlflow.")] = None,
    processes: Annotated[
        int,
        typer.Option(help="Processes that train together, each on a batch of its own; on GPUs, one for each."),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train one network to convergence; interrupted, the same command goes on where it was.

    A study's network trains on the study's images with its recipe, unless others are typed. Under torchrun, which
    starts the processes itself, leave --processes out.
    """
    with going_on(lambda: _GOES_ON):
        document = run_train(
            network,
            folder,
            given,
            patience=patience,
            device=device,
            blocks=blocks,
            trial=trial,
            trust_files=trust_files,
            track=track,
            processes=processes,
            told="stderr" if as_json else "stdout",
        )
    if not _speaks():
        return
    if as_json:
        print_json(document)
        return
    out = console()
    out.print(f"[bold]{document['network']}[/bold]: validation top-1 {document['top1']:.2%}")
    if document["test_top1"] is not None:
        out.print(f"  test top-1 {document['test_top1']:.2%}")
    out.print(
        f"  {document['epochs']:.1f} epochs in {format_seconds(document['training_seconds'])} of training; "
        f"kept in {folder}"
    )


def run_train(
    network: str,
    folder: Path,
    given: Given,
    *,
    patience: int = 0,
    device: str = "auto",
    blocks: str = "ordinary",
    trial: int | None = None,
    trust_files: bool = False,
    track: str | None = None,
    processes: int = 1,
    told: Told = "stdout",
) -> dict[str, Any]:
    """Train one network, as the command's options say; the result as plain JSON.

    `given` holds settings of `TRAINED_WITH` by name; `told` is where evaluations are printed.
    """
    from betanas.training.together import require_accelerate, under_torchrun

    if processes > 1 or under_torchrun():
        require_accelerate()
    from betanas.training.launch import launch, usable_device

    chosen, on = filled(given, *_OWN), training_for([network], given, trusted=trust_files)
    if is_timm(network):
        on = finetuned(
            on,
            network,
            flip=given.get("flip"),
            recipe=given.get("recipe", "finetune"),
            resolution=given.get("resolution"),
        )
        if "batch_size" in given:
            on = replace(on, recipe=on.recipe.with_settings(batch_size=given["batch_size"]))
    on, teacher = taught(on, given, chosen["budget"])
    wanted = _Training(
        network=network,
        folder=folder,
        on=on,
        teacher=teacher,
        budget=chosen["budget"],
        seed=chosen["seed"],
        compression=chosen["compression"],
        patience=patience,
        device=device,
        trial=trial,
        blocks=blocks,
        trust_files=trust_files,
        track=track,
        told=told,
    )
    if processes == 1:
        return _train(wanted)
    wanted = replace(wanted, device=usable_device(device, processes=processes))
    return launch(_train, wanted, processes=processes, device=wanted.device)


@dataclass(frozen=True)
class _Training:
    """What was asked for."""

    network: str
    folder: Path
    on: TrainedOn
    teacher: Teacher | None
    budget: Budget
    seed: int
    compression: Compression
    patience: int
    device: str
    trial: int | None
    blocks: str
    trust_files: bool
    track: str | None
    told: Told


def _speaks() -> bool:
    """Whether this process is the one that prints, among those that torchrun or this command started."""
    return int(os.environ.get("RANK", "0")) == 0


def _train(wanted: _Training) -> dict[str, Any]:
    """Train, alone or as one of several processes; gives what the command prints."""
    from betanas.data import open_source
    from betanas.data.cores import cores
    from betanas.models.architecture import build_network
    from betanas.training.device import resolve_device
    from betanas.training.job import Job, JobImages
    from betanas.training.processes import OneProcess, Processes
    from betanas.training.threads import threads_for
    from betanas.training.together import under_torchrun
    from betanas.training.tracking import AcceleratedTracker
    from betanas.training.trainer import Trainer

    source = open_source(wanted.on.data)
    recipe = wanted.on.recipe.on(resolve_device(wanted.device).type, wanted.budget)
    (entrant,) = find_networks(
        [wanted.network],
        source=source,
        resolution=wanted.on.resolution,
        trials=() if wanted.trial is None else (wanted.trial,),
        trusted=wanted.trust_files,
        blocks=wanted.blocks,
    )
    processes: Processes = OneProcess()
    device, threads = wanted.device, None
    if under_torchrun():
        from betanas.training.distributed import join_processes

        joined = join_processes(wanted.compression, device=wanted.device)
        processes, device, threads = joined, str(joined.device), cores()
    job = Job(
        network=entrant.architecture,
        images=JobImages(
            source.name,
            source.fingerprint,
            wanted.on.resolution,
            split_seed=wanted.seed,
            validation_share=wanted.on.validation_share,
        ),
        recipe=recipe,
        budget=wanted.budget,
        seed=wanted.seed,
        patience=wanted.patience,
        test=True,
        keep=True,
        processes=processes.share.size,
        compression=wanted.compression,
        teacher=wanted.teacher,
    )
    if processes.share.size == 1 and resolve_device(device).type == "cpu":
        shape = (recipe.batch_size, source.in_channels, wanted.on.resolution, wanted.on.resolution)
        network = partial(build_network, entrant.architecture)
        threads = threads_for(network, wanted.budget, shape=shape, classes=len(source.classes))
    trainer = Trainer(device=device, threads=threads, processes=processes)
    tracker = None
    if wanted.track and _speaks():
        tracker = AcceleratedTracker(
            wanted.track,
            folder=wanted.folder,
            project="betanas",
            settings={**recipe.to_dict(), "budget": str(wanted.budget)},
            cpu=processes.share.size == 1 or wanted.device == "cpu",
        )
    out = console(stderr=wanted.told == "stderr")
    out.quiet = wanted.told == "nowhere"
    if job.teacher is not None:
        answers = trainer.answers(job)
        if _speaks():
            out.print(answers.words(job.teacher), markup=False)

    def show(point: CurvePoint) -> bool:
        if tracker is not None:
            values = {"loss": point.loss, "top1": point.accuracy, "epoch": point.epoch, "seconds": point.seconds}
            tracker.log(values, step=point.step)
        if _speaks():
            out.print(
                f"epoch {point.epoch:.1f}  {format_seconds(point.seconds)}  loss {point.loss:.3f}  "
                f"validation {point.accuracy:.2%}"
            )
        return True

    result = trainer.train(job, folder=wanted.folder, on_point=show)
    if tracker is not None:
        tracker.close()
    if result.outcome != "completed":
        raise _failure(result)
    return {"folder": str(wanted.folder), "network": entrant.name, "params": entrant.params, **result.to_dict()}


def _failure(result: TrialResult) -> BetanasError:
    """A training that did not complete, as an error with what to change."""
    if result.cause == "non_finite":
        return RecipeError(
            "The training loss must stay finite.",
            value=result.reason,
            hint="Lower the recipe's learning_rate, or set clip_norm = 1.0.",
        )
    if result.cause == "out_of_memory":
        return DeviceError(
            "The network must fit the device's memory while it trains.",
            value=result.reason,
            hint="Lower --resolution, or batch_size in the recipe.",
        )
    if result.cause == "data":
        return DataError("The images must be readable to the end.", value=result.reason)
    return BetanasError(
        f"The training failed. {result.reason}", hint="The same command goes on from the last evaluation."
    )
