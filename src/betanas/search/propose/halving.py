"""Early discarding by rules: everything is tried briefly, and the best of each rung are trained longer.

They learn nothing of what makes a network good, and are hard to beat all the same (Egele et al. 2024).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from typing_extensions import override

from betanas.errors import StrategyError
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.fidelity import FidelityStrategy
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.rungs import (
    Entrant,
    Next,
    Rung,
    halving_bracket,
    hyperband_brackets,
    next_asynchronous,
    next_in_brackets,
    shares_from,
)


class _Least(Protocol):
    @property
    def least(self) -> float: ...


_Options = TypeVar("_Options", bound=_Least)


def require_share(name: str, value: float) -> None:
    """Refuse an option that is no part of the budget.

    Raises:
        StrategyError: it is not.
    """
    if not 0.0 < value < 1.0:
        raise StrategyError(f"The option {name} must be a part of the budget, above 0 and below 1.", value=value)


@dataclass(frozen=True)
class HalvingOptions:
    """Options of `successive-halving`, `hyperband` and `asha`.

    Attributes:
        least: the smallest part of the budget that a candidate is trained for.
        factor: how many times longer the next rung trains, and of how many candidates one gets there.
    """

    least: float = 0.0625
    factor: int = 4

    def __post_init__(self) -> None:
        require_share("least", self.least)
        require_at_least("factor", self.factor, 2)


@dataclass(frozen=True)
class EarlyDiscardingOptions:
    """Options of `early-discarding`.

    Attributes:
        least: the part of the budget that every candidate is trained for.
        candidates: how many are, before the best are trained for the whole; then the next ones are.
        leaders: how many best ones that is.
    """

    least: float = 0.0625
    candidates: int = 64
    leaders: int = 4

    def __post_init__(self) -> None:
        require_share("least", self.least)
        require_at_least("candidates", self.candidates, 1)
        require_at_least("leaders", self.leaders, 1)
        if self.leaders > self.candidates:
            raise StrategyError(
                "The option leaders must not exceed candidates.", value=f"{self.leaders} of {self.candidates}"
            )


class RuleStrategy(FidelityStrategy, Generic[_Options]):
    """New candidates from a Sobol sequence, and a rule that says who is trained longer.

    Attributes:
        options_type: of the options.
        settings: the options.
    """

    options_type: ClassVar[type]

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings: _Options = read_options(self.name, self.options_type, options)
        super().__init__(problem, seed=seed, options=options)
        self.least_share = self.settings.least

    @abstractmethod
    def rule(self, tried: Sequence[Entrant]) -> Next:
        """Which candidate is trained, and for which share."""

    @override
    def choose(
        self, observations: Sequence[Observation], tried: Sequence[Entrant], known: frozenset[bytes]
    ) -> Suggestion:
        wanted = self.rule(tried)
        return self.longer(wanted.entrant, wanted.share) if wanted.entrant else self.new(wanted.share, known)


class SuccessiveHalving(RuleStrategy[HalvingOptions]):
    """Successive halving (Jamieson and Talwalkar 2016), over and over with new candidates.

    Options: `HalvingOptions`.
    """

    name: ClassVar[str] = "successive-halving"
    options_type = HalvingOptions

    @override
    def rule(self, tried: Sequence[Entrant]) -> Next:
        shares = shares_from(self.settings.least, self.settings.factor)
        return next_in_brackets(tried, [halving_bracket(shares, self.settings.factor)])


class Hyperband(RuleStrategy[HalvingOptions]):
    """Hyperband (Li et al. 2018), whose brackets differ in how early they discard. Options: `HalvingOptions`."""

    name: ClassVar[str] = "hyperband"
    options_type = HalvingOptions

    @override
    def rule(self, tried: Sequence[Entrant]) -> Next:
        shares = shares_from(self.settings.least, self.settings.factor)
        return next_in_brackets(tried, hyperband_brackets(shares, self.settings.factor))


class Asha(RuleStrategy[HalvingOptions]):
    """Asynchronous successive halving (Li et al. 2020), in which no worker waits. Options: `HalvingOptions`."""

    name: ClassVar[str] = "asha"
    options_type = HalvingOptions

    @override
    def rule(self, tried: Sequence[Entrant]) -> Next:
        return next_asynchronous(tried, shares_from(self.settings.least, self.settings.factor), self.settings.factor)


class EarlyDiscarding(RuleStrategy[EarlyDiscardingOptions]):
    """Everything for one short budget, and the best few to the end ("1-epoch" of Egele et al. 2024).

    Options: `EarlyDiscardingOptions`.
    """

    name: ClassVar[str] = "early-discarding"
    options_type = EarlyDiscardingOptions

    @override
    def rule(self, tried: Sequence[Entrant]) -> Next:
        settings = self.settings
        return next_in_brackets(tried, [(Rung(settings.candidates, settings.least), Rung(settings.leaders, 1.0))])
