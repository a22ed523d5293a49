"""`betanas experiment`: the report's three hypotheses, each as an experiment that ends in a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console

from betanas.cli.interruption import going_on
from betanas.cli.options import Given, with_settings
from betanas.cli.output import console, print_json
from betanas.cli.study import JsonOption, TrustOption
from betanas.declaration import settings_of
from betanas.errors import DeviceError, MissingExtraError
from betanas.experiments.settings import ObjectiveSettings, ScalingSettings, StrategySettings
from betanas.quantities import format_seconds

experiment = typer.Typer(help="Put the report's hypotheses to the test.", no_args_is_help=True)

FolderOption = Annotated[Path, typer.Option(help="Where the experiment is kept; the same command goes on with it.")]
PlanOption = Annotated[bool, typer.Option("--only-plan", help="Check and show the plan; train nothing.")]


class _Plan(Protocol):
    @property
    def estimated_seconds(self) -> float: ...

    def lines(self) -> list[str]: ...


@experiment.command()
@with_settings(*settings_of(ScalingSettings).values())
def scaling(
    folder: FolderOption,
    given: Given,
    trust_files: TrustOption = False,
    only_plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hypothesis 1: do scaled networks keep their promise?

    Vectors are trained at several resolutions, for equal epochs and for equal seconds.
    """
    from betanas.experiments.scaling import plan_scaling, run_scaling

    settings = ScalingSettings(**given, trust_files=trust_files)
    _conduct(folder, lambda: plan_scaling(settings, folder), run_scaling, only_plan=only_plan, as_json=as_json)


@experiment.command()
@with_settings(*settings_of(StrategySettings).values())
def search(
    folder: FolderOption,
    recordings: Annotated[Path, typer.Option(help="Recorded trials: benchmarks/record_replay.py makes them.")],
    given: Given,
    only_plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hypothesis 2: does model-based search beat the others?

    Searches are replayed on a surrogate of recorded trainings, with the same seeds and noise for every strategy.
    """
    from betanas.experiments.search import plan_strategies, run_strategies

    settings = StrategySettings(recordings=str(recordings), **given)
    _conduct(folder, lambda: plan_strategies(settings, folder), run_strategies, only_plan=only_plan, as_json=as_json)


@experiment.command()
@with_settings(*settings_of(ObjectiveSettings).values())
def objective(
    folder: FolderOption,
    given: Given,
    trust_files: TrustOption = False,
    only_plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hypothesis 3: accuracy within training seconds, or accuracy with a penalty on FLOPs?

    Two searches of equal training seconds; their leaders are then trained equally long.
    """
    from betanas.experiments.objective import plan_objective, run_objective

    settings = ObjectiveSettings(**given, trust_files=trust_files)
    _conduct(folder, lambda: plan_objective(settings, folder), run_objective, only_plan=only_plan, as_json=as_json)


def _conduct(
    folder: Path,
    make_plan: Callable[[], Any],
    run: Callable[[Any, Callable[[str], None]], dict[str, Any]],
    *,
    only_plan: bool,
    as_json: bool,
) -> None:
    """Plan, show the plan, run, and write what a reader wants."""
    from betanas.analysis.extras import require_plotly

    require_plotly("An experiment's figure")  # now, rather than after an hour of training
    out = console(stderr=as_json)
    plan: _Plan = make_plan()
    for line in plan.lines():
        out.print(line, soft_wrap=True)
    out.print(f"about {format_seconds(plan.estimated_seconds)} from the beginning", soft_wrap=True)
    if only_plan:
        if as_json:
            seconds = plan.estimated_seconds
            print_json({"folder": str(folder), "plan": plan.lines(), "estimated_seconds": seconds})
        return
    with going_on():
        document = run(plan, lambda line: out.print(line, soft_wrap=True))
    written = _write(folder, document, out)
    if as_json:
        raw = ("trainings", "searches", "hardware", "versions")
        print_json({"folder": str(folder), **{name: each for name, each in document.items() if name not in raw}})
        return
    _show(out, document["verdicts"])
    out.print(f"kept in {folder}: results.json, {', '.join(written)}", soft_wrap=True)


def _write(folder: Path, document: Mapping[str, Any], out: Console) -> list[str]:
    """The figure and the page beside the result; the names of the files."""
    from betanas.analysis.experiments import experiment_figure, experiment_page
    from betanas.analysis.formats import figure_image
    from betanas.files import write_atomically

    figure = experiment_figure(document)
    files = {"figure.html": figure.to_html(include_plotlyjs=True, full_html=True).encode()}
    try:
        files["figure.svg"] = figure_image(figure, "svg")
    except (DeviceError, MissingExtraError) as error:
        out.print(f"No figure.svg: {error} The same command then draws it.", soft_wrap=True)
    page = experiment_page(document, figure="figure.svg" if "figure.svg" in files else "figure.html")
    files["README.md"] = page.encode()
    for name, content in files.items():
        write_atomically(folder / name, content)
    return list(files)


def _show(out: Console, verdicts: Sequence[Mapping[str, str]]) -> None:
    for each in verdicts:
        out.print(f"[bold]{each['answer']}[/bold]: {each['question']}", soft_wrap=True)
        out.print(f"  {each['because']}", soft_wrap=True, markup=False)
    for rule in dict.fromkeys(each["rule"] for each in verdicts):
        out.print(f"rule: {rule}", soft_wrap=True, markup=False)
