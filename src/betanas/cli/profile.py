"""`betanas profile`: what networks take on this machine, measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from betanas.cli.calibration import make_table, write_for_device
from betanas.cli.describe import BlocksOption, read_vector
from betanas.cli.networks import is_study, refuse_blocks, sizes_or
from betanas.cli.output import console, print_json
from betanas.cli.study import JsonOption
from betanas.cli.train import DeviceOption, RecipeOption
from betanas.errors import BlueprintError, StudyError, did_you_mean
from betanas.quantities import format_bytes, format_count, format_latency

if TYPE_CHECKING:
    from rich.table import Table

    from betanas.blueprint import Blueprint
    from betanas.profiling import Measurement, Subject
    from betanas.search.study import Study

_TABLE = "A latency table"

_RESOLUTION, _CLASSES, _CHANNELS = 224, 100, 3  # the report's, where the network does not bring its own


class Runtime(StrEnum):
    """How a network is run."""

    eager = "eager"
    compiled = "compiled"
    onnxruntime = "onnxruntime"


def profile(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Vectors' or blueprints' JSON files, studies (their leaders), folders of betanas train, spaces, named "
            "networks.",
            show_default=False,
        ),
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images: the network's own, else 224.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes to tell apart: the network's own, else 100.")] = None,
    channels: Annotated[int | None, typer.Option(help="Channels of the images: the network's own, else 3.")] = None,
    blocks: BlocksOption = "ordinary",
    leaders: Annotated[int, typer.Option(min=1, help="How many of a study's best networks.")] = 3,
    runtime: Annotated[
        list[Runtime] | None, typer.Option(help="May be repeated; without it, all three.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images an answer.")] = 1,
    training: Annotated[
        bool, typer.Option("--training/--no-training", help="Whether training steps are measured too.")
    ] = True,
    training_batch: Annotated[int | None, typer.Option(min=1, help="Images a training step: the recipe's.")] = None,
    recipe: RecipeOption = "fast",
    device: DeviceOption = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads of the processor: torch's own choice.")] = None,
    warm_up: Annotated[int, typer.Option(help="Calls before the first that counts.")] = 5,
    repeats: Annotated[int, typer.Option(help="Calls that count.")] = 30,
    at_most: Annotated[float, typer.Option(min=0, help="Seconds after which a row begins no further call.")] = 60.0,
    energy: Annotated[bool, typer.Option("--energy/--no-energy", help="Whether energy is measured too.")] = True,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Make a latency table instead, for --max-latency.", rich_help_panel=_TABLE),
    ] = False,
    table: Annotated[Path, typer.Option(help="Where the table is written.", rich_help_panel=_TABLE)] = Path(
        "latency.json"
    ),
    calibrate_for: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds; 105 where not given.", rich_help_panel=_TABLE, show_default=False),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option("--from", help="Measurements of another device, by its measure.py.", rich_help_panel=_TABLE),
    ] = None,
    for_device: Annotated[
        Path | None,
        typer.Option(help="Write what measures another device to this new folder.", rich_help_panel=_TABLE),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure networks on this machine: time of an answer and of a training step, and energy where it is counted."""
    if calibrate:
        if networks:
            raise BlueprintError(
                "A latency table is made of random networks.", value=", ".join(networks), hint="Leave them out."
            )
        if for_device is not None:
            write_for_device(for_device, as_json=as_json)
            return
        make_table(
            table,
            measured=measured,
            runtimes=[each.value for each in runtime or ()],
            threads=threads,
            batch_size=batch_size,
            seconds=calibrate_for,
            as_json=as_json,
        )
        return
    if not networks:
        raise BlueprintError("A network must be named.", hint="Type, for example, betanas profile betanet3.")
    if measured is not None or for_device is not None:
        raise BlueprintError("--from and --for-device belong to a latency table.", hint="Add --calibrate.")

    from betanas.profiling import Conditions, measure_inference, measure_training
    from betanas.training.device import resolve_device
    from betanas.training.recipe import load_recipe

    settings = load_recipe(recipe)
    conditions = Conditions(
        resolve_device(device),
        threads=threads,
        warm_up=warm_up,
        repeats=repeats,
        at_most=at_most,
        energy_seconds=1.0 if energy else 0.0,
    )
    sizes = (resolution, classes, channels)
    subjects = [subject for name in networks for subject in _subjects(name, sizes, leaders, blocks)]
    rows: list[Measurement] = []
    for subject in subjects:
        rows += [
            measure_inference(subject, conditions, runtime=each.value, batch_size=batch_size)
            for each in runtime or list(Runtime)
        ]
        if training:
            step = training_batch or settings.batch_size
            rows.append(measure_training(subject, conditions, settings, batch_size=step))
    if as_json:
        print_json(_document(rows, conditions.warm_up))
        return
    out = console()
    out.print(f"{rows[0].device}; medians and quartiles of up to {repeats} calls after {warm_up} to warm up")
    for (network, _), of_one in groupby(rows, key=lambda row: (row.network, row.resolution)):
        out.print(_table(network, list(of_one)))
    for note in dict.fromkeys(row.energy_from for row in rows if row.energy_from):
        out.print(f"Energy: {note}.", soft_wrap=True)
    for row in rows:
        if row.reason:
            out.print(f"{row.network}, {row.runtime}: {row.reason}", soft_wrap=True, markup=False)


