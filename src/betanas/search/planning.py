"""From what a person asked for to a plan that can run: everything is checked before anything is written."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from betanas import host_memory
from betanas.blueprint import PLAIN_NETWORKS, Blueprint, BlueprintBatch, plain_network
from betanas.data import DataSource, open_source
from betanas.data.places import keep_outside
from betanas.errors import BlueprintError, StrategyError, StudyError, did_you_mean
from betanas.models import available_networks
from betanas.quantities import MAX_RESOLUTION
from betanas.search.executors.base import ExecutorSettings, Patience, WorkerSetup
from betanas.search.executors.registry import EXECUTORS, make_executor
from betanas.search.executors.sharing import MOST_TOGETHER, measure_sharing
from betanas.search.executors.slots import available_cores, plan_slots, shared_gpus
from betanas.search.feasibility import Problem, corrected_limits
from betanas.search.learning import learn
from betanas.search.objectives import OBJECTIVES, Accuracy, ObjectiveSettings, OwnFunction, Pareto, Registered
from betanas.search.progress import SearchListener
from betanas.search.propose.base import Observation, Strategy
from betanas.search.propose.registry import STRATEGIES, get_strategy
from betanas.search.records import ComparisonPlan, StudyPlan, TrialRecord
from betanas.search.scoring import make_score
from betanas.search.settings import (
    AUTO,
    CLUSTER,
    SETTINGS,
    Limits,
    MachineSettings,
    ResumeSettings,
    SearchSettings,
    TrainingSettings,
)
from betanas.search.stopping import StoppingRule
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import refuse_taken
from betanas.search.threads import with_threads
from betanas.spaces import SearchSpace, get_space
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import Recipe, load_recipe, recipe_for
from betanas.training.teaching.teacher import Teacher, taught_recipe
from betanas.trust import check_trust
from betanas.userfile import python_file, run_plugins

# Without a limit of the user's a candidate may plan with this share of the memory: on a processor the rest is for
# everything else that runs; on a GPU for what the allocator reserves beyond what is used (2 to 45% on an H100).
_MEMORY_SHARE, _GPU_MEMORY_SHARE = 0.8, 0.65

_SMALLEST_DEFAULT, _LARGEST_DEFAULT = 16, 64


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
    plan, source = settle(settings, location)
    for lesson in plan.lessons:
        listener.on_note(f"Learns from {len(lesson.values)} trials of {lesson.title}.")
    for note in source.notes:
        listener.on_note(note)
    from betanas.data import open_splits, prepare  # with torch, which takes seconds that no refusal should

    seed, validation_share = plan.search.seed, plan.data.validation_share
    prepare(source, resolution=plan.resolution, on_progress=listener.on_images_read)
    open_splits(source, resolution=plan.resolution, seed=seed, validation_share=validation_share)
    _teach(plan, listener)
    make_executor(plan.machine.executor, worker_setup(plan), executor_settings(plan, location))
    strategy = strategy_of(plan, ())
    make_score(plan.search.objective, strategy.problem)
    # A space that holds nothing feasible is refused here, before anything is written.
    (suggestion,) = strategy.ask(1)
    if note := _hardly_guided(strategy.before_model, trials_expected(plan)):
        listener.on_note(note)
    if plan.machine.workers == AUTO:
        plan = _with_workers(plan, location, suggestion.vector, given=settings.limits.memory, listener=listener)
    return Planned(with_threads(plan, strategy.problem, listener, trials=trials_expected(plan)), location)


def settle(settings: SearchSettings, location: StudyLocation) -> tuple[StudyPlan, DataSource]:
    """What settings come to: the plan with what is chosen where nothing was typed, and its images.

    What only a measurement on this machine tells (threads, workers) is still open. Nothing is written.

    Args:
        settings: as asked for.
        location: of the study.

    Raises:
        UserError: something about it cannot work; the message says what to type instead.
    """
    if location.directory is not None:
        keep_outside(
            location.directory, settings.data.source, what="A study", hint="Type, for example, --study runs/first."
        )
    _check_together(settings)
    search, training = settings.search, settings.training
    run_plugins(search.plugins)
    check_names(settings)
    if isinstance(search.objective, Pareto) and not get_strategy(search.strategy).finds_fronts:
        raise StrategyError(
            "The objective pareto needs a strategy that can search for a front, such as gpei or sobol.",
            value=f"strategy {search.strategy}",
            hint="Leave --strategy out.",
        )
    if search.prior and not get_strategy(search.strategy).learns:
        raise StrategyError(
            "Learning from finished studies (--prior) needs a strategy that does so, such as gpei.",
            value=f"strategy {search.strategy}",
            hint="Leave --strategy or --prior out.",
        )
    space = get_space(search.space, search.preset, ranges=search.ranges, fixed=search.fixed, blocks=search.blocks)
    # `report` is a procedure to the letter, and finished studies say more of where to begin.
    designs = search.designs and bool(space.designs) and search.strategy != "report" and not search.prior
    search = replace(search, space=_kept(search.space), objective=_whole_path(search.objective), designs=designs)
    lessons = learn(search.prior, search, space)
    root = Path(settings.machine.data_root) if settings.machine.data_root else None
    source = open_source(settings.data.source, root=root)
    recipe = recipe_for(training.recipe, mirror_safe=source.mirror_safe, flip=training.flip)
    if training.stop_early:
        recipe = recipe.with_settings(evaluation_share=0.0)  # curves are compared, so each point is of the same images
    recipe, memory_dtype = _settled(recipe, training, settings.machine)
    data = replace(
        settings.data,
        source=_kept(settings.data.source) if python_file(settings.data.source) else source.name,
        resolution=settings.data.resolution or default_resolution(source),
    )
    plan = StudyPlan(
        data=data,
        training=replace(training, recipe=recipe.name, batch_size=training.batch_size or recipe.batch_size),
        limits=replace(settings.limits, memory=settings.limits.memory or _default_memory(settings.machine)),
        machine=replace(settings.machine, executor=_kept(settings.machine.executor)),
        search=replace(
            search,
            prior=(),
            preset=space.preset,
            ranges={name: (searched.low, searched.high) for name, searched in space.parameters.items()},
            fixed={},
            strategy=_kept(search.strategy),
            plugins=tuple(str(Path(file).resolve()) for file in search.plugins),
        ),
        data_fingerprint=source.fingerprint,
        classes=tuple(source.classes),
        in_channels=source.in_channels,
        recipe_settings=recipe.to_dict(),
        memory_dtype=memory_dtype,
        lessons=lessons,
    )
    plan = replace(plan, search=replace(plan.search, baselines=_baselines(plan)))
    if (teacher := _teacher(plan)) is not None:
        settled = replace(training, recipe=recipe.name, batch_size=plan.batch_size, teacher=teacher.teacher)
        named = taught_recipe(recipe, teacher).to_dict()
        plan = replace(plan, training=settled, recipe_settings=named, teacher=teacher.to_dict())
    return plan, source


def _teacher(plan: StudyPlan) -> Teacher | None:
    """Who teaches a plan's trials; None for nobody.

    Raises:
        UserError: the teacher cannot be read, or has a share of no time.
    """
    training, time = plan.training, plan.search.time
    if training.teacher is None:
        if training.teacher_share:
            raise StudyError(
                "--teacher-share is of the time for a teacher.",
                value=training.teacher_share,
                hint="Add --teacher timm:tf_efficientnet_lite0, or leave it out.",
            )
        return None
    if training.teacher_share and time is None:
        raise StudyError(
            "A teacher's share is one of the search's time.",
            value=f"{training.teacher_share} without --time",
            hint="Add, for example, --time 30m, or leave --teacher-share out.",
        )
    tuned = round(training.teacher_share * time.amount, 1) if time else 0.0
    from betanas.training.teaching.naming import find_teacher  # with torch, which takes seconds that no refusal should

    return find_teacher(training.teacher, resolution=plan.resolution, tuned=tuned)


def _teach(plan: StudyPlan, listener: SearchListener) -> None:
    """Have a teacher's answers computed here, where the workers find them; those of other machines compute their own.

    Raises:
        UserError: the teacher cannot teach.
    """
    teacher, machine = plan.teacher, plan.machine
    if teacher is None or (machine.executor == "ray" and machine.address not in (None, "local")):
        return
    from betanas.training.trainer import Trainer

    root = Path(machine.data_root) if machine.data_root else None
    answers = Trainer(device=machine.devices[0], data_root=root).answers(job_of(plan, {}, seed=0))
    listener.on_note(answers.words(Teacher.from_dict(teacher)))


def _hardly_guided(unguided: int, trials: float) -> str:
    """A word where most of a search is over before a model guides it; empty otherwise."""
    if 2 * unguided <= trials:
        return ""
    return (
        f"The first {unguided} trials are spread evenly over the space, before a model guides the search. Of "
        f"{trials:.0f} trials {max(trials - unguided, 0):.0f} are guided; {4 * unguided} or more make the most of it."
    )


def _with_workers(
    plan: StudyPlan,
    location: StudyLocation,
    vector: Mapping[str, float],
    *,
    given: int | None,
    listener: SearchListener,
) -> StudyPlan:
    """The plan with as many workers as are worth it, which all its trials then have: their seconds are to compare.

    Only a GPU is shared: a processor's cores, all of them, are one trial's.

    Args:
        plan: of a search whose workers are to be chosen.
        location: of the study.
        vector: of a candidate, which is trained for it.
        given: bytes that a candidate may take, where a person has said so.
        listener: is told what was found.
    """
    gpus = shared_gpus(plan.machine)
    alone = replace(plan, machine=replace(plan.machine, workers=None))
    if not gpus:
        return alone
    problem = problem_of(plan)
    row = problem.space.to_array([vector])
    # What a person allows a candidate, so many must have; otherwise each may take its part, as this one would.
    needed = given or int(problem.price(row).memory[0])
    most = min(MOST_TOGETHER, len(available_cores()), max(1, _default_memory(alone.machine) // max(needed, 1)))
    settings = replace(executor_settings(alone, location), devices=gpus[:1])
    network = problem.blueprint(row[0]).to_dict()
    sharing = measure_sharing(worker_setup(alone), settings, network, most=most)
    listener.on_note(sharing.words)
    machine = replace(plan.machine, workers=sharing.together * len(gpus))
    limits = replace(plan.limits, memory=given or _default_memory(machine))
    return replace(plan, machine=machine, limits=limits, shared_speeds=tuple(sharing.speeds.items()))


def _baselines(plan: StudyPlan) -> tuple[str, ...]:
    """The networks that a search trains first: those asked for, or plain ones within the limits of its candidates.

    Where none are asked for, they take a tenth of the trials at most.
    """
    if plan.search.baselines is not None:
        return plan.search.baselines
    if trials_expected(plan) < 10 * len(PLAIN_NETWORKS):
        return ()
    sizes = {"num_classes": len(plan.classes), "in_channels": plan.in_channels}
    plain = {name: plain_network(name, resolution=plan.resolution, **sizes) for name in PLAIN_NETWORKS}
    limits = plan.limits
    return tuple(
        name
        for name, each in plain.items()
        if each.num_params <= (limits.params or math.inf)
        and each.macs <= (limits.macs or math.inf)
        and _predicted(each, limits) <= (limits.latency or math.inf)
    )


def _predicted(blueprint: Blueprint, limits: Limits) -> float:
    """Seconds of an answer; 0 without a latency table."""
    return float(limits.latency_table.predict(BlueprintBatch.of([blueprint]))[0]) if limits.latency_table else 0.0


def trials_expected(plan: StudyPlan) -> float:
    """How many trials a search will have, as far as its plan says."""
    search, budget = plan.search, plan.training.budget
    times = [each.amount for each in (search.time, search.training_time) if each is not None]
    if budget.unit != "seconds":
        return search.planned or (math.inf if times else 0)
    return min([search.planned or math.inf, *(seconds / budget.amount for seconds in times)])


def check_names(settings: SearchSettings) -> None:
    """Refuse a wrong name before what the right ones stand for is loaded: a message should not wait for torch."""
    STRATEGIES.require(settings.search.strategy)
    EXECUTORS.require(settings.machine.executor)
    load_recipe(settings.training.recipe)
    for name in settings.search.baselines or ():
        if name not in available_networks():
            raise BlueprintError(
                "A search's baselines must be benchmark networks, or none.",
                value=name,
                hint=did_you_mean(name, available_networks(), f"They are {', '.join(available_networks())}."),
            )
    if isinstance(settings.search.objective, Registered):
        OBJECTIVES.require(settings.search.objective.name)


def _check_together(settings: SearchSettings) -> None:
    """Refuse settings that make no sense beside each other; each by itself has been checked when it was read."""
    machine, budget, objective = settings.machine, settings.training.budget, settings.search.objective
    _refuse_cluster_settings((each.name for each in fields(machine) if getattr(machine, each.name)), machine.executor)
    for option, limit in (("--time", settings.search.time), ("--training-time", settings.search.training_time)):
        if limit is not None and budget.unit == "seconds" and limit.amount < budget.amount:
            raise StudyError(
                f"The time of a search ({option}) must hold at least one trial.",
                value=f"{limit} for trials of {budget}",
                hint=f"Type, for example, {option} {Budget(20 * budget.amount, 'seconds')}, or a shorter --budget.",
            )
    _check_latency(settings)
    if not settings.training.stop_early:
        return
    if budget.unit != "seconds" or machine.executor == "inline":
        raise StudyError(
            "Early stopping compares trials at equal training seconds, in worker processes.",
            value=f"a budget of {budget}, executor {machine.executor}",
            hint="Type a budget in seconds, such as --budget 60s, and leave --executor out.",
        )
    if not isinstance(objective, Accuracy):
        raise StudyError(
            "Early stopping compares accuracies: a trial that it ends may be the best by another objective.",
            value=f"objective {objective}",
            hint="Leave --stop-early out.",
        )


def _check_latency(settings: SearchSettings) -> None:
    """Refuse what a latency table would have to decide where there is none."""
    limits, objective = settings.limits, settings.search.objective
    needs = "--max-latency" if limits.latency is not None else ""
    if isinstance(objective, Pareto) and objective.cost == "latency":
        needs = "--objective pareto --cost latency"
    if needs and limits.latency_table is None:
        raise StudyError(
            "A latency before training is predicted by a latency table.",
            value=f"{needs} without one",
            hint="Type betanas profile --calibrate once, and add --latency-table latency.json.",
        )


def default_resolution(source: DataSource) -> int:
    """The training resolution where none is asked for: that of the images themselves, within reason.

    Smaller than 16 pixels leaves nothing to contract; more than 64 is for those who know their budget.
    """
    return min(max(source.stored_side(MAX_RESOLUTION), _SMALLEST_DEFAULT), _LARGEST_DEFAULT)


def problem_of(plan: StudyPlan) -> Problem:
    """What a plan searches."""
    recipe, objective = Recipe.from_dict(plan.recipe_settings), plan.search.objective
    return Problem(
        space=space_of(plan).replace(ranges=plan.ranges),
        resolution=plan.resolution,
        num_classes=len(plan.classes),
        in_channels=plan.in_channels,
        batch_size=plan.batch_size,
        limits=plan.limits,
        dtype=plan.memory_dtype,
        optimizer=recipe.optimizer,
        against=objective.cost if isinstance(objective, Pareto) else "",
        lessons=plan.lessons,
    )


def space_of(plan: StudyPlan) -> SearchSpace:
    """The plan's space with its blocks, with the ranges of its default preset."""
    return get_space(plan.search.space, blocks=plan.search.blocks)


