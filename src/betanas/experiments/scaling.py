"""Hypothesis 1: do scaled networks keep their promise?

The report searches at one resolution and scales what it finds by giving the same vector a larger one (section 8.1).
That is worth something if two things hold: a vector that beats another at the search's resolution beats it at the
larger one too, and the larger network is worth what it costs. So several vectors are trained at two or three
resolutions, each with the same seeds, and the ranking at the smallest resolution is compared with that at the largest.

What makes it fair:

- Vectors are spread from a study's best trial to its worst, or drawn from a Sobol sequence; leaders alone would be too
  much alike to have a ranking. They are trained afresh, so that luck in the search does not count.
- All are trained twice: for equal epochs, where every scale has seen the same images, and for equal seconds, where the
  larger network has seen fewer. The first asks what the network can learn, the second what it can learn in the time.
- Accuracy is on the test images, with the weights of the best evaluation on the validation images.
- Training noise alone turns ranks over. The agreement of two seeds at one scale is reported beside that of two scales:
  no agreement between scales can be expected to exceed it by much.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from betanas.blocks import space_title
from betanas.blueprint import Blueprint, FloatArray
from betanas.data import open_source, prepare
from betanas.experiments.engines import Engines
from betanas.experiments.errors import ExperimentError
from betanas.experiments.folder import ExperimentFolder
from betanas.experiments.measurement import Measurement
from betanas.experiments.settings import ScalingSettings
from betanas.experiments.statistics import (
    Estimate,
    agreement_of_seeds,
    mean_of,
    rank_agreement,
    uplift_per_doubling,
)
from betanas.experiments.trainings import train
from betanas.experiments.vectors import NamedVector, admitted, drawn_vectors, ranked_vectors, spread
from betanas.experiments.verdict import Verdict, above, all_of, in_words
from betanas.quantities import format_count
from betanas.search.feasibility import Problem
from betanas.search.planning import space_of
from betanas.search.propose.listed import Entrant, Listed
from betanas.search.study import Study
from betanas.spaces import SearchSpace, get_space, published
from betanas.spaces.base import check_input
from betanas.spaces.scaling import Origin, make_rule
from betanas.training.budget import Budget
from betanas.training.recipe import load_recipe
from betanas.trust import check_trust
from betanas.userfile import run_plugins

EPOCHS, SECONDS = "equal epochs", "equal seconds"
KINDS = (EPOCHS, SECONDS)

# At a Spearman correlation of 0.5 the better of two vectors at the small scale is the better one at the large scale in
# two of three pairs (bivariate normal values): the least that is worth calling a promise.
LEAST_CORRELATION = 0.5

# Six vectors agree completely by chance once in 720 times, five once in 120.
LEAST_VECTORS = 6

RULE = (
    f"Supported where the 95% interval of the Spearman correlation between the smallest and the largest resolution "
    f"lies above {LEAST_CORRELATION:g} and that of the mean uplift per doubling of multiply-accumulates above zero; "
    f"not supported where one of the intervals lies below that; otherwise, and with fewer than {LEAST_VECTORS} "
    f"vectors, undecided."
)

_FREE = ("seeds", "device", "workers", "executor", "trust_files")


@dataclass(frozen=True, eq=False)
class ScalingPlan:
    """An experiment that has passed every check.

    Attributes:
        settings: what was asked for.
        folder: where it is kept.
        engines: images and engines.
        vectors: what is trained, with its networks from the smallest resolution to the largest.
        derived: what the folder remembers beside the settings.
        plugins: Python files that training needs: those of the study that the vectors come from.
    """

    settings: ScalingSettings
    folder: ExperimentFolder
    engines: Engines
    vectors: tuple[tuple[NamedVector, tuple[Blueprint, ...]], ...]
    derived: Mapping[str, Any]
    plugins: tuple[str, ...] = ()

    @property
    def estimated_seconds(self) -> float:
        """About how long all of it takes, from nothing."""
        return float(self.derived["seconds_a_seed"]) * self.settings.seeds

    @property
    def trainings(self) -> int:
        """How many networks are trained."""
        return len(self.vectors) * len(self.settings.resolutions) * len(KINDS) * self.settings.seeds

    def lines(self) -> list[str]:
        """The plan for a person."""
        asked = self.settings
        costs = [
            f"at {side}: {format_count(min(macs))} to {format_count(max(macs))} multiply-accumulates"
            for place, side in enumerate(asked.resolutions)
            for macs in [[networks[place].macs for _, networks in self.vectors]]
        ]
        return [
            f"{len(self.vectors)} vectors of {self.derived['space']}, rule {asked.rule}: "
            + ", ".join(each.name for each, _ in self.vectors),
            *costs,
            f"{self.trainings} trainings on {Path(asked.data).name}: {asked.epochs} and {asked.seconds}, "
            f"{asked.seeds} seeds",
        ]


def plan_scaling(settings: ScalingSettings, folder: Path) -> ScalingPlan:
    """Check everything and estimate the duration; writes nothing but the cache of decoded images.

    Raises:
        UserError: something about it cannot work.
    """
    _check(settings)
    place = ExperimentFolder(folder, "scaling")
    known = place.derived(asdict(settings), free=_FREE)
    recipe = load_recipe(settings.recipe)
    if settings.batch_size is not None:
        recipe = recipe.with_settings(batch_size=settings.batch_size)
    source = open_source(settings.data)
    for resolution in settings.resolutions:
        check_input(resolution, len(source.classes), source.in_channels)
        prepare(source, resolution=resolution)
    engines = Engines(source, recipe, split_seed=settings.seed, device=settings.device)
    space, candidates, plugins = _candidates(settings, engines, known)

    def build(candidate: NamedVector) -> list[Blueprint]:
        origin = Origin(space, candidate.vector, settings.resolutions[0], len(source.classes), source.in_channels)
        rule = make_rule(settings.rule, origin)
        return [rule.blueprint(resolution) for resolution in settings.resolutions]

    kept = admitted(candidates, build, max_params=settings.max_params, max_macs=settings.max_macs)
    if len(kept) < settings.vectors:
        raise ExperimentError(
            f"There must be {settings.vectors} different vectors within the limits.",
            value=f"{len(kept)} of {len(candidates)}",
            hint="Ask for fewer --vectors, or raise --max-macs and --max-params.",
        )
    by_rank = settings.study is not None and known is None
    places = spread(settings.vectors, len(kept)) if by_rank else range(settings.vectors)
    vectors = tuple(kept[place] for place in places)
    derived = known or {
        "space": space_title(space.name, space.blocks),
        "vectors": [asdict(each) for each, _ in vectors],
        "seconds_a_seed": _seconds_a_seed(settings, engines, [networks for _, networks in vectors]),
    }
    return ScalingPlan(settings, place, engines, vectors, derived, plugins)


def run_scaling(plan: ScalingPlan, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Train what has not been trained yet, and conclude.

    Args:
        plan: what to do.
        tell: told a line about every training.

    Returns:
        The result, as the folder's `results.json` holds it.
    """
    settings = plan.settings
    with plan.folder.held():
        plan.folder.begin(asdict(settings), plan.derived)
        found = _train(plan, tell)
        findings = conclude_scaling(found, settings.resolutions)
        return plan.folder.finish(
            asdict(settings),
            {
                "title": f"Scaling {Path(plan.derived['space']).name} on {Path(plan.engines.source.name).name}",
                "hypothesis": "Scaled networks keep the promise of the small ones (hypothesis 1).",
                "judged_on": "test images" if plan.engines.source.has_test else "validation images",
                "derived": {**plan.derived, "space": Path(plan.derived["space"]).name},
                "trainings": [{"kind": kind, **asdict(one)} for kind, rows in found.items() for one in rows],
                **asdict(findings),
            },
        )


