"""`betanas experiment`: the report's three hypotheses, each as an experiment that ends in a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console

from betanas.cli.describe import BlocksOption
from betanas.cli.output import console, print_json
from betanas.cli.study import JsonOption, TrustOption
from betanas.cli.train import DataOption, DeviceOption, RecipeOption
from betanas.errors import DeviceError, MissingExtraError, QuantityError
from betanas.quantities import format_seconds, parse_count

experiment = typer.Typer(help="Put the report's hypotheses to the test.", no_args_is_help=True)

FolderOption = Annotated[Path, typer.Option(help="Where the experiment is kept; the same command goes on with it.")]
PlanOption = Annotated[bool, typer.Option("--only-plan", help="Check and show the plan; train nothing.")]
SpaceOption = Annotated[str, typer.Option(help="A search space, or a .py file that registers one.")]
PresetOption = Annotated[str, typer.Option(help="Which of the space's ranges.")]
ParamsOption = Annotated[str | None, typer.Option(help="Most parameters of a network: 30M.")]
MacsOption = Annotated[str | None, typer.Option(help="Most multiply-accumulates an image: 30M.")]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Images a step: the recipe's unless said otherwise.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Trainings at the same time.")]
ExecutorOption = Annotated[str, typer.Option(help="Who trains: local (worker processes), ray or inline.")]


class _Plan(Protocol):
    @property
    def estimated_seconds(self) -> float: ...

    def lines(self) -> list[str]: ...


@experiment.command()
def scaling(
    folder: FolderOption,
    data: DataOption = "digits",
    resolutions: Annotated[str, typer.Option(help="Sides of the images, small to large, with commas.")] = "16,24",
    vectors: Annotated[int, typer.Option(help="How many vectors.")] = 6,
    seeds: Annotated[int, typer.Option(help="Trainings of each network and budget.")] = 2,
    budget: Annotated[str, typer.Option(help="Of the trainings for equal seconds: 30s.")] = "2s",
    epochs: Annotated[str, typer.Option(help="Of the trainings for equal epochs: 3epochs.")] = "2epochs",
    study: Annotated[str | None, typer.Option(help="A study whose trials, best to worst, give the vectors.")] = None,
    space: SpaceOption = "betanet3",
    blocks: BlocksOption = "ordinary",
    preset: PresetOption = "default",
    with_published: Annotated[
        bool, typer.Option("--with-published", help="The report's vector is one of them.")
    ] = False,
    rule: Annotated[str, typer.Option(help="The scaling rule, as in betanas scale.")] = "self-similar",
    max_params: ParamsOption = None,
    max_macs: MacsOption = "30M",
    recipe: RecipeOption = "fast",
    batch_size: BatchOption = None,
    seed: Annotated[int, typer.Option(help="Of the drawn vectors and the division of the images.")] = 0,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    trust_files: TrustOption = False,
    only_plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hypothesis 1: do scaled networks keep their promise?

    Vectors are trained at several resolutions, for equal epochs and for equal seconds.
    """
    from betanas.experiments.scaling import ScalingSettings, plan_scaling, run_scaling

    settings = ScalingSettings(
        data=data,
        resolutions=_sides(resolutions),
        vectors=vectors,
        seeds=seeds,
        seconds=budget,
        epochs=epochs,
        study=study,
        space=space,
        blocks=blocks,
        preset=preset,
        with_published=with_published,
        rule=rule,
        max_params=_count(max_params),
        max_macs=_count(max_macs),
        recipe=recipe,
        batch_size=batch_size,
        seed=seed,
        device=device,
        workers=workers,
        executor=executor,
        trust_files=trust_files,
    )
    _conduct(folder, lambda: plan_scaling(settings, folder), run_scaling, only_plan=only_plan, as_json=as_json)


