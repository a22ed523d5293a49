"""The largest resolution whose network is quick enough: measured as sparingly as the answer allows, or predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from betanas.cost.latency import LatencyModel
from betanas.errors import LimitError
from betanas.spaces.scaling.costs import batches_of
from betanas.spaces.scaling.rules import ScalingRule
from betanas.spaces.scaling.solve import Ending

# Sides that are looked at, in pixels: a measurement does not tell apart networks that are nearer.
LATENCY_STEP = 8

# From one measured side to the next while the target is not bracketed yet, as a factor.
_STRIDE = 1.5


@dataclass(frozen=True)
class LatencySolution:
    """What a target latency allows, as far as was measured or predicted.

    Attributes:
        rule: the scaling rule's name.
        measure: `latency`.
        target: the most seconds it may take.
        ending: `reached` (the next side that was looked at takes longer; where they are predicted, every larger one),
            `bounded` (the largest side is quick enough) or `unreachable` (the smallest is not).
        resolution: the largest measured side that is quick enough; None where there is none.
        cost: its network's seconds; where there is none, those of the smallest.
        next_resolution, next_cost: the next side, and its seconds, which are too many; None unless `reached`.
        measured: every (resolution, seconds) pair, in the order of measurement; empty where the seconds are predicted.
    """

    rule: str
    measure: Literal["latency"]
    target: float
    ending: Ending
    resolution: int | None
    cost: float
    next_resolution: int | None
    next_cost: float | None
    measured: tuple[tuple[int, float], ...]


def solve_latency(
    rule: str, measure: Callable[[int], float], sides: Sequence[int], target: float, *, start: int
) -> LatencySolution:
    """Bracket the target from a first guess, then halve the bracket.

    Between measured sides the latency is taken to grow. A side that is out of the way, where a contraction is added
    and the network becomes quicker, is not found.

    Args:
        rule: the scaling rule's name.
        measure: gives the seconds that the network of a resolution takes; infinity where it cannot be run.
        sides: ascending resolutions to choose from.
        target: seconds.
        start: the side near which measuring begins.

    Raises:
        LimitError: the target is not positive.
    """
    if not target > 0:
        raise LimitError("A target latency must be positive.", value=target)
    seconds: dict[int, float] = {}

    def is_quick(place: int) -> bool:
        side = sides[place]
        if side not in seconds:
            seconds[side] = measure(side)
        return seconds[side] <= target

    last = len(sides) - 1
    place = min(range(len(sides)), key=lambda place: abs(sides[place] - start))
    quick = slow = place
    if is_quick(place):
        while is_quick(slow) and slow < last:
            quick, slow = slow, _place_near(sides, _STRIDE * sides[slow], slow + 1)
    else:
        while not is_quick(quick) and quick > 0:
            slow, quick = quick, min(_place_near(sides, sides[quick] / _STRIDE, 0), quick - 1)
    if is_quick(slow):
        return _solution(rule, target, "bounded", sides[slow], None, seconds)
    if not is_quick(quick):
        return _solution(rule, target, "unreachable", None, None, seconds)
    while slow - quick > 1:
        middle = (quick + slow) // 2
        quick, slow = (middle, slow) if is_quick(middle) else (quick, middle)
    return _solution(rule, target, "reached", sides[quick], sides[slow], seconds)


def solve_predicted(rule: ScalingRule, model: LatencyModel, sides: Sequence[int], target: float) -> LatencySolution:
    """Predict the seconds of every side, and take the largest that is quick enough.

    Args:
        rule: the scaling rule.
        model: predicts.
        sides: ascending resolutions to choose from.
        target: seconds.

    Raises:
        LimitError: the target is not positive.
    """
    if not target > 0:
        raise LimitError("A target latency must be positive.", value=target)
    predicted = np.concatenate([model.predict(batch) for batch, _ in batches_of(rule, np.array(sides))])
    seconds = dict(zip(sides, predicted.tolist(), strict=True))
    quick = [side for side in sides if seconds[side] <= target]
    if not quick:
        return replace(
            _solution(rule.name, target, "unreachable", None, None, seconds), cost=min(seconds.values()), measured=()
        )
    place = sides.index(quick[-1]) + 1
    beyond = sides[place] if place < len(sides) else None
    ending: Ending = "reached" if beyond is not None else "bounded"
    return replace(_solution(rule.name, target, ending, quick[-1], beyond, seconds), measured=())


def _place_near(sides: Sequence[int], side: float, least: int) -> int:
    """The place of the first side beyond another, within the list and not below a place."""
    beyond = next((place for place, each in enumerate(sides) if each >= side), len(sides) - 1)
    return min(max(beyond, least), len(sides) - 1)


def _solution(
    rule: str, target: float, ending: Ending, found: int | None, beyond: int | None, seconds: dict[int, float]
) -> LatencySolution:
    return LatencySolution(
        rule=rule,
        measure="latency",
        target=target,
        ending=ending,
        resolution=found,
        cost=seconds[found] if found is not None else seconds[min(seconds)],
        next_resolution=beyond,
        next_cost=seconds[beyond] if beyond is not None else None,
        measured=tuple(seconds.items()),
    )