@dataclass(frozen=True, slots=True)
class ScalePair:
    """How far the rankings at two resolutions agree, over `vectors` vectors."""

    kind: str
    small: int
    large: int
    vectors: int
    spearman: Estimate
    kendall: Estimate


@dataclass(frozen=True, slots=True)
class Noise:
    """Mean Spearman correlation between single seeds at one resolution; None with a single seed."""

    kind: str
    resolution: int
    spearman: float | None


@dataclass(frozen=True, slots=True)
class Uplift:
    """Mean gain in accuracy for each doubling of a cost (`macs` or `params`), over vectors."""

    kind: str
    cost: str
    interval: Estimate


@dataclass(frozen=True, slots=True)
class ScalingFindings:
    """What the trainings say; `left_out` vectors lack a training that completed."""

    pairs: tuple[ScalePair, ...]
    noise: tuple[Noise, ...]
    uplifts: tuple[Uplift, ...]
    left_out: Mapping[str, tuple[str, ...]]
    verdicts: tuple[Verdict, ...]


def conclude_scaling(found: Mapping[str, Sequence[Measurement]], resolutions: Sequence[int]) -> ScalingFindings:
    """Correlations, uplifts and verdicts of the trainings of each kind."""
    pairs: list[ScalePair] = []
    noise: list[Noise] = []
    uplifts: list[Uplift] = []
    verdicts: list[Verdict] = []
    left_out: dict[str, tuple[str, ...]] = {}
    for kind, rows in found.items():
        names, values = _accuracies(rows, resolutions)
        left_out[kind] = tuple(name for name in dict.fromkeys(row.network for row in rows) if name not in names)
        for (i, small), (j, large) in itertools.combinations(enumerate(resolutions), 2):
            agreement = rank_agreement(values[:, i], values[:, j])
            pairs.append(ScalePair(kind, small, large, len(names), agreement.spearman, agreement.kendall))
        noise += [Noise(kind, side, agreement_of_seeds(values[:, i])) for i, side in enumerate(resolutions)]
        for cost in ("macs", "params"):
            costs = _costs(rows, names, resolutions, cost)
            uplifts.append(Uplift(kind, cost, mean_of(uplift_per_doubling(costs, values.mean(axis=2)))))
        ends = next(p for p in pairs if (p.kind, p.small, p.large) == (kind, resolutions[0], resolutions[-1]))
        gain = next(u.interval for u in uplifts if (u.kind, u.cost) == (kind, "macs"))
        verdicts.append(_judge(kind, ends, gain))
    return ScalingFindings(tuple(pairs), tuple(noise), tuple(uplifts), left_out, tuple(verdicts))


