"""`betanas search` and `betanas resume`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from betanas.cli.output import console, print_json
from betanas.cli.study import StudyArgument, TrustOption
from betanas.errors import DeviceError, SpaceError, StudyError
from betanas.quantities import parse_range

_SEARCH, _OBJECTIVE, _LIMITS, _TRAINING, _MACHINE, _CLUSTER = (
    "What to search",
    "What to maximise",
    "What a candidate may cost",
    "How a trial trains",
    "Where",
    "On a Ray cluster",
)

DevicesOption = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, or names with commas.", rich_help_panel=_MACHINE)
]
WorkersOption = Annotated[int | None, typer.Option(help="Trials at the same time, here.", rich_help_panel=_MACHINE)]
DataRootOption = Annotated[
    str | None, typer.Option(help="Where downloaded data sets lie on this machine.", rich_help_panel=_MACHINE)
]
SameDataOption = Annotated[
    str | None, typer.Option(help="Where the same images are on this machine.", rich_help_panel=_MACHINE)
]
FlipOption = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Whether a mirror image is still of its class; unless said, what the data source knows.",
        rich_help_panel=_TRAINING,
    ),
]
ExecutorOption = Annotated[
    str | None,
    typer.Option(help="Who trains: local (worker processes), ray (a cluster) or inline.", rich_help_panel=_MACHINE),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="The Ray cluster: auto for this machine's, HOST:PORT, or local for one of its own.",
        rich_help_panel=_CLUSTER,
    ),
]
TrialCpusOption = Annotated[
    int | None, typer.Option(help="Cores a trial takes of a Ray node.", rich_help_panel=_CLUSTER)
]
TrialGpusOption = Annotated[
    float | None,
    typer.Option(help="The part of a GPU a trial takes, where several share one: 0.5.", rich_help_panel=_CLUSTER),
]
TrialResourcesOption = Annotated[
    list[str] | None,
    typer.Option("--trial-resource", help="What else a trial takes of a Ray node: name=1.", rich_help_panel=_CLUSTER),
]
StatusJsonOption = Annotated[bool, typer.Option("--json", help="At the end, print the study's status as JSON.")]


def search(
    data: Annotated[
        str | None,
        typer.Option(help="A data set's name (digits, cifar100, ...) or an image folder.", rich_help_panel=_SEARCH),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(help="A search space, or a .py file that registers one.", rich_help_panel=_SEARCH),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Where to keep the study: a new directory.", rich_help_panel=_SEARCH)
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the training images, in pixels.", rich_help_panel=_TRAINING)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="A trial's training budget: 30s, 5m, 1h, 500steps, 20epochs.", rich_help_panel=_TRAINING),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Trials to run.", rich_help_panel=_SEARCH)] = None,
    strategy: Annotated[str | None, typer.Option(help="Search strategy.", rich_help_panel=_SEARCH)] = None,
    preset: Annotated[str | None, typer.Option(help="Which ranges of the space.", rich_help_panel=_SEARCH)] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="Another range for a parameter: k=2:4.", rich_help_panel=_SEARCH),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", help="A fixed value for a parameter: B=0.3.", rich_help_panel=_SEARCH),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="accuracy; compound (weighed by a cost); scaling (by its growth with the resolution); pareto "
            "(accuracy and a low cost); or a .py file.",
            rich_help_panel=_OBJECTIVE,
        ),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(
            help="compound: params, macs, seconds or latency; pareto: params, macs or memory.",
            rich_help_panel=_OBJECTIVE,
        ),
    ] = None,
    cost_target: Annotated[
        str | None,
        typer.Option(help="compound, scaling: where accuracy counts as it is: 5M, 10ms.", rich_help_panel=_OBJECTIVE),
    ] = None,
    cost_exponent: Annotated[
        float | None,
        typer.Option(help="compound, scaling: the cost's weight; -0.07 where not given.", rich_help_panel=_OBJECTIVE),
    ] = None,
    scaling_resolution: Annotated[
        int | None, typer.Option(help="scaling: the larger resolution, in pixels.", rich_help_panel=_OBJECTIVE)
    ] = None,
    stop_early: Annotated[
        bool | None,
        typer.Option("--stop-early/--no-stop-early", help="End trials that cannot win.", rich_help_panel=_TRAINING),
    ] = None,
    max_params: Annotated[str | None, typer.Option(help="Most parameters: 30M.", rich_help_panel=_LIMITS)] = None,
    max_macs: Annotated[
        str | None, typer.Option(help="Most multiply-accumulates an image: 2G.", rich_help_panel=_LIMITS)
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Most memory of a training step: 20GiB.", rich_help_panel=_LIMITS)
    ] = None,
    lookahead: Annotated[
        list[str] | None,
        typer.Option(help="Most parameters at a larger resolution: 384:50M.", rich_help_panel=_LIMITS),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Training recipe: fast, paper, or a TOML file.", rich_help_panel=_TRAINING),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images a training step, on each of a trial's devices.", rich_help_panel=_TRAINING),
    ] = None,
    flip: FlipOption = None,
    validation_share: Annotated[
        float | None,
        typer.Option(help="Share of the training images to judge by.", rich_help_panel=_TRAINING),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides everything random.", rich_help_panel=_SEARCH)] = None,
    data_root: DataRootOption = None,
    plugins: Annotated[
        list[str] | None,
        typer.Option("--plugin", help="A Python file to run first, for what it registers.", rich_help_panel=_MACHINE),
    ] = None,
    executor: ExecutorOption = None,
    devices: DevicesOption = None,
    workers: WorkersOption = None,
    per_trial_devices: Annotated[
        int | None,
        typer.Option(help="Devices a trial trains on; with cpu, processes that share cores.", rich_help_panel=_MACHINE),
    ] = None,
    compression: Annotated[
        str | None,
        typer.Option(
            help="Of gradients between a trial's devices: none, fp16, bf16 or powersgd.", rich_help_panel=_TRAINING
        ),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(help="Seconds a trial may outlive its budget by.", rich_help_panel=_MACHINE),
    ] = None,
    address: AddressOption = None,
    trial_cpus: TrialCpusOption = None,
    trial_gpus: TrialGpusOption = None,
    trial_resources: TrialResourcesOption = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with any of these settings.", rich_help_panel=_SEARCH)
    ] = None,
    as_json: StatusJsonOption = False,
) -> None:
    """Search for the network that learns the most within a training budget.

    Example: betanas search --data photos/ --space betanet3 --study runs/photos --budget 60s --trials 40
    """
    from betanas.search.settings import make_settings, read_config

    given: dict[str, Any] = {
        "data": data,
        "space": space,
        "study": study,
        "resolution": resolution,
        "budget": budget,
        "trials": trials,
        "strategy": strategy,
        "preset": preset,
        "ranges": dict(_split(item, "--range", "k=2:4", parse_range) for item in ranges or []) or None,
        "fixed": dict(_split(item, "--fix", "B=0.3", _number) for item in fix or []) or None,
        "objective": objective,
        "cost": cost,
        "cost_target": cost_target,
        "cost_exponent": cost_exponent,
        "scaling_resolution": scaling_resolution,
        "stop_early": stop_early,
        "max_params": max_params,
        "max_macs": max_macs,
        "max_memory": max_memory,
        "lookahead": lookahead or None,
        "recipe": recipe,
        "batch_size": batch_size,
        "flip": flip,
        "validation_share": validation_share,
        "seed": seed,
        "data_root": data_root,
        "plugins": tuple(plugins) if plugins else None,
        "executor": executor,
        "devices": device_names(devices),
        "workers": workers,
        "per_trial_devices": per_trial_devices,
        "compression": compression,
        "grace": grace,
        "address": address,
        "trial_cpus": trial_cpus,
        "trial_gpus": trial_gpus,
        "trial_resources": _resources(trial_resources),
    }
    configured = read_config(config) if config else {}
    settings = make_settings({**configured, **{name: value for name, value in given.items() if value is not None}})
    _watch(as_json, lambda listener: _search(settings, listener))


def resume(
    study: StudyArgument,
    trials: Annotated[int | None, typer.Option(help="Trials in all, where more (or fewer) are wanted now.")] = None,
    data: SameDataOption = None,
    executor: ExecutorOption = None,
    devices: DevicesOption = None,
    workers: WorkersOption = None,
    data_root: DataRootOption = None,
    address: AddressOption = None,
    trial_cpus: TrialCpusOption = None,
    trial_gpus: TrialGpusOption = None,
    trial_resources: TrialResourcesOption = None,
    trust_files: TrustOption = False,
    as_json: StatusJsonOption = False,
) -> None:
    """Go on with a search that was interrupted, killed, or is to run more trials."""
    from betanas.search.settings import ResumeSettings

    changes = ResumeSettings(
        trials=trials,
        data=data,
        executor=executor,
        devices=device_names(devices),
        workers=workers,
        data_root=data_root,
        trust_files=trust_files,
        address=address,
        trial_cpus=trial_cpus,
        trial_gpus=trial_gpus,
        trial_resources=_resources(trial_resources),
    )
    _watch(as_json, lambda listener: _resume(study, changes, listener))


def join(
    study: Annotated[
        str, typer.Argument(help="The study's PostgreSQL URL: postgresql://user@host/database?study=NAME.")
    ],
    data: SameDataOption = None,
    executor: ExecutorOption = None,
    devices: DevicesOption = None,
    workers: WorkersOption = None,
    data_root: DataRootOption = None,
    address: AddressOption = None,
    trial_cpus: TrialCpusOption = None,
    trial_gpus: TrialGpusOption = None,
    trial_resources: TrialResourcesOption = None,
    trust_files: TrustOption = False,
    as_json: StatusJsonOption = False,
) -> None:
    """Let this machine take part in a search that others run too, through a PostgreSQL database.

    Start it on one machine with betanas search --study postgresql://..., and join from as many others as you like. A
    machine that dies is noticed within a minute and its trials are started again elsewhere.
    """
    from betanas.search.settings import ResumeSettings
    from betanas.search.store.location import StudyLocation

    if StudyLocation.parse(study).directory is not None:
        raise StudyError(
            "Several machines share a study through a PostgreSQL database.",
            value=study,
            hint="Type its URL, for example postgresql://user@host/database?study=first; or betanas resume.",
        )
    changes = ResumeSettings(
        data=data,
        executor=executor,
        devices=device_names(devices),
        workers=workers,
        data_root=data_root,
        trust_files=trust_files,
        address=address,
        trial_cpus=trial_cpus,
        trial_gpus=trial_gpus,
        trial_resources=_resources(trial_resources),
    )
    _watch(as_json, lambda listener: _resume(study, changes, listener))


def device_names(devices: str | None) -> tuple[str, ...] | None:
    """Device names as typed, with commas between them."""
    return tuple(devices.split(",")) if devices else None


def _search(settings: Any, listener: Any) -> Any:
    from betanas.search.run import search as run_search

    return run_search(settings, listener=listener)


def _resume(study: str, changes: Any, listener: Any) -> Any:
    from betanas.search.run import resume as run_resume

    return run_resume(study, changes, listener=listener)


def _watch(as_json: bool, work: Any) -> None:
    """Run a search before a person's eyes, and show what it found."""
    from betanas.cli.reporting import make_reporter, show_result
    from betanas.data import BrokenImagesWarning

    out = console(stderr=as_json)
    reporter = make_reporter(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries' remarks to their developers
        warnings.simplefilter("once", BrokenImagesWarning)
        warnings.showwarning = lambda message, *_: reporter.on_note(str(message))
        try:
            with work(reporter) as study:
                status = study.status()
                if as_json:
                    print_json(status)
                else:
                    show_result(out, study, status)
        except KeyboardInterrupt:
            if reporter.location:
                hint = f"go on with: betanas resume {reporter.location}"
                out.print(f"Interrupted. What has finished is kept; {hint}", soft_wrap=True)
            raise
        finally:
            reporter.close()


def _resources(typed: list[str] | None) -> dict[str, float] | None:
    """What a trial takes of a node beside processors and GPUs, as typed."""
    return dict(_split(item, "--trial-resource", "H100=1", _amount) for item in typed or []) or None


def _split(item: str, option: str, example: str, read: Any) -> tuple[str, Any]:
    name, equals, value = item.partition("=")
    if not equals or not name:
        raise SpaceError(
            f"{option} takes a parameter's name and a value with = between them.",
            value=item,
            hint=f"Type, for example, {option} {example}.",
        )
    return name.strip(), read(value)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpaceError("--fix takes a number.", value=text, hint="Type, for example, --fix B=0.3.") from None


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DeviceError(
            "--trial-resource takes a number.", value=text, hint="Type, for example, --trial-resource H100=1."
        ) from None