def make_strategy(plan: StudyPlan, problem: Problem) -> Strategy:
    """A fresh strategy for a problem, with the plan's seed and options."""
    return get_strategy(plan.search.strategy)(problem, seed=plan.search.seed, options=plan.search.strategy_options)


def strategy_of(plan: StudyPlan, records: Sequence[TrialRecord]) -> Strategy:
    """The plan's strategy, told every trial so far."""
    problem = problem_of(plan)
    strategy = make_strategy(plan, replace(problem, limits=corrected_limits(problem.limits, records)))
    for record in records:
        strategy.tell(Observation.of(record))
    return strategy


def resumed(plan: StudyPlan, changes: ResumeSettings, *, options: Collection[str]) -> StudyPlan:
    """The plan as this machine goes on with it: with what changes, and with nothing outside the study untrusted.

    Nothing is written.

    Args:
        plan: as it is stored.
        changes: what a person has typed.
        options: what a person can type, by name, where the study's own value needs trust.

    Raises:
        UserError: the changes do not fit the plan.
        StudyError: the study names something outside itself, and nobody has said that it is trusted.
    """
    # Where workers are to be chosen, those that were chosen at the start stay: all trials share their devices alike.
    given = {name: value for name, value in changes.changes.items() if name != "workers" or value != AUTO}
    changed = plan.changed(**given)
    _refuse_cluster_settings(changes.changes, changed.machine.executor)
    typed = list(changes.changes.values())
    check_trust(changed, trusted=changes.trust_files, typed=typed, options=options)
    return changed


