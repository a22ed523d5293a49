"""The report's own procedure, to the letter: what every claim of improvement is made against."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from betanas.errors import MissingExtraError
from betanas.host_memory import give_back
from betanas.search.feasibility import Problem, require_free
from betanas.search.propose.base import Observation, Prediction, Strategy, Suggestion
from betanas.search.propose.options import read_options, require_at_least


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to itself what Ax logs (a greeting, every trial) and warns of (its own code)."""
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


try:
    with _quietly():
        import pandas as pd
        from ax.adapter.registry import Generators
        from ax.core.arm import Arm
        from ax.core.data import Data
        from ax.core.experiment import Experiment
        from ax.core.generator_run import GeneratorRun
        from ax.core.metric import Metric
        from ax.core.objective import Objective
        from ax.core.optimization_config import OptimizationConfig
        from ax.core.parameter import ParameterType, RangeParameter
        from ax.core.search_space import SearchSpace
        from ax.core.trial_status import TrialStatus
        from ax.generation_strategy.generation_node import GenerationNode
        from ax.generation_strategy.generation_strategy import GenerationStrategy
        from ax.generation_strategy.generator_spec import GeneratorSpec
        from ax.generation_strategy.transition_criterion import MinTrials
        from botorch.acquisition.analytic import PosteriorMean
        from botorch.utils.sampling import manual_seed

        from betanas.search.propose.gpei.threads import capped_threads
except ModuleNotFoundError as error:
    raise MissingExtraError("ax-platform", extra="report", purpose="The strategy report") from error

if TYPE_CHECKING:
    from ax.core.types import TModelPredict

_OBJECTIVE = "objective"
_SOBOL, _GPEI = "sobol", "gpei"
_TELLS_APART = 2  # results, below which there is nothing to model


@dataclass(frozen=True)
class ReportOptions:
    """Options of `report`.

    Attributes:
        sobol: Sobol points, infeasible ones included (section 4.5 of the report: 100).
        usable: the report stops at this number of results that are not zero (200); the number of trials a study plans
            is the study's own, so this only says when `finished` becomes true.
    """

    sobol: int = 100
    usable: int = 200

    def __post_init__(self) -> None:
        require_at_least("sobol", self.sobol, 2)
        require_at_least("usable", self.usable, 1)


