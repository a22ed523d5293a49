"""`betanas compare`: networks side by side under one recipe, over several seeds (Tables 7 and 8)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from betanas.cli.networks import find_networks, images_for
from betanas.cli.output import console, print_json
from betanas.cli.study import TrustOption
from betanas.cli.train import (
    DeviceOption,
    FlipOption,
    PatienceOption,
    RecipeOption,
    StudyDataOption,
    StudyResolutionOption,
)
from betanas.quantities import format_bytes, format_count, format_seconds

if TYPE_CHECKING:
    from betanas.training.comparison import Estimate, Row


def compare(
    networks: Annotated[
        list[str], typer.Argument(help="Studies' directories, spaces, benchmark networks, blueprints' files.")
    ],
    folder: Annotated[Path, typer.Option(help="Where the comparison is kept; the same command goes on with it.")],
    data: StudyDataOption = None,
    resolution: StudyResolutionOption = None,
    budget: Annotated[str, typer.Option(help="60s for equal seconds; 200epochs for convergence.")] = "60s",
    recipe: RecipeOption = "fast",
    flip: FlipOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = 3,
    patience: PatienceOption = 0,
    device: DeviceOption = "auto",
    trial: Annotated[
        list[int] | None, typer.Option(help="A trial of the one study named, instead of its best; repeat for several.")
    ] = None,
    trust_files: TrustOption = False,
    keep: Annotated[str | None, typer.Option(help="A study that keeps the result, for its report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare networks under the same recipe: test accuracy with a 95% interval, cost, speed, memory."""
    from betanas.data import open_source, open_splits, open_test
    from betanas.search.study import Study
    from betanas.training.budget import Budget
    from betanas.training.comparison import Comparison
    from betanas.training.engine import TrialEngine
    from betanas.training.recipe import recipe_for

    Budget.parse(budget)
    if keep is not None:
        Study.open(keep).close()  # one that is not there is refused before anything is trained
    data, resolution = images_for(networks, data=data, resolution=resolution, trusted=trust_files)
    source = open_source(data)
    settings = recipe_for(recipe, mirror_safe=source.mirror_safe, flip=flip)
    entrants = find_networks(networks, source=source, resolution=resolution, trials=trial or (), trusted=trust_files)
    engine = TrialEngine(
        open_splits(source, resolution=resolution, seed=0), resolution=resolution, recipe=settings, device=device
    )
    comparison, out = Comparison(folder), console(stderr=as_json)
    for entry in comparison.run(
        entrants,
        engine=engine,
        data={"source": source.name, "fingerprint": source.fingerprint},
        budget=budget,
        seeds=range(seeds),
        patience=patience,
        test=open_test(source, resolution=resolution) if source.has_test else None,
    ):
        found = f"validation {entry.result.top1:.2%}" if entry.result else entry.reason
        out.print(f"{entry.name}, seed {entry.seed}: {found}")
    if keep is not None:
        with Study.open(keep, read_only=False) as study:
            study.attach("comparison", folder.name, comparison.to_dict())
    if as_json:
        print_json({"folder": str(folder), **comparison.to_dict()})
    else:
        out.print(comparison_table(comparison.table()))


def comparison_table(rows: tuple[Row, ...]) -> Table:
    """Table 7 or 8 of the report: means over seeds, with 95% intervals."""
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("Network")
    for heading in ("Side", "Parameters", "MACs", "Test top-1", "Top-5", "Training", "Images/s", "Memory", "Seeds"):
        table.add_column(heading, justify="right")
    for row in rows:
        done = row.training_seconds.n if row.training_seconds else 0
        table.add_row(
            row.name,
            str(row.resolution),
            format_count(row.params),
            format_count(row.macs),
            _percent(row.top1),
            _percent(row.top5),
            format_seconds(row.training_seconds.mean) if row.training_seconds else "-",
            f"{row.images_per_second.mean:,.0f}" if row.images_per_second else "-",
            format_bytes(row.peak_memory) if row.peak_memory else "-",
            f"{done}" + (f" ({row.failed} failed)" if row.failed else ""),
        )
    return table


def _percent(found: Estimate | None) -> str:
    if found is None:
        return "-"
    margin = f" ± {100 * found.margin:.2f}" if found.margin is not None else ""
    return f"{100 * found.mean:.2f}{margin}"
