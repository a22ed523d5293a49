"""One suggestion through Ax: an experiment made from what is known, and a generation strategy of a single node."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from ax.adapter.registry import Generators
from ax.core.arm import Arm
from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.core.metric import Metric
from ax.core.objective import Objective
from ax.core.optimization_config import OptimizationConfig
from ax.core.parameter import ParameterType, RangeParameter
from ax.core.search_space import SearchSpace
from ax.generation_strategy.generation_node import GenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.generators.torch.botorch_modular.surrogate import Surrogate, SurrogateSpec
from ax.generators.torch.botorch_modular.utils import ModelConfig

from betanas.blueprint import FloatArray
from betanas.search.propose.gpei.acquisition import FeasibleAcquisition, Field, PluginLogEI
from betanas.search.propose.gpei.process import Describe, FeasibleGP, FitMemory

OBJECTIVE = "objective"

# Ax announces every trial that it is told of.
logging.getLogger("ax").setLevel(logging.WARNING)


def propose(
    names: Sequence[str],
    points: FloatArray,
    values: FloatArray,
    pending: FloatArray,
    field: Field,
    memory: FitMemory,
    describe: Describe | None,
) -> FloatArray:
    """The point of the unit cube that Ax suggests next.

    Args:
        names: of the free parameters.
        points: trained candidates in the unit cube, shape [n, d], in the order of their trials.
        values: their standardised objectives, shape [n].
        pending: candidates in training, shape [m, d].
        field: where to look.
        memory: of the model's last fit.
        describe: what the model sees of points beside themselves; None for nothing.
    """
    experiment = _experiment(names, points, values, pending)
    strategy = GenerationStrategy(name="gpei", nodes=[_node(field, memory, describe)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = strategy.gen_single_trial(experiment, n=1)
    arm = run.arms[0].parameters
    return np.array([arm[name] for name in names], dtype=np.float64)


class _Arm(Arm):
    """An arm that works its hash out once: Ax asks for it a dozen times an arm, a third of a second at 400."""

    @cached_property
    def signature(self) -> str:
        """See `Arm.signature`."""
        return self.md5hash(self.parameters)


class _Surrogate(Surrogate):
    """Ax's surrogate without its search for the best trained point, which nobody reads (`predict_best` is ours)."""

    def best_in_sample_point(self, *_: Any, **__: Any) -> NoReturn:
        """Ax takes this for "not available"."""
        raise NotImplementedError


def _node(field: Field, memory: FitMemory, describe: Describe | None) -> GenerationNode:
    model = ModelConfig(
        botorch_model_class=FeasibleGP,
        model_options={"memory": memory, "describe": describe},
        input_transform_classes=None,
        name="FeasibleGP",
    )
    generator = GeneratorSpec(
        generator_enum=Generators.BOTORCH_MODULAR,
        generator_kwargs={
            "surrogate": _Surrogate(SurrogateSpec(model_configs=[model])),
            "acquisition_class": FeasibleAcquisition,
            "botorch_acqf_class": PluginLogEI,
            "acquisition_options": {"field": field},
            "transforms": [],  # the cube and `OutcomeScale` have done what they would do
        },
    )
    return GenerationNode(name="gpei", generator_specs=[generator])


def _experiment(names: Sequence[str], points: FloatArray, values: FloatArray, pending: FloatArray) -> Experiment:
    """An experiment with one completed batch of everything known, and one running batch of everything pending.

    It is made anew each time from the study's records, which are the truth (a fifth of a second at 400 trials).
    """
    experiment = Experiment(
        name="betanas",
        search_space=SearchSpace([RangeParameter(name, ParameterType.FLOAT, 0.0, 1.0) for name in names]),
        optimization_config=OptimizationConfig(
            Objective(expression=OBJECTIVE, metric_name_to_signature={OBJECTIVE: OBJECTIVE})
        ),
        tracking_metrics=[Metric(OBJECTIVE)],
    )
    arms = _add_batch(experiment, names, points, "known")
    table = pd.DataFrame(
        {
            "trial_index": 0,
            "arm_name": arms,
            "metric_name": OBJECTIVE,
            "metric_signature": OBJECTIVE,
            "mean": values,
            "sem": np.nan,  # the noise is inferred
        }
    )
    experiment.attach_data(Data(df=table))
    experiment.trials[0].mark_completed()
    if len(pending):
        _add_batch(experiment, names, pending, "pending")
    return experiment


def _add_batch(experiment: Experiment, names: Sequence[str], points: FloatArray, prefix: str) -> list[str]:
    trial = experiment.new_batch_trial()
    # Ax sorts arms by name: leading zeros keep the order of the trials.
    arms = [
        _Arm(dict(zip(names, point, strict=True)), name=f"{prefix}{place:07d}")
        for place, point in enumerate(points.tolist())
    ]
    trial.add_arms_and_weights(arms)
    trial.mark_running(no_runner_required=True)
    return [arm.name for arm in arms]
