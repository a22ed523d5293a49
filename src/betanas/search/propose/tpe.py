"""Tree-structured Parzen estimator, as Optuna implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from betanas.errors import MissingExtraError
from betanas.search.feasibility import Problem
from betanas.search.propose.base import Observation, Suggestion
from betanas.search.propose.options import read_options, require_at_least
from betanas.search.propose.screened import FeasibleStream, ScreenedStrategy, networks, pending, sobol_draw, usable

try:
    import optuna
except ModuleNotFoundError as error:
    raise MissingExtraError("optuna", extra="optuna", purpose="The strategy tpe") from error

# Optuna announces every study that it makes, and one is made for each suggestion.
optuna.logging.set_verbosity(optuna.logging.WARNING)

# Draws from the estimator before a Sobol point takes the place of a feasible one that it does not find.
MOST_DRAWS = 256


@dataclass(frozen=True)
class TpeOptions:
    """Options of `tpe`.

    Attributes:
        initial: usable Sobol results before the estimator takes over (Optuna's default draws as many at random).
        multivariate: whether parameters are modelled together.
    """

    initial: int = 10
    multivariate: bool = True

    def __post_init__(self) -> None:
        require_at_least("initial", self.initial, 2)


class Tpe(ScreenedStrategy):
    """Optuna's TPESampler (Bergstra et al. 2011) through ask and tell, drawn from until a candidate is feasible.

    Pending candidates count as bad ones (Optuna's constant liar). Optuna's own constraints, by which it learns which
    trials were infeasible, are of no use here: there are none. Options: `TpeOptions`.
    """

    name: ClassVar[str] = "tpe"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        self.settings = read_options(self.name, TpeOptions, options)
        super().__init__(problem, seed=seed, options=options)
        self._sobol = FeasibleStream(problem, sobol_draw(len(problem.space.free), seed))
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in problem.space.free
        }

    def propose(self, observations: Sequence[Observation], known: frozenset[bytes]) -> Suggestion:
        """See `ScreenedStrategy.propose`."""
        seen = usable(observations)
        if len(seen) < self.settings.initial:
            return self.suggest(self.first_new(self._sobol, known), "sobol")
        study = self._study(seen, pending(observations), len(observations))
        space = self.problem.space
        for _ in range(MOST_DRAWS):
            trial = study.ask(self._distributions)
            row = space.from_unit(np.array([[trial.params[name] for name in space.free]]))
            if self.problem.feasible(row)[0] and networks(self.problem.blueprints(row))[0] not in known:
                return self.suggest(row[0], self.name)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return self.suggest(self.first_new(self._sobol, known), "sobol")

    def _study(self, seen: Sequence[Observation], waiting: Sequence[Observation], count: int) -> optuna.study.Study:
        """An Optuna study of what is known, in the order of the trials."""
        number = int(np.random.default_rng((self.seed, count)).integers(2**32))
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=self.settings.multivariate, constant_liar=True, seed=number
        )
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for observations in (seen, waiting):
            units = self.problem.space.to_unit(self.problem.space.to_array(each.vector for each in observations))
            for observation, unit in zip(observations, units.tolist(), strict=True):
                running = observation.state == "running"
                study.add_trial(
                    optuna.trial.create_trial(
                        params=dict(zip(self.problem.space.free, unit, strict=True)),
                        distributions=self._distributions,
                        value=None if running else observation.objective,
                        state=optuna.trial.TrialState.RUNNING if running else optuna.trial.TrialState.COMPLETE,
                    )
                )
        return study
