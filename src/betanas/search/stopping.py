"""Stops trials that cannot win any more, on the axis of training seconds.

Every trial of a search has the same training seconds, so partial curves compare across network sizes. At an evaluation
the rule predicts the trial's final accuracy from what trials that ended had reached at the same second, and stops it
where even the upper end of the prediction lies below the leaders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from betanas.blueprint import FloatArray
from betanas.errors import StrategyError
from betanas.search.records import TrialRecord
from betanas.training.result import CurvePoint

Curve = Sequence[CurvePoint]

# Stands for an accuracy of zero where a logarithm is taken: one image in five hundred.
_LEAST_ACCURACY = 0.002


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says of a trial at an evaluation.

    Attributes:
        stop: whether it should stop now.
        hopeless: whether it has no chance; true without `stop` for a control, which finishes all the same.
        seconds: training seconds at the evaluation.
        predicted: final accuracy expected of it, which stands as its result where it stops; None where too little is
            known to predict.
        upper: the upper end of the prediction.
        bar: the accuracy it had to be able to reach.
    """

    stop: bool
    hopeless: bool
    seconds: float
    predicted: float | None = None
    upper: float | None = None
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a trial has no chance any more. A value: a worker process gets a copy, and decides the same.

    The prediction is a linear regression, over the trials that ended, of the logarithm of the final accuracy on that of
    the accuracy at the same second and on its growth since half that time: networks differ by factors, in where a curve
    ends and in how far it has come. The growth is what tells a slow network, which is still climbing, from a poor one,
    which has levelled off; that accuracies rise once more as the learning rate anneals is in the trials themselves,
    whose anneal ends at the same second.

    Attributes:
        budget: training seconds of a trial.
        seed: decides which trials are controls.
        earliest: part of the budget before which nothing stops.
        least_history: trials that must have ended before the rule speaks.
        leaders: a trial goes on while it may become one of this number of best ones.
        confidence: of the prediction's upper end, one-sided.
        controls: part of the hopeless trials that finish, to show how often the rule is wrong.
    """

    budget: float
    seed: int = 0
    earliest: float = 0.15
    least_history: int = 10
    leaders: int = 3
    confidence: float = 0.95
    controls: float = 0.1

    def __post_init__(self) -> None:
        checks = (
            ("budget", self.budget > 0, "positive"),
            ("earliest", 0 < self.earliest < 1, "between 0 and 1"),
            ("least_history", self.least_history >= 6, "at least 6"),
            ("leaders", 1 <= self.leaders <= self.least_history, "between 1 and least_history"),
            ("confidence", 0.5 < self.confidence < 1, "between 0.5 and 1"),
            ("controls", 0 <= self.controls <= 1, "between 0 and 1"),
        )
        for name, holds, rule in checks:
            if not holds:
                raise StrategyError(f"Early stopping's {name} must be {rule}.", value=getattr(self, name))

    def is_control(self, index: int) -> bool:
        """Whether a trial finishes even where it is hopeless: drawn by its index, so the same after a resume."""
        return bool(np.random.default_rng((self.seed, index)).random() < self.controls)

    def decide(self, curve: Curve, history: Sequence[Curve], *, index: int) -> Verdict:
        """Judge a trial at its latest evaluation.

        Args:
            curve: its learning curve so far.
            history: curves of trials that trained to the end.
            index: of the trial.
        """
        seconds = curve[-1].seconds if curve else 0.0
        if not self.speaks(seconds, len(history)):
            return Verdict(stop=False, hopeless=False, seconds=seconds)
        finals = np.array([final_accuracy(ended) for ended in history])
        seen = np.array([progress(ended, seconds) for ended in history])
        return self.judge(progress(curve, seconds), seen, finals, seconds=seconds, index=index)

    def speaks(self, seconds: float, ended: int) -> bool:
        """Whether a trial is judged at a training second, when this number of trials have ended."""
        return ended >= self.least_history and self.earliest * self.budget <= seconds < self.budget

    def judge(self, point: FloatArray, seen: FloatArray, finals: FloatArray, *, seconds: float, index: int) -> Verdict:
        """Judge a trial by its `progress`, where the rule speaks.

        Args:
            point: the trial's, shape [2].
            seen: that of the n trials that ended, at the same second, shape [n, 2].
            finals: their final accuracies, shape [n].
            seconds: training seconds of the trial.
            index: of the trial.
        """
        finals = np.maximum(finals, _LEAST_ACCURACY)
        logarithms = _predict(seen, np.log(finals), point, self.confidence)
        predicted, upper = (float(np.exp(value)) for value in logarithms)
        bar = float(np.sort(finals)[-self.leaders])
        hopeless = upper < bar
        return Verdict(
            stop=hopeless and not self.is_control(index),
            hopeless=hopeless,
            seconds=seconds,
            predicted=predicted,
            upper=upper,
            bar=bar,
        )


def final_accuracy(curve: Curve) -> float:
    """The best evaluation's (section 4.4.3 of the report)."""
    return max(point.accuracy for point in curve)


