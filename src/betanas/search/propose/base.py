"""The ask/tell contract that every search strategy keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from betanas.errors import StrategyError
from betanas.search.feasibility import Problem
from betanas.search.records import TrialRecord, TrialState


@dataclass(frozen=True, slots=True)
class Observation:
    """What a strategy is told of a trial: once when it starts (`running`) and once when it ends.

    Attributes:
        index: the trial's index.
        vector: its parameter vector.
        origin: what suggested it.
        state: `running` is a pending trial: its point is taken, its value unknown.
        objective: to be maximised; None unless the trial completed (or stopped early with a usable value).
        share: part of the search's budget that the trial trains for, in (0, 1].
    """

    index: int
    vector: Mapping[str, float]
    origin: str
    state: TrialState
    objective: float | None = None
    share: float = 1.0

    @classmethod
    def of(cls, record: TrialRecord) -> Observation:
        """What a strategy is told of a trial's record."""
        return cls(record.index, record.vector, record.origin, record.state, record.objective, record.share)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A candidate to train next.

    Attributes:
        vector: its parameter vector.
        origin: what suggested it (`sobol`, `gpei`, ...).
        share: part of the search's budget that it is trained for, in (0, 1]; its schedule ends there.
    """

    vector: Mapping[str, float]
    origin: str
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            rule = "A strategy must suggest a share of the budget above 0 and of at most 1."
            raise StrategyError(rule, value=self.share, hint=f"See the strategy that calls itself {self.origin}.")


@dataclass(frozen=True, slots=True)
class Prediction:
    """A strategy's own idea of the best vector: the maximum of its model's mean, in general never trained.

    Attributes:
        vector: the parameter vector.
        mean: predicted objective there.
        deviation: the prediction's standard deviation.
    """

    vector: Mapping[str, float]
    mean: float
    deviation: float


class Strategy(ABC):
    """Suggests candidates from what it was told.

    A strategy is a pure function of its problem, its seed, its options and the observations told so far (the newest of
    an index stands; their order does not matter): a fresh instance told the same suggests the same. That is what makes
    a resumed search go on as if it had never stopped. Only feasible candidates are suggested, unless the strategy's
    whole point is otherwise (`report`).

    Attributes:
        name: what the command line calls it.
        finds_fronts: whether it can search for a front, which `Problem.against` asks for.
        learns: whether it makes something of what finished studies found (`Problem.lessons`).
        least_share: the smallest part of the budget that it suggests to train a candidate for.
        threads: processor threads a suggestion may use now; the search sets it, since trials may be running.
    """

    name: ClassVar[str]
    finds_fronts: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    least_share: float = 1.0

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.problem = problem
        self.seed = seed
        self.options = dict(options or {})
        self.threads = 1
        self._observations: dict[int, Observation] = {}

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What was told, in the order of trial indices."""
        return tuple(self._observations[index] for index in sorted(self._observations))

    @property
    def before_model(self) -> int:
        """Usable results that are gathered without guidance before a model takes over; 0 without a model."""
        return 0

    def tell(self, observation: Observation) -> None:
        """Take note of a trial that started or ended."""
        self._observations[observation.index] = observation

    @abstractmethod
    def ask(self, count: int = 1) -> list[Suggestion]:
        """Suggest `count` candidates for the next trials.

        Raises:
            LimitError: no feasible candidate can be found.
        """

    def remaining(self, planned: int) -> int:
        """How many of the planned trials are still to be started. Infeasible ones do not count."""
        return max(planned - sum(seen.state != "infeasible" for seen in self._observations.values()), 0)

    def predict_best(self) -> Prediction | None:
        """The maximum of the strategy's model over the feasible space; None without a model, or too little data."""
        return None

    def export_surrogate(self) -> Mapping[str, Any] | None:
        """The strategy's model as plain data for an analysis without torch and BoTorch; None without a model."""
        return None
