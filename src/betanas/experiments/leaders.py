"""What the final trainings of two searches' leaders say about their objectives (hypothesis 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from betanas.experiments.measurement import Measurement
from betanas.experiments.statistics import Estimate, mean_of
from betanas.experiments.verdict import Verdict, above, in_words

Arm = Literal["seconds", "macs"]
ARMS: tuple[Arm, Arm] = ("seconds", "macs")

RULE = (
    "Supported where the 95% interval, over pairs of searches, of the difference in accuracy at equal training seconds "
    "(leaders of the search for accuracy within seconds, less those of the search with a penalty on "
    "multiply-accumulates) lies above zero; not supported where it lies below; otherwise undecided."
)
SPEED_RULE = (
    "Supported where the 95% interval, over pairs of searches, of how many times sooner the leaders of the search for "
    "accuracy within seconds reach an accuracy that both reach lies above one; not supported where it lies below; "
    "otherwise undecided."
)


@dataclass(frozen=True, slots=True)
class LeaderTraining:
    """A final training of a search's leader; `place` 0 is the best of the search."""

    arm: Arm
    pair: int
    place: int
    training: Measurement


@dataclass(frozen=True, slots=True)
class PairResult:
    """One arm of one pair: means over its leaders and seeds.

    Attributes:
        pair, arm: which.
        accuracy: at the end.
        macs: geometric mean over the leaders.
        seconds_per_epoch: geometric mean.
        seconds_to_target: geometric mean of the training seconds to the pair's common accuracy; a training that does
            not get there counts with all its seconds.
        target: that accuracy, on validation images.
        trainings: how many completed.
    """

    pair: int
    arm: Arm
    accuracy: float
    macs: float
    seconds_per_epoch: float
    seconds_to_target: float
    target: float
    trainings: int


@dataclass(frozen=True, slots=True)
class ObjectiveFindings:
    """What the final trainings say; ratios are those of the `macs` arm to the `seconds` arm, geometric means.

    Attributes:
        results: two for each complete pair.
        left_out: pairs with an arm without a completed training.
        accuracy: difference of the `seconds` arm to the `macs` arm, in [-1, 1].
        macs, epoch, sooner: how many times as many MACs, as long an epoch, and as long to the common accuracy the
            leaders of the `macs` search have.
        verdicts: on accuracy, and on time.
    """

    results: tuple[PairResult, ...]
    left_out: tuple[int, ...]
    accuracy: Estimate
    macs: Estimate
    epoch: Estimate
    sooner: Estimate
    verdicts: tuple[Verdict, ...]


def conclude_objective(found: Sequence[LeaderTraining]) -> ObjectiveFindings:
    """Paired differences and verdicts of the final trainings."""
    results: list[PairResult] = []
    left_out = []
    pairs = sorted({each.pair for each in found})
    for pair in pairs:
        arms = {
            arm: [e.training for e in found if (e.pair, e.arm) == (pair, arm) and e.training.accuracy is not None]
            for arm in ARMS
        }
        if not all(arms.values()):
            left_out.append(pair)
            continue
        target = min(float(np.mean([max(a for _, a in each.curve) for each in arm])) for arm in arms.values())
        results += [_pair_result(pair, arm, trainings, target) for arm, trainings in arms.items()]
    ours, theirs = ([each for each in results if each.arm == arm] for arm in ARMS)
    accuracy = mean_of([a.accuracy - b.accuracy for a, b in zip(ours, theirs, strict=True)])
    sooner = _ratio([b.seconds_to_target for b in theirs], [a.seconds_to_target for a in ours])
    verdicts = (
        Verdict(
            question="At equal training seconds, do the leaders of the search within seconds become more accurate?",
            rule=RULE,
            answer=above(accuracy, 0.0),
            because=f"Over {accuracy.n} pairs of searches the difference is {in_words(accuracy, scale=100)} points.",
        ),
        Verdict(
            question="Do they reach a common accuracy sooner?",
            rule=SPEED_RULE,
            answer=above(sooner, 1.0),
            because=f"Over {sooner.n} pairs of searches they are there {in_words(sooner)} times as soon.",
        ),
    )
    return ObjectiveFindings(
        results=tuple(results),
        left_out=tuple(left_out),
        accuracy=accuracy,
        macs=_ratio([b.macs for b in theirs], [a.macs for a in ours]),
        epoch=_ratio([b.seconds_per_epoch for b in theirs], [a.seconds_per_epoch for a in ours]),
        sooner=sooner,
        verdicts=verdicts,
    )


def seconds_to(curve: Sequence[tuple[float, float]], target: float) -> float:
    """Training seconds at which the best accuracy so far first reaches a target, between evaluations interpolated.

    Args:
        curve: (seconds, accuracy) at each evaluation.
        target: accuracy.

    Returns:
        The curve's last second where it never does.
    """
    before = (0.0, 0.0)
    for seconds, accuracy in curve:
        if accuracy >= target:
            rise = accuracy - before[1]
            part = (target - before[1]) / rise if rise > 0 else 1.0
            return before[0] + max(part, 0.0) * (seconds - before[0])
        before = (seconds, max(accuracy, before[1]))
    return before[0]


def _pair_result(pair: int, arm: Arm, trainings: Sequence[Measurement], target: float) -> PairResult:
    return PairResult(
        pair=pair,
        arm=arm,
        accuracy=float(np.mean([each.accuracy for each in trainings])),
        macs=_geometric_mean([each.macs for each in trainings]),
        seconds_per_epoch=_geometric_mean(
            [(each.training_seconds or 0.0) / (each.epochs or 1.0) for each in trainings]
        ),
        seconds_to_target=_geometric_mean([seconds_to(each.curve, target) for each in trainings]),
        target=target,
        trainings=len(trainings),
    )


def _geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Geometric mean of ratios, with its interval by Student's t on their logarithms."""
    found = mean_of([float(np.log(a / b)) for a, b in zip(numerators, denominators, strict=True)])
    value, low, high = (None if end is None else float(np.exp(end)) for end in (found.value, found.low, found.high))
    return Estimate(value, low, high, found.n)