def accuracy_at(curve: Curve, seconds: float) -> float:
    """Best accuracy so far at a training second: interpolated between evaluations, zero at the start."""
    times = np.array([0.0, *(point.seconds for point in curve)])
    best = np.maximum.accumulate([0.0, *(point.accuracy for point in curve)])
    return float(np.interp(seconds, times, best))


def progress(curve: Curve, seconds: float) -> FloatArray:
    """How far a curve has come at a second: logarithms of its accuracy, and of its growth since half that time."""
    now, before = (max(accuracy_at(curve, at), _LEAST_ACCURACY) for at in (seconds, seconds / 2))
    return np.log([now, now / before])


def _predict(seen: FloatArray, finals: FloatArray, point: FloatArray, confidence: float) -> tuple[float, float]:
    """Mean and upper end of a new value in a linear regression, by the textbook's prediction interval."""
    design = np.column_stack([np.ones(len(seen)), seen])
    point = np.array([1.0, *point])
    coefficients, _, rank, _ = np.linalg.lstsq(design, finals, rcond=None)
    freedom = len(finals) - int(rank)
    residual = float(((finals - design @ coefficients) ** 2).sum() / freedom)
    leverage = float(point @ np.linalg.pinv(design.T @ design) @ point)
    mean = float(point @ coefficients)
    margin = float(stdtrit(freedom, confidence)) * float(np.sqrt(residual * (1.0 + leverage)))
    return mean, mean + margin


@dataclass(frozen=True, slots=True)
class StoppingReport:
    """What early stopping saved, and how often it was wrong.

    Attributes:
        trials: that completed or were stopped.
        stopped: trials that were stopped.
        controls: hopeless trials that finished.
        wrong: controls that ended at least as well as the leader they were thought to be unable to reach.
        wrong_low, wrong_high: 95% interval (Wilson) of the part of stopped trials that would have been wrong.
        trained_seconds: training seconds spent.
        saved_seconds: training seconds that the stopped trials did not use.
        saved_share: of what all the trials would have used.
        worst_miss: accuracy by which the best wrong control passed the bar; zero without one.
    """

    trials: int
    stopped: int
    controls: int
    wrong: int
    wrong_low: float
    wrong_high: float
    trained_seconds: float
    saved_seconds: float
    saved_share: float
    worst_miss: float


def stopping_report(records: Iterable[TrialRecord], rule: StoppingRule) -> StoppingReport:
    """What a search's records, with curves, say of the rule it stopped by.

    The decisions are worked out again from the curves: a completed trial of the rule's own choice is a control where
    the rule, knowing the trials that had completed before, called it hopeless.
    """
    ended = sorted(
        (each for each in records if each.state in ("completed", "stopped") and each.share == 1.0 and each.curve),
        key=lambda each: each.index,
    )
    history: list[Curve] = []
    misses: list[float] = []
    controls = 0
    for record in ended:
        if record.state != "completed":
            continue
        control = rule.is_control(record.index)
        verdict = first_hopeless(record.curve, history, rule, index=record.index) if control else None
        if verdict is not None and verdict.bar is not None:
            controls += 1
            miss = final_accuracy(record.curve) - verdict.bar
            misses += [miss] if miss >= 0 else []
        history.append(record.curve)
    stopped = [each for each in ended if each.state == "stopped"]
    spent = sum(each.training_seconds or 0.0 for each in ended)
    saved = sum(max(rule.budget - (each.training_seconds or 0.0), 0.0) for each in stopped)
    from scipy import stats  # a second that a search which stops nobody need not spend

    interval = stats.binomtest(len(misses), controls).proportion_ci(0.95, "wilson") if controls else None
    return StoppingReport(
        trials=len(ended),
        stopped=len(stopped),
        controls=controls,
        wrong=len(misses),
        wrong_low=float(interval.low) if interval else 0.0,
        wrong_high=float(interval.high) if interval else 1.0,
        trained_seconds=spent,
        saved_seconds=saved,
        saved_share=saved / (spent + saved) if spent + saved > 0 else 0.0,
        worst_miss=max(misses, default=0.0),
    )


def first_hopeless(curve: Curve, history: Sequence[Curve], rule: StoppingRule, *, index: int) -> Verdict | None:
    """The first verdict along a whole curve that calls it hopeless; None where there is none."""
    for length in range(1, len(curve) + 1):
        verdict = rule.decide(curve[:length], history, index=index)
        if verdict.hopeless:
            return verdict
    return None
