"""`betanas compare`: networks side by side under one recipe, over several seeds (Tables 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from betanas.cli.describe import BlocksOption
from betanas.cli.inherited import TAUGHT_BY, TRAINED_ON, finetuned, taught, training_for
from betanas.cli.interruption import going_on
from betanas.cli.networks import find_networks
from betanas.cli.options import MACHINE, Given, with_settings
from betanas.cli.output import console, print_json
from betanas.cli.study import TrustOption
from betanas.cli.train import PatienceOption
from betanas.errors import BlueprintError
from betanas.pretrained.timm_networks import is_timm
from betanas.quantities import MAX_RESOLUTION, MIN_RESOLUTION, format_bytes, format_count, format_seconds
from betanas.search.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from betanas.intervals import MeanInterval
    from betanas.search.compared import ComparedRow

# Characters that every column of a comparison needs.
_WIDE = 120

# Of one network; far more than an interval gains from.
MOST_SEEDS = 1000

_BUDGET = replace(
    SETTINGS["budget"], panel="Training", help="Of each training: 60s for equal seconds; 200epochs for convergence."
)


COMPARED_WITH = (*TRAINED_ON, *TAUGHT_BY, _BUDGET, *MACHINE)


@with_settings(*COMPARED_WITH)
def compare(
    networks: Annotated[
        list[str],
        typer.Argument(help="Studies' directories, spaces, benchmark networks, timm:NAME, blueprints' files."),
    ],
    folder: Annotated[
        str,
        typer.Option(help="Where the comparison is kept, a directory or a PostgreSQL URL; the same command goes on."),
    ],
    given: Given,
    seeds: Annotated[int, typer.Option(min=1, max=MOST_SEEDS, help="Trainings of each network.")] = 3,
    patience: PatienceOption = 0,
    device: Annotated[str | None, typer.Option(help="A device; --devices takes several.", hidden=True)] = None,
    trial: Annotated[
        list[int] | None, typer.Option(help="A trial of the one study named, instead of its best; repeat for several.")
    ] = None,
    blocks: BlocksOption = "ordinary",
    finetune_recipe: Annotated[
        str, typer.Option(help="How pretrained networks (timm:NAME) are trained: a recipe's name, or a TOML file.")
    ] = "finetune",
    finetune_resolution: Annotated[
        int | None,
        typer.Option(
            min=MIN_RESOLUTION,
            max=MAX_RESOLUTION,
            help="Side of their images, in pixels; the others', but at least 96, where not given.",
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="timm's networks begin with random weights, and are trained like the others."
        ),
    ] = False,
    latency: Annotated[
        bool, typer.Option(help="Whether to time an answer of each network: one image, one thread, PyTorch.")
    ] = True,
    trust_files: TrustOption = False,
    keep: Annotated[str | None, typer.Option(help="A study that keeps the result, for its report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare networks for the same budget: test accuracy with a 95% interval, cost, speed, latency, memory.

    Images and recipe are those of the studies named, unless others are typed. Pretrained networks are fine-tuned by a
    recipe of their own, and the others are set against them.

    A comparison is a study: status, resume and report work on it, and it goes on exactly where it was cut off.
    """
    out = console(stderr=as_json)
    with going_on():
        compared = run_compare(
            networks,
            folder,
            given if device is None else {"devices": device, **given},
            say=lambda line: out.print(line, markup=False, soft_wrap=True),
            seeds=seeds,
            patience=patience,
            trials=trial or (),
            blocks=blocks,
            finetune_recipe=finetune_recipe,
            finetune_resolution=finetune_resolution,
            from_scratch=from_scratch,
            latency=latency,
            trust_files=trust_files,
            keep=keep,
        )
    if as_json:
        print_json({"folder": compared.folder, **compared.document})
    else:
        out.print(comparison_table(compared.rows, width=out.width))
        for line in compared.remarks:
            out.print(line, markup=False)


@dataclass(frozen=True)
class Compared:
    """What a comparison came to.

    Attributes:
        folder: where it is kept, as typed.
        rows: the networks, best first.
        remarks: what is to be said of pretrained ones.
        document: everything, as plain JSON.
    """

    folder: str
    rows: tuple[ComparedRow, ...]
    remarks: tuple[str, ...]
    document: dict[str, Any]


