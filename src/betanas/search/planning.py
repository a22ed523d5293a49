"""From what a person asked for to a plan that can run: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from betanas import host_memory
from betanas.data import DataSource, open_source, open_splits, prepare
from betanas.errors import StrategyError, StudyError
from betanas.search.executors.base import ExecutorSettings, Patience, WorkerSetup
from betanas.search.executors.registry import make_executor
from betanas.search.feasibility import Problem
from betanas.search.loop import corrected_limits, observation
from betanas.search.objectives import OBJECTIVES, Accuracy, ObjectiveSettings, OwnFunction, Pareto, Registered
from betanas.search.progress import SearchListener
from betanas.search.propose.base import Strategy
from betanas.search.propose.registry import get_strategy
from betanas.search.records import Limits, StudyPlan, TrialRecord
from betanas.search.scoring import make_score
from betanas.search.settings import ResumeSettings, SearchSettings, require
from betanas.search.stopping import StoppingRule
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import refuse_taken
from betanas.spaces import SearchSpace, get_space
from betanas.spaces.base import MAX_RESOLUTION
from betanas.training.budget import Budget
from betanas.training.recipe import Recipe, recipe_for
from betanas.userfile import python_file, run_plugins

# Without a limit of the user's a candidate may plan with this share of the device's memory: the rest is the
# allocator's fragmentation, the libraries' own buffers and, on a processor, everything else that runs.
_MEMORY_SHARE = 0.8

_SMALLEST_DEFAULT, _LARGEST_DEFAULT = 16, 64

_OPTIONS = (
    "data_root",
    "executor",
    "devices",
    "workers",
    "per_trial_devices",
    "compression",
    "grace",
    "validation_share",
    "stop_early",
)

# What a search on Ray needs to know, and how it is typed. Studies of before there was Ray hold none of it.
_CLUSTER_OPTIONS = {
    "address": "--address",
    "trial_cpus": "--trial-cpus",
    "trial_gpus": "--trial-gpus",
    "trial_resources": "--trial-resource",
}


@dataclass(frozen=True, eq=False)
class Planned:
    """A search that has passed every check.

    Attributes:
        plan: what will be written.
        location: where.
    """

    plan: StudyPlan
    location: StudyLocation


def plan_search(settings: SearchSettings, listener: SearchListener) -> Planned:
    """Check a search as asked for, and make the plan of it. Writes nothing but the cache of decoded images.

    Raises:
        UserError: something about it cannot work; the message says what to type instead.
    """
    location = StudyLocation.parse(settings.study)
    refuse_taken(location)
    require(settings.trials >= 1, StudyError("A search must run at least one trial.", value=settings.trials))
    require(
        0.0 < settings.validation_share < 1.0,
        StudyError("The validation share must lie between 0 and 1.", value=settings.validation_share),
    )
    require(
        settings.grace > 0,
        StudyError("The grace must be a positive number of seconds.", value=settings.grace),
    )
    _check_cluster(settings, settings.executor)
    run_plugins(settings.plugins)
    if isinstance(settings.objective, Registered):
        OBJECTIVES.get(settings.objective.name)  # a wrong name is refused before images are read
    budget = Budget.parse(settings.budget)
    require(
        not settings.stop_early or (budget.unit == "seconds" and settings.executor != "inline"),
        StudyError(
            "Early stopping compares trials at equal training seconds, in worker processes.",
            value=f"a budget of {budget}, executor {settings.executor}",
            hint="Type a budget in seconds, such as --budget 60s, and leave --executor out.",
        ),
    )
    require(
        not settings.stop_early or isinstance(settings.objective, Accuracy),
        StudyError(
            "Early stopping compares accuracies: a trial that it ends may be the best by another objective.",
            value=f"objective {settings.objective}",
            hint="Leave --stop-early out.",
        ),
    )
    require(
        not isinstance(settings.objective, Pareto) or get_strategy(settings.strategy).finds_fronts,
        StrategyError(
            "The objective pareto needs a strategy that can search for a front, such as gpei or sobol.",
            value=f"strategy {settings.strategy}",
            hint="Leave --strategy out.",
        ),
    )
    space = get_space(settings.space, settings.preset, ranges=settings.ranges, fixed=settings.fixed)
    root = Path(settings.data_root) if settings.data_root else None
    source = open_source(settings.data, root=root)
    recipe = recipe_for(settings.recipe, mirror_safe=source.mirror_safe, flip=settings.flip)
    resolution = settings.resolution or default_resolution(source)
    for note in source.notes:
        listener.on_note(note)
    prepare(source, resolution=resolution, on_progress=listener.on_images_read)
    open_splits(source, resolution=resolution, seed=settings.seed, validation_share=settings.validation_share)
    data = _kept(settings.data) if python_file(settings.data) else source.name  # a folder's whole path
    limits = Limits(
        params=settings.max_params,
        macs=settings.max_macs,
        memory=settings.max_memory or _default_memory(settings),
        lookahead=tuple(settings.lookahead),
    )
    plan = StudyPlan(
        space=_kept(settings.space),
        preset=space.preset,
        ranges={name: (searched.low, searched.high) for name, searched in space.parameters.items()},
        data=data,
        data_fingerprint=source.fingerprint,
        classes=tuple(source.classes),
        in_channels=source.in_channels,
        resolution=resolution,
        budget=str(budget),
        recipe=recipe.name,
        recipe_settings=recipe.to_dict(),
        batch_size=settings.batch_size or recipe.batch_size,
        strategy=_kept(settings.strategy),
        objective=_whole_path(settings.objective),
        seed=settings.seed,
        trials=settings.trials,
        limits=limits,
        options={
            **{name: _plain(getattr(settings, name)) for name in (*_OPTIONS, *_CLUSTER_OPTIONS)},
            "executor": _kept(settings.executor),
            "plugins": [str(Path(file).resolve()) for file in settings.plugins],
            "strategy": dict(settings.strategy_options),
        },
    )
    make_executor(settings.executor, worker_setup(plan, plan.options), executor_settings(plan.options, location))
    strategy = strategy_of(plan, ())
    make_score(plan.objective, strategy.problem)
    strategy.ask(1)  # a space that holds nothing feasible is refused here, before anything is written
    return Planned(plan, location)


def default_resolution(source: DataSource) -> int:
    """The training resolution where none is asked for: that of the images themselves, within reason.

    Smaller than 16 pixels leaves nothing to contract; more than 64 is for those who know their budget.
    """
    return min(max(source.stored_side(MAX_RESOLUTION), _SMALLEST_DEFAULT), _LARGEST_DEFAULT)


def space_of(plan: StudyPlan) -> SearchSpace:
    """The search space of a plan, with its ranges."""
    return get_space(plan.space).replace(ranges={name: (low, high) for name, (low, high) in plan.ranges.items()})


def problem_of(plan: StudyPlan) -> Problem:
    """What a plan searches."""
    recipe = Recipe.from_dict(plan.recipe_settings)
    return Problem(
        space=space_of(plan),
        resolution=plan.resolution,
        num_classes=len(plan.classes),
        in_channels=plan.in_channels,
        batch_size=plan.batch_size,
        limits=plan.limits,
        dtype="float32",  # never less than what autocast needs, whichever a device turns out to use
        optimizer=recipe.optimizer,
        against=plan.objective.cost if isinstance(plan.objective, Pareto) else "",
    )


def make_strategy(plan: StudyPlan, problem: Problem) -> Strategy:
    """A fresh strategy for a problem, with the plan's seed and options."""
    return get_strategy(plan.strategy)(problem, seed=plan.seed, options=plan.options.get("strategy", {}))