def _judge(kind: str, ends: ScalePair, gain: Estimate) -> Verdict:
    enough = ends.vectors >= LEAST_VECTORS
    answer = all_of([above(ends.spearman, LEAST_CORRELATION), above(gain, 0.0)]) if enough else "undecided"
    return Verdict(
        question=f"For {kind}: does the ranking at {ends.small} pixels hold at {ends.large}, and does scaling pay?",
        rule=RULE,
        answer=answer,
        because=f"Over {ends.vectors} vectors Spearman's correlation is {in_words(ends.spearman)}, and a doubling of "
        f"multiply-accumulates brings {in_words(gain, scale=100)} points of accuracy.",
    )


def _check(settings: ScalingSettings) -> None:
    sides = settings.resolutions
    if len(sides) < 2 or list(sides) != sorted(set(sides)):
        raise ExperimentError(
            "Scaling needs at least two resolutions, from small to large.",
            value=",".join(str(side) for side in sides),
            hint="Type, for example, --resolutions 32,64.",
        )
    if settings.study is not None and settings.blocks != "ordinary":
        raise ExperimentError(
            "A study's vectors have the study's blocks.", value=settings.blocks, hint="Leave --blocks out, or --study."
        )
    seconds, epochs = Budget.parse(settings.seconds), Budget.parse(settings.epochs)
    if seconds.unit != "seconds" or epochs.unit == "seconds":
        raise ExperimentError(
            "The two budgets are one in seconds and one in epochs or steps.",
            value=f"{settings.seconds} and {settings.epochs}",
            hint="Type, for example, --budget 30s --epochs 3epochs.",
        )