class Report(Strategy):
    """100 Sobol points, then GPEI, over the whole space; a candidate that cannot train scores zero.

    It suggests infeasible candidates, and the same network twice, as the report did. Both stages are Ax's own, which
    the report used: a generation strategy of a Sobol node and a BoTorch node, with Ax's model, transforms and
    acquisition function as they come. Ax's experiment is made anew from the study's records at each suggestion, since
    those are the truth. Options: `ReportOptions`.
    """

    name: ClassVar[str] = "report"

    def __init__(self, problem: Problem, *, seed: int, options: Mapping[str, Any] | None = None) -> None:
        require_free(problem)
        self.settings = read_options(self.name, ReportOptions, options, retired=("pool", "threads"))
        super().__init__(problem, seed=seed, options=options)

    @property
    def finished(self) -> bool:
        """Whether the report's search would have ended."""
        return sum(_score(seen) > 0 for seen in self.observations) >= self.settings.usable

    def ask(self, count: int = 1) -> list[Suggestion]:
        """See `Strategy.ask`; several are suggested one after another, the earlier ones pending."""
        observations = list(self.observations)
        suggestions: list[Suggestion] = []
        for _ in range(count):
            nodes = self._procedure(sum(seen.origin == _SOBOL for seen in observations))
            run, node = self._generate(nodes, observations)
            suggestions.append(Suggestion(self._vector(run), node))
            index = observations[-1].index + 1 if observations else 0
            observations.append(Observation(index, suggestions[-1].vector, node, "running"))
        return suggestions

    def predict_best(self) -> Prediction | None:
        """See `Strategy.predict_best`; over the whole space, as in the report."""
        known = [seen for seen in self.observations if seen.state != "running"]
        if len(known) < self.settings.sobol:
            return None
        run, _ = self._generate([_botorch_node(botorch_acqf_class=PosteriorMean)], known)
        means, covariances = cast("TModelPredict", run.model_predictions)
        return Prediction(self._vector(run), means[_OBJECTIVE][0], math.sqrt(covariances[_OBJECTIVE][_OBJECTIVE][0]))

    def _procedure(self, position: int) -> list[GenerationNode]:
        """The two nodes; the sequence goes on at a position, as this strategy's other suggestions have used it up."""
        sequence = {"seed": self.seed, "init_position": position, "deduplicate": False}
        sobol = GenerationNode(
            name=_SOBOL,
            generator_specs=[GeneratorSpec(Generators.SOBOL, generator_kwargs=sequence)],
            transition_criteria=[
                MinTrials(threshold=self.settings.sobol, transition_to=_GPEI, use_all_trials_in_exp=True),
                MinTrials(
                    threshold=_TELLS_APART,
                    transition_to=_GPEI,
                    use_all_trials_in_exp=True,
                    only_in_statuses=[TrialStatus.COMPLETED],
                ),
            ],
        )
        return [sobol, _botorch_node()]

    def _generate(
        self, nodes: Sequence[GenerationNode], observations: Sequence[Observation]
    ) -> tuple[GeneratorRun, str]:
        """One run of Ax's generation strategy on an experiment of what is known, and the node that made it."""
        seed = int(np.random.default_rng((self.seed, len(observations))).integers(2**31))
        with _quietly(), capped_threads(self.threads), manual_seed(seed):
            strategy = GenerationStrategy(name=self.name, nodes=list(nodes))
            run = strategy.gen_single_trial(self._experiment(observations), n=1)
        give_back()
        return run, strategy.current_node_name

    def _experiment(self, observations: Sequence[Observation]) -> Experiment:
        """A trial for each observation: completed, with its score, or running."""
        parameters = self.problem.space.parameters
        experiment = Experiment(
            name=self.name,
            search_space=SearchSpace(
                [
                    RangeParameter(name, ParameterType.FLOAT, parameters[name].low, parameters[name].high)
                    for name in self.problem.space.free
                ]
            ),
            optimization_config=OptimizationConfig(
                Objective(expression=_OBJECTIVE, metric_name_to_signature={_OBJECTIVE: _OBJECTIVE})
            ),
            tracking_metrics=[Metric(_OBJECTIVE)],
        )
        arms = [f"{place}_0" for place in range(len(observations))]
        for arm, seen in zip(arms, observations, strict=True):
            trial = experiment.new_trial()
            trial.add_arm(Arm({name: seen.vector[name] for name in self.problem.space.free}, name=arm))
            trial.mark_running(no_runner_required=True)
        known = [place for place, seen in enumerate(observations) if seen.state != "running"]
        if known:
            table = {
                "trial_index": known,
                "arm_name": [arms[place] for place in known],
                "metric_name": _OBJECTIVE,
                "metric_signature": _OBJECTIVE,
                "mean": [_score(observations[place]) for place in known],
                "sem": math.nan,  # the noise is inferred
            }
            experiment.attach_data(Data(df=pd.DataFrame(table)))
        for place in known:
            experiment.trials[place].mark_completed()
        return experiment

    def _vector(self, run: GeneratorRun) -> dict[str, float]:
        """The only arm as a vector, inside the ranges where Ax's rounding has left them."""
        arm = run.arms[0].parameters
        return {
            name: float(np.clip(cast("float", arm.get(name, searched.low)), searched.low, searched.high))
            for name, searched in self.problem.space.parameters.items()
        }


def _botorch_node(**options: Any) -> GenerationNode:
    return GenerationNode(
        name=_GPEI, generator_specs=[GeneratorSpec(Generators.BOTORCH_MODULAR, generator_kwargs=options)]
    )


def _score(observation: Observation) -> float:
    """The objective, or zero for a candidate that could not be trained."""
    value = observation.objective
    return value if value is not None and math.isfinite(value) else 0.0