def strategy_of(plan: StudyPlan, records: Sequence[TrialRecord]) -> Strategy:
    """The plan's strategy, told every trial so far."""
    problem = problem_of(plan)
    strategy = make_strategy(plan, replace(problem, limits=corrected_limits(problem.limits, records)))
    for record in records:
        strategy.tell(observation(record))
    return strategy


def resumed_options(plan: StudyPlan, changes: ResumeSettings) -> dict[str, Any]:
    """The plan's options with what changes when it goes on."""
    names = (*_OPTIONS, *_CLUSTER_OPTIONS)
    changed = {name: getattr(changes, name) for name in names if getattr(changes, name, None) is not None}
    _check_cluster(changes, changed.get("executor", plan.options["executor"]))
    return {**plan.options, **{name: _plain(value) for name, value in changed.items()}}


def stopping_rule(plan: StudyPlan) -> StoppingRule | None:
    """When the plan's trials have no chance any more; None where each trains to its end."""
    budget = Budget.parse(plan.budget)
    return StoppingRule(budget.amount, seed=plan.seed) if plan.options["stop_early"] else None


def worker_setup(plan: StudyPlan, options: Mapping[str, Any]) -> WorkerSetup:
    """What the plan's workers need to know."""
    return WorkerSetup(
        data=plan.data,
        data_root=options["data_root"],
        data_fingerprint=plan.data_fingerprint,
        resolution=plan.resolution,
        validation_share=options["validation_share"],
        split_seed=plan.seed,
        recipe=plan.recipe_settings,
        batch_size=plan.batch_size,
        stoppable=options["stop_early"],
        plugins=tuple(options["plugins"]),
        compression=options.get("compression", "none"),  # studies of before there was a choice hold none
    )


def executor_settings(options: Mapping[str, Any], location: StudyLocation) -> ExecutorSettings:
    """Which devices the plan's trials run on."""
    return ExecutorSettings(
        devices=tuple(options["devices"]),
        workers=options["workers"],
        per_trial_devices=options["per_trial_devices"],
        log_folder=location.logs,
        patience=Patience(grace=options["grace"]),
        extra={name: options[name] for name in _CLUSTER_OPTIONS if options.get(name) is not None},
    )


def _check_cluster(given: SearchSettings | ResumeSettings, executor: str) -> None:
    """Refuse what only a Ray cluster has where there is none."""
    typed = [option for name, option in _CLUSTER_OPTIONS.items() if getattr(given, name) is not None]
    require(
        executor == "ray" or not typed,
        StudyError("Only a search on Ray has these options.", value=", ".join(typed), hint="Add --executor ray."),
    )


def _default_memory(settings: SearchSettings) -> int:
    import torch

    require(
        settings.executor != "ray" or settings.address in (None, "local"),
        StudyError(
            "A search on a cluster must be told how much memory a trial may have: it cannot see the nodes'.",
            hint="Type, for example, --max-memory 20GiB.",
        ),
    )
    if settings.devices != ("cpu",) and torch.cuda.is_available():
        counts = range(torch.cuda.device_count())
        return int(_MEMORY_SHARE * min(torch.cuda.get_device_properties(i).total_memory for i in counts))
    processes = (settings.workers or 1) * settings.per_trial_devices
    return int(_MEMORY_SHARE * host_memory.available() / max(1, processes))


def _kept(name: str) -> str:
    """A file's whole path, so that the study can be resumed from another working directory; a name as it is."""
    return str(python_file(name) or name)


def _whole_path(objective: ObjectiveSettings) -> ObjectiveSettings:
    return replace(objective, file=_kept(objective.file)) if isinstance(objective, OwnFunction) else objective


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