def _candidates(
    settings: ScalingSettings, engines: Engines, known: Mapping[str, Any] | None
) -> tuple[SearchSpace, list[NamedVector], tuple[str, ...]]:
    """The space, the vectors to choose from (those chosen before, a study's by rank, or drawn ones), plugins."""
    plugins: tuple[str, ...] = ()
    if settings.study is not None:
        with Study.open(settings.study) as study:
            check_trust(study.plan, trusted=settings.trust_files, code_only=True)
            plugins = study.plan.search.plugins
            run_plugins(plugins)
            space, found = space_of(study.plan), ranked_vectors(study)
    else:
        space, found = get_space(settings.space, settings.preset, blocks=settings.blocks), []
    if known is not None:
        return space, [NamedVector(each["name"], each["vector"]) for each in known["vectors"]], plugins
    first = [NamedVector("published", published(space.name))] if settings.with_published else []
    if settings.study is None:
        source = engines.source
        problem = Problem(
            space,
            settings.resolutions[0],
            len(source.classes),
            source.in_channels,
            engines.recipe.batch_size,
        )
        found = drawn_vectors(problem, settings.vectors, seed=settings.seed)
    return space, [*first, *found], plugins


def _seconds_a_seed(settings: ScalingSettings, engines: Engines, networks: Sequence[Sequence[Blueprint]]) -> float:
    everything = [blueprint for each in networks for blueprint in each]
    speed = engines.speed(everything)
    return sum(
        engines.wall_seconds(blueprint.macs, blueprint.resolution, Budget.parse(budget), speed)
        for blueprint in everything
        for budget in (settings.epochs, settings.seconds)
    )


def _train(plan: ScalingPlan, tell: Callable[[str], None]) -> dict[str, list[Measurement]]:
    """Every training by its kind. Seeds are the outer loop: ended early, all have been trained about as often."""
    settings, kinds, wanted = plan.settings, list[str](), list[Listed]()
    budgets = {EPOCHS: Budget.parse(settings.epochs), SECONDS: Budget.parse(settings.seconds)}
    for seed in range(settings.seeds):
        for place, resolution in enumerate(settings.resolutions):
            for kind, budget in budgets.items():
                for each, networks in plan.vectors:
                    entrant = Entrant.of(each.name, networks[place], vector=each.vector)
                    wanted.append(Listed(entrant, plan.engines.job(entrant, resolution, budget, seed)))
                    kinds.append(kind)
    measured = train(
        plan.folder.path / "trainings",
        wanted,
        tell,
        title="scaling",
        machine=settings.machine,
        plugins=plan.plugins,
        older=[plan.folder.path / kind.replace(" ", "-") for kind in KINDS],
    )
    found: dict[str, list[Measurement]] = {}
    for kind, one in zip(kinds, measured, strict=True):
        found.setdefault(kind, []).append(one)
    return found


def _accuracies(rows: Sequence[Measurement], resolutions: Sequence[int]) -> tuple[list[str], FloatArray]:
    """The networks whose every training completed, and their accuracies, shape [networks, resolutions, seeds]."""
    seeds = sorted({row.seed for row in rows})
    known = {(row.network, row.resolution, row.seed): row.accuracy for row in rows}
    names, values = [], []
    for name in dict.fromkeys(row.network for row in rows):
        table = [[known.get((name, side, seed)) for seed in seeds] for side in resolutions]
        if all(value is not None for line in table for value in line):
            names.append(name)
            values.append(table)
    return names, np.array(values, dtype=np.float64).reshape(len(names), len(resolutions), len(seeds))


def _costs(rows: Sequence[Measurement], names: Sequence[str], resolutions: Sequence[int], cost: str) -> FloatArray:
    known = {(row.network, row.resolution): getattr(row, cost) for row in rows}
    table = [[known[name, side] for side in resolutions] for name in names]
    return np.array(table, dtype=np.float64).reshape(len(names), len(resolutions))