def _subjects(
    name: str, sizes: tuple[int | None, int | None, int | None], leaders: int, blocks: str
) -> Iterator[Subject]:
    from betanas.export.sidecar import read_sidecar
    from betanas.library import library_networks
    from betanas.models import available_networks
    from betanas.profiling import Subject
    from betanas.spaces import available_spaces, published
    from betanas.training.kept import SIDECAR

    path = Path(name)
    if name not in available_spaces() and (is_study(name) or not (path.is_file() or name == "-")):
        refuse_blocks(blocks, name)
    if name in available_networks():
        yield _benchmark(name, *_asked(sizes))
    elif name in available_spaces():
        yield Subject.of_blueprint(name, _constructed(name, published(name), sizes, blocks))
    elif (named := library_networks().get(name)) is not None:
        own = named.blueprint
        resolution, classes, channels = _asked(sizes, (own.resolution, own.num_classes, own.in_channels))
        yield Subject.of_blueprint(name, named.at(resolution=resolution, num_classes=classes, in_channels=channels))
    elif (path / SIDECAR).is_file():
        trained = read_sidecar(path / SIDECAR)
        if trained.blueprint is not None:
            yield Subject.of_blueprint(path.name, trained.blueprint)
        else:
            yield _benchmark(str(trained.architecture), trained.resolution, trained.num_classes, trained.in_channels)
    elif is_study(name):
        from betanas.search.study import Study

        with Study.open(name) as study:
            for index, blueprint in _leaders(study, leaders):
                yield Subject.of_blueprint(f"{study.name}, trial {index}", blueprint)
    elif path.is_file() or name == "-":
        yield Subject.of_blueprint(path.stem, _from_file(path, sizes, blocks))
    else:
        known = (*available_spaces(), *available_networks(), *library_networks())
        raise BlueprintError(
            "A network must be a vector's or a blueprint's file, a study, a trained network's folder, or a name.",
            value=name,
            hint=did_you_mean(name, known, f"The names are {', '.join(known)}."),
        )


def _asked(
    sizes: tuple[int | None, int | None, int | None],
    own: tuple[int, int, int] = (_RESOLUTION, _CLASSES, _CHANNELS),
) -> tuple[int, int, int]:
    """Resolution, classes and channels: what was typed, and else the network's own."""
    return sizes_or(sizes, own)


def _constructed(
    space: str, vector: Mapping[str, float], sizes: tuple[int | None, int | None, int | None], blocks: str
) -> Blueprint:
    from betanas.spaces import get_space

    resolution, classes, channels = _asked(sizes)
    described = get_space(space, blocks=blocks)
    return described.blueprint(vector, resolution=resolution, num_classes=classes, in_channels=channels)


def _benchmark(name: str, resolution: int, classes: int, channels: int) -> Subject:
    from betanas.profiling import Subject
    from betanas.search.propose.listed import benchmark_entrant

    found = benchmark_entrant(name, resolution=resolution, num_classes=classes, in_channels=channels)
    return Subject(
        name=name,
        build=found.build,
        architecture=name,
        resolution=resolution,
        num_classes=classes,
        in_channels=channels,
        params=found.params,
        macs=found.macs,
    )


def _from_file(path: Path, sizes: tuple[int | None, int | None, int | None], blocks: str) -> Blueprint:
    """The blueprint in a file, or the one that the vector in it describes."""
    from betanas.blueprint import Blueprint
    from betanas.spaces import space_with

    try:
        found = Blueprint.load(path)
    except BlueprintError:
        vector = read_vector(path)
        return _constructed(space_with(vector), vector, sizes, blocks)
    refuse_blocks(blocks, path.name)
    return found


def _leaders(study: Study, count: int) -> Iterator[tuple[int, Blueprint]]:
    """A study's best networks, each once, with the trial it was found in.

    Raises:
        StudyError: no trial has a result.
    """
    trials = [trial for trial in study.trials() if trial.state == "completed" and trial.objective is not None]
    if not trials:
        raise StudyError("A study must have a completed trial before its networks can be measured.", value=study.name)
    best = sorted(trials, key=lambda trial: (-(trial.objective or 0.0), trial.index))
    found: dict[str, int] = {}
    for trial in best:
        found.setdefault(trial.blueprint_key, trial.index)
    for index in list(found.values())[:count]:
        yield index, study.blueprint(index)


def _document(rows: list[Measurement], warm_up: int) -> dict[str, Any]:
    from betanas.environment import hardware, versions

    return {
        "hardware": hardware(),
        "versions": versions(),
        "warm_up": warm_up,
        "rows": [asdict(row) | {"images_per_second": row.images_per_second} for row in rows],
    }


def _table(network: str, rows: list[Measurement]) -> Table:
    from rich.table import Table

    first = rows[0]
    size = f"{format_count(first.params)} parameters, {format_count(first.macs)} MACs"
    title = f"{network}: {first.resolution} pixels, {size}"
    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    table.add_column("What")
    table.add_column("Runtime")
    for heading in ("Batch", "Time", "Quartiles", "Images/s", "Energy", "Memory"):
        table.add_column(heading, justify="right")
    for row in rows:
        timing, rate = row.timing, row.images_per_second
        table.add_row(
            row.what,
            row.runtime,
            str(row.batch_size),
            format_latency(timing.median) if timing else "-",
            f"{format_latency(timing.q1)} to {format_latency(timing.q3)}" if timing else "-",
            f"{rate:,.1f}" if rate is not None else "-",
            f"{row.joules:.3g} J" if row.joules is not None else "-",
            format_bytes(row.memory) if row.memory is not None else "-",
        )
    return table
