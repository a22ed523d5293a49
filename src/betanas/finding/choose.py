"""What is chosen where nothing was typed: from what the images are, the time and the device to settings.

Pure functions, for `betanas find` and for a `betanas search` without a budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from betanas.finding.look import Look

# The space that is searched; benchmarks/find_spaces.py compares it with the others.
SPACE = "convnet"

# Resolutions that the time allows on a processor and on an accelerator: up to so many seconds, this side at most.
_SIDES: Mapping[bool, tuple[tuple[float, int], ...]] = {
    False: ((1200.0, 32), (7200.0, 48), (float("inf"), 64)),
    True: ((600.0, 64), (3600.0, 96), (float("inf"), 128)),
}

# Smaller than this leaves nothing to contract.
_SMALLEST_SIDE = 16

# With fewer training images than this, the recipe's 100 a step would make a handful of steps an epoch.
_FEW_IMAGES, _SMALL_BATCH = 400, 32

# Trials: ten in the first minute, and with eight times the time twice the number: the model that guides a search learns
# from their number, a trial from its seconds.
_FIRST_TRIALS, _LEAST_TRIALS, _MOST_TRIALS = 10, 6, 60

# The part of a search's time that its strategy may use before its model guides it, and the fewest first points. With
# the usual number of first points a search of ten minutes would be over by then. Among simulated searches of a dozen
# trainings six to eight first points were best, of twenty eight to twelve (benchmarks/search_short.py, seeds from 1000
# on).
_UNGUIDED, _LEAST_FIRST = 0.5, 4


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings that describe what is trained, by the names of the search's.

    Attributes:
        space: the search space.
        resolution: side of the training images, in pixels.
        batch_size: images a step; None is the recipe's.
    """

    space: str
    resolution: int
    batch_size: int | None

    def settings(self) -> dict[str, Any]:
        """As settings of a search; what the recipe decides is not among them."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def choose(look: Look, *, seconds: float, accelerated: bool) -> Choice:
    """What to train.

    Args:
        look: at the images.
        seconds: wall-clock for everything.
        accelerated: whether trials train on an accelerator.
    """
    most = next(side for limit, side in _SIDES[accelerated] if seconds <= limit)
    return Choice(
        space=SPACE,
        resolution=max(_SMALLEST_SIDE, min(most, look.typical_side)),
        batch_size=_SMALL_BATCH if look.train < _FEW_IMAGES else None,
    )


def divide(seconds: float, *, beside: float, workers: int, least: float = 1.0) -> tuple[int, float]:
    """How many trials a search is divided into, and the training seconds of each.

    Args:
        seconds: wall-clock of the search.
        beside: wall-clock that a trial takes beside its training.
        workers: trials at the same time.
        least: fewest training seconds of a trial.

    Returns:
        About how many trials there will be, and the budget of each, in round seconds.
    """
    wanted = min(max(round(_FIRST_TRIALS * (seconds / 60) ** (1 / 3)), _LEAST_TRIALS), _MOST_TRIALS)
    budget = max(_two_digits(workers * seconds / wanted - beside), math.ceil(10 * least) / 10)
    return max(int(workers * seconds / (budget + beside)), 1), budget


def strategy_options(
    strategy: str, *, trials: int, parameters: int, beside: float, trial: float, least: float, learns: bool = False
) -> dict[str, float]:
    """Options of the strategy that follow from how long a trial takes here, and from how many there is time for.

    Args:
        strategy: its name.
        trials: about how many whole trials there will be.
        parameters: of the space, those that are searched.
        beside: wall-clock that a trial takes beside its training.
        trial: training seconds of a whole trial.
        least: the shortest training that teaches something, in seconds.
        learns: whether finished studies are learned from, which say where to begin.
    """
    if strategy == "gpei":
        from betanas.search.propose.gpei.strategy import SOBOL_BEYOND_PARAMETERS

        options, usual, cost = dict[str, float](), float(parameters + SOBOL_BEYOND_PARAMETERS), 1.0
    elif strategy == "multifidelity":
        from betanas.search.propose.multifidelity.strategy import SOBOL_A_PARAMETER, MultiFidelityOptions

        defaults = MultiFidelityOptions()
        share = min(max(least / trial, defaults.least), 0.5)
        overhead, first = round(beside / trial, 3), round(max(defaults.first, share), 3)
        options = {"overhead": overhead, "least": round(share, 3), "first": first}
        usual, cost = SOBOL_A_PARAMETER * (parameters + 1), (first + overhead) / (1 + overhead)
    else:
        return {}
    initial = max(round(trials * _UNGUIDED / cost), _LEAST_FIRST)
    return options if learns or initial >= usual else {**options, "initial": initial}


def leaders(trainings: int) -> tuple[int, int]:
    """How many leaders are confirmed, and with how many seeds, from how many trainings there is time for.

    The maximum of the search's model is confirmed beside them. Three seeds are the fewest with an interval.
    """
    for top, seeds in ((5, 3), (4, 3), (3, 3), (2, 3), (2, 2), (1, 2), (2, 1), (1, 1)):
        if (top + 1) * seeds <= trainings:
            return top, seeds
    return 1, 1


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