def run_compare(
    networks: Sequence[str],
    folder: str,
    given: Given,
    *,
    say: Callable[[str], None],
    seeds: int = 3,
    patience: int = 0,
    trials: Sequence[int] = (),
    blocks: str = "ordinary",
    finetune_recipe: str = "finetune",
    finetune_resolution: int | None = None,
    from_scratch: bool = False,
    latency: bool = True,
    trust_files: bool = False,
    keep: str | None = None,
) -> Compared:
    """Compare networks, as the command's options say.

    `given` holds settings of `COMPARED_WITH` by name; `say` prints a line about each training.
    """
    from betanas.cli.reporting.listed import ListedReporter
    from betanas.data import open_source, prepare
    from betanas.profiling.answers import measured_latencies
    from betanas.search.compared import against_pretrained, compared_rows, comparison_document
    from betanas.search.propose.listed import Entrant, listed
    from betanas.search.settings import MachineSettings
    from betanas.search.store.location import StudyLocation
    from betanas.search.studies.comparison import compare as run_comparison
    from betanas.search.study import Study
    from betanas.training.job import Job, JobImages
    from betanas.training.trainer import Trainer

    if from_scratch and not any(map(is_timm, networks)):
        raise BlueprintError(
            "--from-scratch is for timm's networks: all others begin with random weights anyway.",
            value=", ".join(networks),
            hint="Leave it out, or add one, such as timm:resnet10t.",
        )
    options = {each.name for each in MACHINE}
    machine = MachineSettings(**{name: value for name, value in given.items() if name in options})
    place = StudyLocation.parse(folder)
    if keep is not None:
        Study.open(keep).close()  # one that is not there is refused before anything is trained
    on, budget = training_for(networks, given, trusted=trust_files), given.get("budget", _BUDGET.default)
    source, resolution = open_source(on.data), on.resolution
    # The recipe as it is: its variants follow device and budget, which is what must be alike for all.
    on = replace(on, recipe=on.recipe.with_settings(variants=()))
    learning, teacher = taught(on, given, budget)
    tuned = {
        name: finetuned(on, name, flip=given.get("flip"), recipe=finetune_recipe, resolution=finetune_resolution)
        for name in networks
        if is_timm(name) and not from_scratch
    }
    entrants = find_networks(
        networks,
        source=source,
        resolution=resolution,
        trials=trials,
        trusted=trust_files,
        blocks=blocks,
        sides={name: each.resolution for name, each in tuned.items()},
        pretrained=not from_scratch,
    )
    for side in sorted({resolution, *(each.resolution for each in tuned.values())}):
        prepare(source, resolution=side)

    def job_of(entrant: Entrant, seed: int) -> Job:
        chosen = tuned.get(entrant.architecture.get("network", ""), learning)
        return Job(
            entrant.architecture,
            JobImages(source.name, source.fingerprint, chosen.resolution, validation_share=on.validation_share),
            chosen.recipe,
            budget,
            seed=seed,
            patience=patience,
            test=source.has_test,
            keep=True,
            processes=machine.per_trial_devices,
            teacher=teacher if chosen is learning else None,
        )

    wanted, lesson = list(listed(entrants, range(seeds), job_of)), {}
    if (learner := next((each.job for each in wanted if each.job.teacher), None)) and teacher:
        root = Path(machine.data_root) if machine.data_root else None
        answers = Trainer(device=machine.devices[0], data_root=root).answers(learner)
        lesson = {"teacher": {"name": teacher.title, "top1": answers.top1, "seconds": answers.seconds}}
        say(answers.words(teacher))
    run_comparison(folder, wanted, title=place.name, machine=machine, listener=ListedReporter(say))
    with Study.open(folder) as study:
        records = study.trials(curves=True)
        latencies = measured_latencies(entrants, resolution=resolution) if latency else {}
        rows = compared_rows(records, study.recipes(), latencies=latencies)
        document = lesson | comparison_document(
            records, study.recipes(), title=place.name, data=source.name, latencies=latencies
        )
    if keep is not None:
        with Study.open(keep, read_only=False) as kept:
            kept.attach("comparison", place.name, document)
    return Compared(place.text, rows, tuple(against_pretrained(records, rows)), document)


def comparison_table(rows: Sequence[ComparedRow], *, width: int) -> Table:
    """Table 7 or 8 of the report: means over seeds, with 95% intervals where three seeds or more give one.

    Args:
        rows: of the table.
        width: of the terminal, in characters; a narrow one is shown what decides, and the JSON has the rest.
    """
    wide = width >= _WIDE
    timed = any(row.latency is not None for row in rows)
    budgets, recipes = (len({getattr(row, what) for row in rows}) > 1 for what in ("budget", "recipe"))
    # A narrow terminal leaves the recipe out where names tell the rows apart.
    recipes = recipes and (wide or len({row.name for row in rows}) < len(rows))
    judged_on = {row.judged_on for row in rows}
    alike = len(judged_on) == 1
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("Network", no_wrap=wide, overflow="fold")
    top1 = f"{judged_on.pop().capitalize()} top-1" if alike else "Top-1"
    headings = [
        "Side",
        *(("Budget",) if budgets else ()),
        *(("Recipe",) if recipes else ()),
        "Parameters",
        *(("MACs",) if wide else ()),
        *(("Answer",) if timed else ()),
        top1,
    ]
    for heading in (*headings, *(("Top-5", "Training", "Images/s", "Memory") if wide else ("Training",)), "Seeds"):
        table.add_column(heading, justify="right")
    for row in rows:
        done = row.training_seconds.n if row.training_seconds else 0
        table.add_row(
            row.name,
            str(row.resolution),
            *((row.budget or "-",) if budgets else ()),
            *((row.recipe or "-",) if recipes else ()),
            format_count(row.params),
            *((format_count(row.macs),) if wide else ()),
            *((f"{1000 * row.latency:.2f} ms" if row.latency is not None else "-",) if timed else ()),
            _percent(row.top1) + " (validation)" * (not alike and row.judged_on == "validation"),
            *((_percent(row.top5),) if wide else ()),
            format_seconds(row.training_seconds.mean) if row.training_seconds else "-",
            *((_speed(row), format_bytes(row.peak_memory) if row.peak_memory else "-") if wide else ()),
            f"{done}" + (f" ({row.failed} failed)" if row.failed else ""),
        )
    return table


def _speed(row: ComparedRow) -> str:
    return f"{row.images_per_second.mean:,.0f}" if row.images_per_second else "-"


def _percent(found: MeanInterval | None) -> str:
    if found is None:
        return "-"
    margin = f" ± {100 * found.margin:.2f}" if found.margin is not None and found.known else ""
    return f"{100 * found.mean:.2f}{margin}"