@experiment.command()
def search(
    folder: FolderOption,
    recordings: Annotated[Path, typer.Option(help="Recorded trials: benchmarks/record_replay.py makes them.")],
    strategy: Annotated[str, typer.Option(help="Whose advantage is in question.")] = "gpei",
    against: Annotated[str, typer.Option(help="The others, with commas.")] = "random,sobol,evolution,local",
    seeds: Annotated[int, typer.Option(help="Searches of each strategy.")] = 5,
    trials: Annotated[int, typer.Option(help="Usable trainings of each search.")] = 30,
    space: SpaceOption = "betanet3",
    blocks: BlocksOption = "ordinary",
    preset: PresetOption = "default",
    resolution: Annotated[int, typer.Option(help="Side of the recorded images.")] = 32,
    classes: Annotated[int, typer.Option(help="Their classes.")] = 100,
    channels: Annotated[int, typer.Option(help="Their channels.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 100,
    max_params: ParamsOption = "30M",
    max_macs: MacsOption = "30M",
    lookahead: Annotated[
        list[str] | None, typer.Option(help="Most parameters at a larger resolution: 224:50M; none for no limit.")
    ] = None,
    noise: Annotated[float | None, typer.Option(help="Of one training, where no vector was recorded twice.")] = None,
    jobs: Annotated[int, typer.Option(help="Searches at the same time.")] = 1,
    only_plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hypothesis 2: does model-based search beat the others?

    Searches are replayed on a surrogate of recorded trainings, with the same seeds and noise for every strategy.
    """
    from betanas.experiments.search import StrategySettings, plan_strategies, run_strategies
    from betanas.search.settings import parse_lookahead

    settings = StrategySettings(
        recordings=str(recordings),
        strategy=strategy,
        against=tuple(each.strip() for each in against.split(",") if each.strip()),
        seeds=seeds,
        trials=trials,
        space=space,
        blocks=blocks,
        preset=preset,
        resolution=resolution,
        classes=classes,
        channels=channels,
        batch_size=batch_size,
        max_params=_count(max_params),
        max_macs=_count(max_macs),
        lookahead=tuple(parse_lookahead(each) for each in lookahead or ["224:50M"] if each != "none"),
        noise=noise,
        jobs=jobs,
    )
    _conduct(folder, lambda: plan_strategies(settings, folder), run_strategies, only_plan=only_plan, as_json=as_json)


@experiment.command()
def objective(
    folder: FolderOption,
    data: DataOption = "digits",
    resolution: Annotated[int, typer.Option(help="Side of the images.")] = 16,
    budget: Annotated[str, typer.Option(help="Of a trial of the search within seconds: 20s.")] = "1s",
    epochs: Annotated[
        str | None,
        typer.Option(help="Of a trial of the other search; without it, what a typical network trains in the budget."),
    ] = None,
    exponent: Annotated[float, typer.Option(help="Of the penalty on multiply-accumulates.")] = -0.07,
    total: Annotated[str, typer.Option(help="Training seconds of each search: 5m.")] = "10s",
    pairs: Annotated[int, typer.Option(help="Pairs of searches.")] = 2,
    leaders: Annotated[int, typer.Option(help="Of each search, trained again.")] = 1,
    final: Annotated[str, typer.Option(help="Budget of their trainings: 60s.")] = "3s",
    seeds: Annotated[int, typer.Option(help="Trainings of each leader.")] = 2,
    space: SpaceOption = "betanet3",
    blocks: BlocksOption = "ordinary",
    preset: PresetOption = "default",
    strategy: Annotated[str, typer.Option(help="Of both searches.")] = "gpei",
    max_params: ParamsOption = None,
    max_macs: MacsOption = "30M",
    recipe: RecipeOption = "fast",
    batch_size: BatchOption = None,
    seed: Annotated[int, typer.Option(help="Of the first pair; the others follow it.")] = 0,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    trust_files: TrustOption = False,
    only_plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hypothesis 3: accuracy within training seconds, or accuracy with a penalty on FLOPs?

    Two searches of equal training seconds; their leaders are then trained equally long.
    """
    from betanas.experiments.objective import ObjectiveSettings, plan_objective, run_objective

    settings = ObjectiveSettings(
        data=data,
        resolution=resolution,
        budget=budget,
        epochs=epochs,
        exponent=exponent,
        total=total,
        pairs=pairs,
        leaders=leaders,
        final=final,
        seeds=seeds,
        space=space,
        blocks=blocks,
        preset=preset,
        strategy=strategy,
        max_params=_count(max_params),
        max_macs=_count(max_macs),
        recipe=recipe,
        batch_size=batch_size,
        seed=seed,
        device=device,
        workers=workers,
        executor=executor,
        trust_files=trust_files,
    )
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
    with _said_to_be_safe(out):
        document = run(plan, lambda line: out.print(line, soft_wrap=True))
    written = _write(folder, document, out)
    if as_json:
        raw = ("trainings", "searches", "hardware", "versions")
        print_json({"folder": str(folder), **{name: each for name, each in document.items() if name not in raw}})
        return
    _show(out, document["verdicts"])
    out.print(f"kept in {folder}: results.json, {', '.join(written)}", soft_wrap=True)


@contextmanager
def _said_to_be_safe(out: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        out.print("Interrupted. What has been measured is kept; the same command goes on.")
        raise


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


def _sides(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise QuantityError("Resolutions are numbers with commas.", value=text, hint="Type 32,64.") from None


def _count(text: str | None) -> int | None:
    return None if text in (None, "none") else parse_count(str(text))
