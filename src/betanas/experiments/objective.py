"""Hypothesis 3: is training time a better thing to reward than FLOPs?

Two ways to search, which differ in what a trial is and in nothing else:

- `seconds`: every trial trains for the same seconds, and accuracy is the objective. What a network costs counts by
  itself: the slower, the less it learns (section 8.3 of the report).
- `macs`: every trial trains for the same epochs, and the objective is accuracy x (MACs / target) ** exponent, the
  compound objective of MnasNet and EfficientNet (the report calls MACs FLOPs). The target scales the objective and
  changes no ranking; the exponent is what weighs accuracy against cost.

What makes it fair:

- Equal search cost: both searches end at the same total of training seconds. A trial counts where at least half of it
  lies within the total, so that neither gains from how its trials happen to add up. Quick networks make the `macs`
  search have more trials: that is its right.
- Equal units: unless told otherwise, the epochs are as many as a network of median MACs trains in a `seconds` trial,
  so that trials of both kinds are about as long.
- The unit of replication is a pair of searches with one seed (the same division of the images, the same first
  candidates), not a training: two leaders trained a hundred times would still be the outcome of two searches. All
  intervals are over pairs.
- The leaders of both are then trained from nothing for the same seconds, longer than a trial, with the same fresh
  seeds, and judged on test images that neither search has seen. Equal seconds at the end are what the hypothesis is
  about: which of them learns most in the time. Networks that both searches found are trained once.

Reported beside the accuracy: multiply-accumulates, seconds of an epoch, and the training seconds to an accuracy that
both reach: the lower of the two arms' mean final validation accuracy in a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from betanas.blueprint import Blueprint
from betanas.data import open_source, prepare
from betanas.errors import SpaceExhausted
from betanas.experiments.engines import Engines, Speed
from betanas.experiments.errors import ExperimentError
from betanas.experiments.folder import ExperimentFolder
from betanas.experiments.leaders import ARMS, Arm, LeaderTraining, conclude_objective
from betanas.experiments.settings import ObjectiveSettings
from betanas.experiments.trainings import train
from betanas.quantities import format_count, format_seconds
from betanas.search.feasibility import Problem, survey
from betanas.search.objectives import Accuracy, Compound
from betanas.search.progress import SearchListener
from betanas.search.propose import get_strategy
from betanas.search.propose.listed import Entrant, Listed
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.run import resume, search
from betanas.search.settings import Limits, ResumeSettings, SearchSettings
from betanas.search.study import Study
from betanas.spaces import get_space
from betanas.spaces.base import check_input
from betanas.training.budget import Budget
from betanas.training.recipe import load_recipe

# Feasible candidates whose median stands for a typical network.
_SURVEYED = 128

# Validation images of an interim evaluation are few, and each trial ends with all of them: about this number of passes.
_PASSES_A_TRIAL = 2

# Apart from the seeds of trials, which are 32-bit hashes.
_FIRST_SEED = 1_000

_FREE = ("pairs", "seeds", "device", "workers", "executor", "trust_files")


@dataclass(frozen=True, eq=False)
class ObjectivePlan:
    """An experiment that has passed every check.

    Attributes:
        settings: what was asked for.
        folder: where it is kept.
        engines: images and engines of the final trainings.
        derived: what the folder remembers beside the settings.
    """

    settings: ObjectiveSettings
    folder: ExperimentFolder
    engines: Engines
    derived: Mapping[str, Any]

    @property
    def total_seconds(self) -> float:
        """Training seconds of each search."""
        return Budget.parse(self.settings.total).amount

    @property
    def estimated_seconds(self) -> float:
        """About how long all of it takes, from nothing; the strategy's suggestions are not counted."""
        asked, derived = self.settings, self.derived
        finals = asked.leaders * asked.seeds * derived["seconds_a_final"]
        return float(asked.pairs * len(ARMS) * (derived["seconds_a_search"] + finals))

    def budget(self, arm: Arm) -> str:
        """A trial's budget, as typed."""
        return self.settings.budget if arm == "seconds" else str(self.derived["epochs"])

    def objective(self, arm: Arm) -> Accuracy | Compound:
        """What a search maximises."""
        if arm == "seconds":
            return Accuracy()
        return Compound("macs", float(self.derived["target_macs"]), self.settings.exponent)

    def lines(self) -> list[str]:
        """The plan for a person."""
        asked = self.settings
        return [
            *(f"{arm}: trials of {self.budget(arm)}, objective {self.objective(arm)}" for arm in ARMS),
            f"{asked.pairs} pairs of searches with {asked.strategy}, "
            f"{format_seconds(self.total_seconds)} of training each, on {asked.data} at {asked.resolution} pixels",
            f"then the best {asked.leaders} of each for {asked.final} with {asked.seeds} seeds",
            f"a typical network has {format_count(self.derived['target_macs'])} multiply-accumulates",
        ]


