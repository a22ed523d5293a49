"""SMAC: a random forest with expected improvement, as the package smac implements it."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
from typing_extensions import override

from betanas.blueprint import FloatArray
from betanas.errors import MissingExtraError
from betanas.search.propose.options import require_at_least
from betanas.search.propose.sampled import SampledStrategy

try:
    from ConfigSpace import Configuration, ConfigurationSpace, Float
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.model.random_forest.random_forest import RandomForest
    from smac.runhistory.dataclasses import TrialInfo, TrialValue
except ModuleNotFoundError as error:
    raise MissingExtraError("smac", extra="smac", purpose="The strategy smac") from error

# SMAC warns that no initial design is wanted, and that a sampler has repeated itself.
logging.getLogger("smac").setLevel(logging.ERROR)


@dataclass(frozen=True)
class SmacOptions:
    """Options of `smac`.

    Attributes:
        initial: usable Sobol results before the forest takes over.
        challengers: candidates among which expected improvement is maximised (SMAC's default).
        starts: of them from which a local search begins (SMAC's default).
    """

    initial: int = 10
    challengers: int = 10000
    starts: int = 10

    def __post_init__(self) -> None:
        require_at_least("initial", self.initial, 2)
        require_at_least("challengers", self.challengers, 1)
        require_at_least("starts", self.starts, 1)


class Smac(SampledStrategy[SmacOptions]):
    """SMAC's hyper-parameter optimisation facade (Lindauer et al. 2022), each network trained once.

    The facade lists candidates in the order of expected improvement, random ones in between: the first that is feasible
    and new is suggested. Pending candidates are told as being as bad as the worst result. Options: `SmacOptions`.
    """

    name: ClassVar[str] = "smac"
    options_type: ClassVar[type] = SmacOptions
    most_draws: ClassVar[int] = 64

    @override
    def draws(self, points: FloatArray, values: FloatArray, waiting: FloatArray, seed: int) -> Generator[FloatArray]:
        names = [f"{place:03d}" for place in range(points.shape[1])]
        space = ConfigurationSpace(seed=seed)
        space.add([Float(name, (0.0, 1.0)) for name in names])
        told = np.clip(np.concatenate([points, waiting]), 0.0, 1.0).tolist()
        costs = [*(-values).tolist(), *[-float(values.min())] * len(waiting)]
        facade = HyperparameterOptimizationFacade
        with TemporaryDirectory(prefix="betanas-smac-") as folder:  # SMAC writes down what it is told
            scenario = Scenario(
                space, deterministic=True, n_trials=2**31, seed=seed, output_directory=Path(folder), n_workers=1
            )
            smac = facade(
                scenario,
                _never_called,
                model=self._forest(space, seed, results=len(told)),
                initial_design=facade.get_initial_design(scenario, n_configs=0),
                acquisition_maximizer=facade.get_acquisition_maximizer(
                    scenario, challengers=self.settings.challengers, local_search_iterations=self.settings.starts
                ),
                config_selector=facade.get_config_selector(scenario, retrain_after=self.most_draws),
                logging_level=False,
                overwrite=True,
            )
            for point, cost in zip(told, costs, strict=True):
                configuration = Configuration(space, values=dict(zip(names, point, strict=True)))
                smac.tell(TrialInfo(configuration, seed=0), TrialValue(cost=cost), save=False)
            while True:
                configuration = smac.ask().config
                yield np.array([configuration[name] for name in names])

    def _forest(self, space: ConfigurationSpace, seed: int, results: int) -> RandomForest:
        """The facade's forest, which would take every core, and room for a million leaves in each tree.

        A tree has a leaf for each result at most: with room for those it is the same tree, in a tenth of the time.
        """
        return RandomForest(
            space,
            n_trees=10,
            ratio_features=1.0,
            min_samples_split=2,
            min_samples_leaf=1,
            max_leaf_nodes=max(results, 2),
            log_y=True,
            n_jobs=self.threads,
            seed=seed,
        )


def _never_called(configuration: Configuration, seed: int = 0) -> float:
    """What SMAC would train; candidates are asked for and told instead."""
    raise NotImplementedError
