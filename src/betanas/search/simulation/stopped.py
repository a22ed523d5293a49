"""What an early-stopping rule would have done to recorded trials: seconds saved, and points lost in the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from betanas.blueprint import FloatArray
from betanas.search.simulation.recording import Recording, as_curve
from betanas.search.stopping import Curve, StoppingRule, final_accuracy, progress


@dataclass(frozen=True, slots=True)
class StoppedSearch:
    """A search over recorded trials, with early stopping.

    Attributes:
        trials: in all.
        stopped: ended early.
        saved: part of the training seconds that were not spent.
        lost: accuracy of the best recorded trial less that of the best one that trained to its end.
    """

    trials: int
    stopped: int
    saved: float
    lost: float


class RecordedCurves:
    """Recorded trials with everything a rule looks at worked out once, so that many rules and orders can be tried."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._curves: list[Curve] = [as_curve(each.curve) for each in recordings]
        self._seconds = np.array([each.training_seconds for each in recordings])
        self.finals = np.array([final_accuracy(curve) for curve in self._curves])

    def __len__(self) -> int:
        return len(self._curves)

    def replay(self, rule: StoppingRule, order: Sequence[int]) -> StoppedSearch:
        """Train the trials of an order one after another, stopping as the rule says.

        Args:
            rule: decides, knowing the trials before.
            order: places of recorded trials.
        """
        ended: list[int] = []
        spent = 0.0
        for index, place in enumerate(order):
            used = self._stop(rule, place, ended, index)
            spent += self._seconds[place] if used is None else used
            if used is None:
                ended.append(place)
        chosen = list(order)
        return StoppedSearch(
            trials=len(chosen),
            stopped=len(chosen) - len(ended),
            saved=1.0 - spent / float(self._seconds[chosen].sum()),
            lost=float(self.finals[chosen].max() - self.finals[ended].max()),
        )

    def _stop(self, rule: StoppingRule, place: int, ended: Sequence[int], index: int) -> float | None:
        """The second at which a trial is stopped; None where it trains to its end."""
        for point, seen in zip(self._curves[place], self._progress[place], strict=True):
            if rule.speaks(point.seconds, len(ended)):
                known = list(ended)
                verdict = rule.judge(seen[place], seen[known], self.finals[known], seconds=point.seconds, index=index)
                if verdict.stop:
                    return point.seconds
        return None

    @cached_property
    def _progress(self) -> list[list[FloatArray]]:
        """For each trial and each of its evaluations, the progress of every trial at that second, shape [n, 2]."""
        return [
            [np.array([progress(other, point.seconds) for other in self._curves]) for point in curve]
            for curve in self._curves
        ]