def plan_objective(settings: ObjectiveSettings, folder: Path) -> ObjectivePlan:
    """Check everything, time a typical network and estimate the duration; writes nothing but decoded images.

    Raises:
        UserError: something about it cannot work.
    """
    _check(settings)
    place = ExperimentFolder(folder, "objective")
    known = place.derived(asdict(settings), free=_FREE)
    recipe = load_recipe(settings.recipe)
    if settings.batch_size is not None:
        recipe = recipe.with_settings(batch_size=settings.batch_size)
    source = open_source(settings.data)
    check_input(settings.resolution, len(source.classes), source.in_channels)
    prepare(source, resolution=settings.resolution)
    engines = Engines(source, recipe, split_seed=settings.seed, device=settings.device)
    problem = Problem(
        get_space(settings.space, settings.preset, blocks=settings.blocks),
        settings.resolution,
        len(source.classes),
        source.in_channels,
        recipe.batch_size,
        limits=Limits(params=settings.max_params, macs=settings.max_macs),
    )
    survey(problem).require()
    get_strategy(settings.strategy)(problem, seed=settings.seed)
    derived = known or _derive(settings, engines, _typical(problem))
    return ObjectivePlan(settings, place, engines, derived)


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What one search did within its training seconds.

    Attributes:
        arm, pair: which search.
        trials: that count.
        training_seconds: of these.
        leaders: vectors of the best of them by the search's own objective, best first.
    """

    arm: Arm
    pair: int
    trials: int
    training_seconds: float
    leaders: tuple[Mapping[str, float], ...]


def run_objective(plan: ObjectivePlan, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Search and train what has not been done yet, and conclude.

    Args:
        plan: what to do.
        tell: told a line about every trial and training.

    Returns:
        The result, as the folder's `results.json` holds it.

    Raises:
        ExperimentError: a search found nothing within its seconds.
    """
    settings = plan.settings
    with plan.folder.held():
        plan.folder.begin(asdict(settings), plan.derived)
        outcomes, leaders = [], dict[tuple[Arm, int, int], Blueprint]()
        for pair in range(settings.pairs):
            for arm in ARMS:
                outcome, blueprints = _searched(plan, arm, pair, tell)
                outcomes.append(outcome)
                leaders |= {(arm, pair, place): blueprint for place, blueprint in enumerate(blueprints)}
        found = _final_trainings(plan, leaders, tell)
        findings = conclude_objective(found)
        return plan.folder.finish(
            asdict(settings),
            {
                "title": f"Objectives on {Path(plan.engines.source.name).name}",
                "hypothesis": "Rewarding training time finds faster-to-train networks than penalising FLOPs "
                "(hypothesis 3).",
                "judged_on": "test images" if plan.engines.source.has_test else "validation images",
                "derived": plan.derived,
                "searches": [asdict(each) for each in outcomes],
                "trainings": [asdict(each) for each in found],
                **asdict(findings),
            },
        )


def counted(records: Sequence[TrialRecord], total: float) -> list[TrialRecord]:
    """The trials, by their ends, at least half of whose training lies within a total of training seconds."""
    ended = sorted((each for each in records if each.ended is not None), key=lambda each: (each.ended, each.index))
    spent, found = 0.0, []
    for record in ended:
        seconds = record.training_seconds or 0.0
        if spent + seconds / 2 > total:
            break
        spent += seconds
        found.append(record)
    return found


class _Teller(SearchListener):
    """Tells a line about every trial of a search."""

    def __init__(self, total: float, tell: Callable[[str], None], name: str) -> None:
        self._total = total
        self._tell = tell
        self._name = name
        self._spent = 0.0

    @override
    def on_begin(self, plan: StudyPlan, records: Sequence[TrialRecord], *, location: str, capacity: int) -> None:
        self._spent = sum(each.training_seconds or 0.0 for each in records)

    @override
    def on_trial_ended(self, record: TrialRecord) -> None:
        result = record.reason if record.top1 is None else f"{record.top1:.2%}"
        self._spent += record.training_seconds or 0.0
        spent = f"{format_seconds(self._spent)} of {format_seconds(self._total)}"
        self._tell(f"{self._name}, trial {record.index}: {result} ({spent})")


def _check(settings: ObjectiveSettings) -> None:
    Compound("macs", 1.0, settings.exponent)  # an exponent that makes no sense is refused here
    budgets = [Budget.parse(text) for text in (settings.budget, settings.total, settings.final)]
    if any(budget.unit != "seconds" for budget in budgets):
        raise ExperimentError(
            "The budgets of a trial, of a search and of the final trainings are in seconds.",
            value=f"{settings.budget}, {settings.total}, {settings.final}",
            hint="Type, for example, --budget 20s --total 5m --final 60s.",
        )
    if budgets[1].amount < 2 * budgets[0].amount:
        raise ExperimentError(
            "A search must have time for at least two trials.",
            value=f"{settings.total} for trials of {settings.budget}",
        )
    if settings.epochs is not None and Budget.parse(settings.epochs).unit == "seconds":
        raise ExperimentError(
            "Trials of the search with a penalty are equal in epochs or steps.",
            value=settings.epochs,
            hint="Type, for example, --epochs 3epochs, or leave it out.",
        )