def stopping_rule(plan: StudyPlan) -> StoppingRule | None:
    """When the plan's trials have no chance any more; None where each trains to its end."""
    return StoppingRule(plan.training.budget.amount, seed=plan.search.seed) if plan.training.stop_early else None


def job_of(plan: StudyPlan, network: Mapping[str, Any], *, seed: int, share: float = 1.0) -> Job:
    """What the plan's trials train: a network with the plan's images, recipe and budget, or a share of that."""
    return Job(
        network=network,
        images=JobImages(
            source=plan.data.source,
            fingerprint=plan.data_fingerprint,
            resolution=plan.resolution,
            split_seed=plan.search.seed,
            validation_share=plan.data.validation_share,
        ),
        recipe=Recipe.from_dict(plan.recipe_settings).with_settings(batch_size=plan.batch_size),
        budget=plan.training.budget.part(share),
        seed=seed,
        processes=plan.machine.per_trial_devices,
        compression=plan.training.compression,
        teacher=Teacher.from_dict(plan.teacher) if plan.teacher else None,
    )


def worker_setup(plan: StudyPlan) -> WorkerSetup:
    """What the plan's workers need to know."""
    return WorkerSetup(
        first=job_of(plan, {}, seed=0),
        data_root=plan.machine.data_root,
        stoppable=plan.training.stop_early,
        plugins=plan.search.plugins,
        compression=plan.training.compression,
    )


