"""The largest resolution whose network stays within a cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from betanas.errors import LimitError
from betanas.spaces.scaling.costs import CostTable, Measure

Ending = Literal["reached", "bounded", "unreachable"]


@dataclass(frozen=True)
class Solution:
    """What a target cost allows.

    Attributes:
        rule: the scaling rule's name.
        measure: what is limited.
        target: the most it may cost.
        ending: `reached` (every larger network costs more), `bounded` (the largest resolution that was looked at still
            fits) or `unreachable` (no network is so small).
        resolution: the largest that stays within; None where there is none.
        cost: of its network; where there is none, the least cost of any.
        next_cost: of the network one resolution larger, which is beyond the target; None unless `reached`.
        gaps: smaller resolutions beyond the target all the same: costs fall where a contraction is added.
    """

    rule: str
    measure: Measure
    target: int
    ending: Ending
    resolution: int | None
    cost: int
    next_cost: int | None
    gaps: int


def solve(table: CostTable, measure: Measure, target: int) -> Solution:
    """Find the largest resolution of a table that stays within a target.

    Every entry is looked at, since no cost is sure to grow with the resolution: where a contraction is added, later
    feature maps shrink. The answer is exact for a table of consecutive resolutions.

    Raises:
        LimitError: the target is not positive.
    """
    if target < 1:
        raise LimitError("A target cost must be positive.", value=target)
    costs = table.costs[measure]
    within = np.nonzero(costs <= target)[0]
    if not len(within):
        return Solution(table.rule, measure, target, "unreachable", None, int(costs.min()), None, 0)
    last = int(within[-1])
    bounded = last + 1 == len(costs)
    return Solution(
        rule=table.rule,
        measure=measure,
        target=target,
        ending="bounded" if bounded else "reached",
        resolution=int(table.resolutions[last]),
        cost=int(costs[last]),
        next_cost=None if bounded else int(costs[last + 1]),
        gaps=last + 1 - len(within),
    )
