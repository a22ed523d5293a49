"""Optuna's samplers through ask and tell: the tree-structured Parzen estimator and the Gaussian process."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from betanas.blueprint import FloatArray
from betanas.errors import MissingExtraError
from betanas.search.propose.options import require_at_least
from betanas.search.propose.sampled import SampledStrategy

try:
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.trial import TrialState
except ModuleNotFoundError as error:
    raise MissingExtraError("optuna", extra="optuna", purpose="The strategies tpe and optuna-gp") from error

# Optuna announces every study that it makes, and one is made for each suggestion.
optuna.logging.set_verbosity(optuna.logging.WARNING)


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


class Tpe(SampledStrategy[TpeOptions]):
    """Optuna's TPESampler (Bergstra et al. 2011), multivariate unless asked for otherwise.

    Pending candidates count as bad ones (Optuna's constant liar). Optuna's own constraints, by which it learns which
    trials were infeasible, are of no use here: there are none. Options: `TpeOptions`.
    """

    name: ClassVar[str] = "tpe"
    options_type: ClassVar[type] = TpeOptions
    most_draws: ClassVar[int] = 256

    def draws(self, points: FloatArray, values: FloatArray, waiting: FloatArray, seed: int) -> Generator[FloatArray]:
        """See `SampledStrategy.draws`; a refused one is a failed trial to Optuna, which takes no note of it."""
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=self.settings.multivariate, constant_liar=True, seed=seed
        )
        study = _study(sampler, points, values, waiting)
        while True:
            trial = study.ask(_distributions(points))
            yield _point(trial)
            study.tell(trial, state=TrialState.FAIL)


@dataclass(frozen=True)
class OptunaGpOptions:
    """Options of `optuna-gp`.

    Attributes:
        initial: usable Sobol results before the process takes over (Optuna's default draws as many at random).
    """

    initial: int = 10

    def __post_init__(self) -> None:
        require_at_least("initial", self.initial, 2)


class OptunaGp(SampledStrategy[OptunaGpOptions]):
    """Optuna's GPSampler: a Gaussian process with log expected improvement, of parameters alone.

    Its own constraints are learned from trials that broke them, of which there are none: a draw that is infeasible is
    left pending, which sends the next one elsewhere, and after a few of them a feasible neighbour of the first is
    taken. Options: `OptunaGpOptions`.
    """

    name: ClassVar[str] = "optuna-gp"
    options_type: ClassVar[type] = OptunaGpOptions
    most_draws: ClassVar[int] = 4

    def draws(self, points: FloatArray, values: FloatArray, waiting: FloatArray, seed: int) -> Generator[FloatArray]:
        """See `SampledStrategy.draws`. Optuna keeps its linear algebra to one thread."""
        sampler = optuna.samplers.GPSampler(n_startup_trials=0, warn_independent_sampling=False, seed=seed)
        study = _study(sampler, points, values, waiting)
        while True:
            yield _point(study.ask(_distributions(points)))


def _study(
    sampler: optuna.samplers.BaseSampler, points: FloatArray, values: FloatArray, waiting: FloatArray
) -> optuna.study.Study:
    """An Optuna study of what is known, in the order of the trials."""
    study = optuna.create_study(sampler=sampler, direction="maximize")
    told = [(point, value, TrialState.COMPLETE) for point, value in zip(points.tolist(), values.tolist(), strict=True)]
    for point, value, state in [*told, *((point, None, TrialState.RUNNING) for point in waiting.tolist())]:
        distributions = _distributions(points)
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(zip(distributions, point, strict=True)),
                distributions=distributions,
                value=value,
                state=state,
            )
        )
    return study


def _distributions(points: FloatArray) -> dict[str, BaseDistribution]:
    """The unit cube, as Optuna describes it."""
    return {f"{place:03d}": FloatDistribution(0.0, 1.0) for place in range(points.shape[1])}


def _point(trial: optuna.Trial) -> FloatArray:
    return np.array([trial.params[name] for name in sorted(trial.params)])