def _typical(problem: Problem) -> Blueprint:
    """The feasible network of median MACs."""
    vectors = [each.vector for each in get_strategy("sobol")(problem, seed=0).ask(_SURVEYED)]
    rows = problem.space.to_array(vectors)
    order = np.argsort(problem.price(rows).macs)
    return problem.blueprint(rows[order[len(order) // 2]])


def _derive(settings: ObjectiveSettings, engines: Engines, typical: Blueprint) -> dict[str, Any]:
    seconds = engines.seconds_per_image(typical)
    budget, images = Budget.parse(settings.budget).amount, engines.splits(settings.resolution)
    epochs = settings.epochs or f"{float(f'{budget / (seconds * len(images.train)):.2g}'):g}epochs"
    speed = Speed(seconds, typical.macs, 0.0)
    total = Budget.parse(settings.total)
    trials = total.amount / budget
    evaluation = _PASSES_A_TRIAL * len(images.validation) * seconds / 2
    final = engines.wall_seconds(typical.macs, settings.resolution, Budget.parse(settings.final), speed)
    return {
        "target_macs": typical.macs,
        "epochs": epochs,
        "seconds_a_search": total.amount + trials * evaluation,
        "seconds_a_final": final,
    }


def _searched(
    plan: ObjectivePlan, arm: Arm, pair: int, tell: Callable[[str], None]
) -> tuple[SearchOutcome, list[Blueprint]]:
    """Bring a search to its end, and give what it found."""
    settings, total = plan.settings, plan.total_seconds
    place = plan.folder.path / "searches" / f"pair{pair}-{arm}"
    teller = _Teller(total, tell, f"{arm} search {pair}")
    try:
        if not (place / "study.sqlite").exists():
            search(_search_settings(plan, arm, pair, place), listener=teller).close()
        elif not _has_finished(place):
            changes = ResumeSettings(
                executor=settings.executor,
                devices=(settings.device,),
                workers=settings.workers,
                data=settings.data,
                training_time=settings.total,  # earlier versions ended a search from outside
                trust_files=settings.trust_files,
            )
            resume(place, changes, listener=teller).close()
    except SpaceExhausted:
        tell(f"{arm} search {pair} has tried every network of the space")
    with Study.open(place) as study:
        records = counted(study.trials(), total)
        judged = [each for each in records if each.state == "completed" and each.objective is not None]
        leaders: dict[str, TrialRecord] = {}
        for each in sorted(judged, key=lambda record: (-(record.objective or 0.0), record.index)):
            if len(leaders) < settings.leaders:
                leaders.setdefault(each.blueprint_key, each)
        if not leaders:
            raise ExperimentError("A search must complete a trial within its seconds.", value=str(place))
        blueprints = [study.blueprint(each.index) for each in leaders.values()]
    seconds = sum(each.training_seconds or 0.0 for each in records)
    vectors = tuple(dict(each.vector) for each in leaders.values())
    return SearchOutcome(arm, pair, len(records), seconds, vectors), blueprints


def _has_finished(place: Path) -> bool:
    with Study.open(place) as study:
        return study.state == "finished"


def _search_settings(plan: ObjectivePlan, arm: Arm, pair: int, place: Path) -> SearchSettings:
    settings = plan.settings
    return SearchSettings(
        data=settings.data,
        study=str(place),
        space=settings.space,
        blocks=settings.blocks,
        preset=settings.preset,
        resolution=settings.resolution,
        budget=plan.budget(arm),
        training_time=settings.total,
        strategy=settings.strategy,
        objective=plan.objective(arm),
        recipe=settings.recipe,
        batch_size=settings.batch_size,
        seed=settings.seed + pair,
        max_params=settings.max_params,
        max_macs=settings.max_macs,
        executor=settings.executor,
        devices=(settings.device,),
        workers=settings.workers,
    )


def _final_trainings(
    plan: ObjectivePlan, leaders: Mapping[tuple[Arm, int, int], Blueprint], tell: Callable[[str], None]
) -> list[LeaderTraining]:
    """Every leader's trainings, one seed after another; equal networks are trained once."""
    settings, places, wanted = plan.settings, list(leaders), list[Listed]()
    budget = Budget.parse(settings.final)
    for seed in range(_FIRST_SEED, _FIRST_SEED + settings.seeds):
        for (arm, pair, place), blueprint in leaders.items():
            entrant = Entrant.of(f"leader {place + 1} of {arm} search {pair}", blueprint)
            wanted.append(Listed(entrant, plan.engines.job(entrant, settings.resolution, budget, seed)))
    measured = train(plan.folder.path / "leaders", wanted, tell, title="leaders", machine=settings.machine)
    return [
        LeaderTraining(arm, pair, place, replace(one, network=f"{arm} {pair}.{place}"))
        for (arm, pair, place), one in zip(places * settings.seeds, measured, strict=True)
    ]