def executor_settings(plan: StudyPlan | ComparisonPlan, location: StudyLocation) -> ExecutorSettings:
    """Where the plan's trials run: the machine's settings as they are, and where their logs go."""
    machine = {each.name: getattr(plan.machine, each.name) for each in fields(plan.machine)}
    return ExecutorSettings(**machine, log_folder=location.logs, patience=Patience(grace=plan.machine.grace))


def _refuse_cluster_settings(given: Iterable[str], executor: str) -> None:
    """Refuse what only a Ray cluster has where there is none."""
    typed = [SETTINGS[name].flag for name in given if SETTINGS[name].panel == CLUSTER]
    if typed and executor != "ray":
        raise StudyError("Only a search on Ray has these options.", value=", ".join(typed), hint="Add --executor ray.")


def _default_memory(machine: MachineSettings) -> int:
    import torch

    if machine.executor == "ray" and machine.address not in (None, "local"):
        raise StudyError(
            "A search on a cluster must be told how much memory a trial may have: it cannot see the nodes'.",
            hint="Type, for example, --max-memory 20GiB.",
        )
    slots = plan_slots(machine) if machine.executor == "local" else []
    on_gpus = slots[0].device == "cuda" if slots else machine.devices != ("cpu",) and torch.cuda.is_available()
    if on_gpus:
        counts = range(torch.cuda.device_count())
        least = min(torch.cuda.get_device_properties(i).total_memory for i in counts)
        return int(_GPU_MEMORY_SHARE * least / max((slot.shared_by for slot in slots), default=1))
    processes = (machine.worker_count or 1) * machine.per_trial_devices
    return int(_MEMORY_SHARE * host_memory.available() / processes)


def _settled(
    recipe: Recipe, training: TrainingSettings, machine: MachineSettings
) -> tuple[Recipe, Literal["float32", "bfloat16"]]:
    """A recipe as the devices of this machine use it, and the type that memory is priced in."""
    from betanas.training.device import priced_dtype, resolve_device

    if machine.executor == "ray" and machine.address not in (None, "local"):
        return recipe.with_settings(variants=()), "float32"  # nobody knows what the other machines have
    device = resolve_device(machine.devices[0])
    if training.batch_size is None:
        recipe = recipe.on(device.type, training.budget)
    return recipe.with_settings(variants=()), priced_dtype(recipe.dtype, device)


def _kept(name: str) -> str:
    """A file's whole path, so that the study can be resumed from another working directory; a name as it is."""
    return str(python_file(name) or name)


def _whole_path(objective: ObjectiveSettings) -> ObjectiveSettings:
    return replace(objective, file=_kept(objective.file)) if isinstance(objective, OwnFunction) else objective
