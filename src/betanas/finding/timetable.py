"""When each part of a `find` ends: a pure function of the time, and of what was measured of this machine."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from betanas.errors import StudyError
from betanas.finding.choose import divide, leaders
from betanas.quantities import format_seconds
from betanas.training.budget import Budget

# Of the time that is left for training: the search, and confirming its leaders; the rest trains the winner. Where all
# of that time would show a quick network its images only a few times, training longer gains more than choosing better.
_SEARCH, _CONFIRMATION = (0.25, 0.5), (0.08, 0.2)
_FEW_EPOCHS, _MANY_EPOCHS = 4.0, 64.0

# A candidate may take so many times the work of a quick network, or as many times as a trial would show that one its
# images: what sees less of them than an eighth of what the quick one sees, and not all of them once, tells nothing.
_MOST_WORK = 8.0

# A trial teaches something from this number of steps on, and this part of an epoch, and with less than this many
# seconds it is mostly its own preparation.
_LEAST_STEPS, _LEAST_EPOCHS, _LEAST_SECONDS = 20, 0.125, 1.0

# The fewest trials that are a search; a confirmation trains at least a leader and the model's maximum.
_LEAST_TRIALS, _LEAST_CONFIRMED = 6, 2

# The winner is trained for at least this many times a trial's budget.
_LEAST_TRAINING = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast this machine is, in seconds.

    Attributes:
        step: of one training step of one of the quicker networks.
        steps_per_epoch: steps of a pass over the training images.
        beside: wall-clock of a trial beside its training.
        worker: until a worker process is ready to train.
        closing: judging, exporting, checking and reporting, with their rehearsal.
        macs: multiply-accumulates of an answer of that network.
    """

    step: float
    steps_per_epoch: float
    beside: float
    worker: float
    closing: float
    macs: int

    @property
    def epoch(self) -> float:
        """Seconds in which that network sees all training images."""
        return self.steps_per_epoch * self.step

    @property
    def least_trial(self) -> float:
        """The shortest training of a trial that teaches something."""
        return max(_LEAST_SECONDS, _LEAST_STEPS * self.step, _LEAST_EPOCHS * self.epoch)

    def most_macs(self, trial: float) -> int:
        """Multiply-accumulates of the largest network that a trial of so many seconds can tell something of."""
        return int(self.macs * max(_MOST_WORK, trial / self.epoch))


@dataclass(frozen=True, slots=True)
class Timetable:
    """When each part ends. All times are wall-clock seconds from the start of the command.

    Attributes:
        total: when everything ends.
        searched: when the search ends.
        confirmed: when the leaders have been trained again.
        trial: training seconds of a trial.
        trials: about how many of them.
        top, seeds: leaders that are confirmed, and fresh trainings of each.
        training: about how many seconds the winner trains.
        least: the shortest time that would have been accepted.
    """

    total: float
    searched: float
    confirmed: float
    trial: float
    trials: int
    top: int
    seeds: int
    training: float
    least: float

    def to_document(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return asdict(self)


def least_time(start: float, pace: Pace, *, workers: int, trial: float | None = None) -> float:
    """The shortest wall-clock in which a network can be found.

    Args:
        start: seconds until the search begins.
        pace: of this machine.
        workers: trials at the same time.
        trial: training seconds of a trial, where they are typed.
    """
    budget = pace.least_trial if trial is None else trial
    rounds = math.ceil(_LEAST_TRIALS / workers) + math.ceil(_LEAST_CONFIRMED / workers)
    return start + 2 * pace.worker + rounds * (budget + pace.beside) + _LEAST_TRAINING * budget + pace.closing


def make_timetable(
    total: float,
    start: float,
    pace: Pace,
    *,
    workers: int,
    trial: float | None = None,
    top: int | None = None,
    seeds: int | None = None,
) -> Timetable:
    """Divide the time.

    Args:
        total: wall-clock of everything.
        start: seconds until the search begins.
        pace: of this machine.
        workers: trials at the same time.
        trial: training seconds of a trial, where they are typed.
        top: leaders to confirm, likewise.
        seeds: fresh trainings of each, likewise.

    Raises:
        StudyError: the time is too short; the message says how much is needed.
    """
    least = least_time(start, pace, workers=workers, trial=trial)
    if total < least:
        enough = rounded_up(least)
        raise StudyError(
            f"For these images on this machine the time must be at least {format_seconds(least)}: "
            f"{_LEAST_TRIALS} trials of {format_seconds(pace.least_trial if trial is None else trial)}, and what "
            "comes before and after them.",
            value=str(Budget(total, "seconds")),
            hint=f"Type, for example, --time {Budget(enough, 'seconds')}.",
        )
    free = total - start - 2 * pace.worker - pace.closing
    search_part, confirmation_part = parts(free / pace.epoch)
    searching = search_part * free
    budget = trial
    if budget is None:
        trials, budget = divide(searching, beside=pace.beside, workers=workers, least=pace.least_trial)
    else:
        trials = max(int(workers * searching / (budget + pace.beside)), 1)
    one = budget + pace.beside
    searching = max(searching, min(math.ceil(_LEAST_TRIALS / workers) * one, free))
    confirming = confirmation_part * free
    chosen = leaders(int(workers * confirming / one))
    top, seeds = top or chosen[0], seeds or chosen[1]
    confirming = min(
        math.ceil((top + 1) * seeds / workers) * one, max(free - searching - _LEAST_TRAINING * budget, 0.0)
    )
    searched = start + pace.worker + searching
    confirmed = searched + pace.worker + confirming
    return Timetable(
        total=total,
        searched=searched,
        confirmed=confirmed,
        trial=budget,
        trials=trials,
        top=top,
        seeds=seeds,
        training=max(total - confirmed - pace.closing, 0.0),
        least=least,
    )


def parts(epochs: float) -> tuple[float, float]:
    """The parts of the time for training that a search and a confirmation have.

    Args:
        epochs: how often a quick network would see its images in all of that time.
    """
    along = math.log(max(epochs, _FEW_EPOCHS) / _FEW_EPOCHS) / math.log(_MANY_EPOCHS / _FEW_EPOCHS)
    search, confirmation = (few + (many - few) * min(along, 1.0) for few, many in (_SEARCH, _CONFIRMATION))
    return search, confirmation


def confirmed_by(table: Timetable, closing: float) -> float:
    """When the confirmation ends at the latest, in seconds from the start of the command.

    The winner's training comes first, whose time is what everything before it leaves: a model that was trained for less
    than a trial helps nobody, however sure it is that its network was the right one.

    Args:
        table: the plan.
        closing: seconds of everything after the training, as rehearsed.
    """
    return min(table.confirmed, table.total - closing - _LEAST_TRAINING * table.trial)


def rounded_up(seconds: float) -> float:
    """A time that a person would type: whole tens of seconds, from two minutes on whole minutes."""
    unit = 10.0 if seconds <= 120 else 60.0
    return math.ceil(seconds / unit) * unit


def evaluations(seconds: float, *, one: float) -> int:
    """How often the winner is judged, and kept, while it trains.

    Once a minute, for at most 2% of the time; six times in a short training, for at most 5% of it; and once, at the
    end, where that is more.

    Args:
        seconds: of its training.
        one: seconds of an evaluation.
    """
    if one <= 0:
        return 60
    share = seconds / one
    return int(min(max(min(seconds / 60, 0.02 * share), min(0.05 * share, 6), 1), 60))
