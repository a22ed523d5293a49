"""CMA-ES, as the package cmaes implements it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from betanas.blueprint import FloatArray
from betanas.errors import MissingExtraError
from betanas.search.propose.options import require_at_least
from betanas.search.propose.sampled import SampledStrategy

try:
    from cmaes import CMA
except ModuleNotFoundError as error:
    raise MissingExtraError("cmaes", extra="cmaes", purpose="The strategy cmaes") from error


@dataclass(frozen=True)
class CmaesOptions:
    """Options of `cmaes`.

    Attributes:
        initial: usable Sobol results, from the best of which the distribution starts.
        step: its standard deviation at the start, as a part of a parameter's range.
        population: results of a generation, at least 4; 0 stands for 4 + 3 ln d with d free parameters, which is
            Hansen's default.
    """

    initial: int = 10
    step: float = 0.2
    population: int = 0

    def __post_init__(self) -> None:
        require_at_least("initial", self.initial, 1)
        require_at_least("step", self.step, 1e-6)
        require_at_least("population", self.population or 4, 4)


class Cmaes(SampledStrategy[CmaesOptions]):
    """Covariance matrix adaptation (Hansen 2016): draws from a normal distribution that moves to the better half.

    Results make generations in the order of their trials, wherever the candidates came from; a candidate that is asked
    for while others train comes from the same distribution as they. Where a distribution has converged, another starts
    from the best result so far. Options: `CmaesOptions`.
    """

    name: ClassVar[str] = "cmaes"
    options_type: ClassVar[type] = CmaesOptions
    most_draws: ClassVar[int] = 256

    @override
    def draws(self, points: FloatArray, values: FloatArray, waiting: FloatArray, seed: int) -> Generator[FloatArray]:
        end = self.settings.initial
        optimiser = self._start(points[:end], values[:end], seed)
        while end + optimiser.population_size <= len(points):
            generation = slice(end, end + optimiser.population_size)
            optimiser.tell(list(zip(points[generation], (-values[generation]).tolist(), strict=True)))
            end = generation.stop
            if optimiser.should_stop():
                optimiser = self._start(points[:end], values[:end], seed)
        while True:
            yield optimiser.ask()

    def _start(self, points: FloatArray, values: FloatArray, seed: int) -> CMA:
        dimensions = points.shape[1]
        return CMA(
            mean=np.clip(points[values.argmax()], 0.0, 1.0),
            sigma=self.settings.step,
            bounds=np.tile([0.0, 1.0], (dimensions, 1)),
            population_size=self.settings.population or None,
            seed=seed,
        )
