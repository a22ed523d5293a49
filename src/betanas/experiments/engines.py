"""Images and engines at several resolutions, and how long training on them takes."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch

from betanas.blueprint import Blueprint
from betanas.data import DataSource, load_splits
from betanas.data.images import Splits
from betanas.experiments.errors import ExperimentError
from betanas.search.propose.listed import Entrant
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.job import Job, JobImages
from betanas.training.recipe import Recipe

# Steps of a network that is timed: a progressive recipe spreads its resolutions evenly over them.
_TIMED_STEPS = 4

# What an image costs in an evaluation, beside its forward and backward pass in training.
_EVALUATION_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that training takes for an image: a power of the network's multiply-accumulates.

    Attributes:
        seconds: of a network with `macs` multiply-accumulates.
        macs: of that network.
        power: 0 where a single network was timed.
    """

    seconds: float
    macs: float
    power: float

    def of(self, macs: int) -> float:
        """Seconds an image."""
        return float(self.seconds * (macs / self.macs) ** self.power)


class Engines:
    """What an experiment trains with: one division of the images, and how long training on them takes here.

    Args:
        source: the images.
        recipe: how to train.
        split_seed: decides the division.
        device: where to train.
    """

    def __init__(self, source: DataSource, recipe: Recipe, *, split_seed: int, device: str) -> None:
        self.source = source
        self.recipe = recipe.with_settings(variants=())
        self._split_seed = split_seed
        self._device = device
        self._splits: dict[int, Splits] = {}

    def job(self, entrant: Entrant, resolution: int, budget: Budget, seed: int) -> Job:
        """A training of an experiment: kept, so that it resumes, and judged on the test images where there are some."""
        images = JobImages(self.source.name, self.source.fingerprint, resolution, split_seed=self._split_seed)
        test = self.source.has_test
        return Job(entrant.architecture, images, self.recipe, budget, seed=seed, test=test, keep=True)

    def splits(self, resolution: int) -> Splits:
        """The images for a resolution."""
        if resolution not in self._splits:
            self._splits[resolution] = load_splits(self.source, resolution=resolution, seed=self._split_seed)
        return self._splits[resolution]

    def seconds_per_image(self, blueprint: Blueprint) -> float:
        """Time a few steps of a network.

        Raises:
            ExperimentError: it cannot be trained here.
        """
        splits = self.splits(blueprint.resolution)
        few = splits.validation.subset(torch.arange(min(16, len(splits.validation))))
        engine = TrialEngine(
            Splits(splits.train, few, splits.classes),
            resolution=blueprint.resolution,
            recipe=self.recipe.with_settings(evaluations=1),
            device=self._device,
        )
        result = engine.run(blueprint, budget=Budget(_TIMED_STEPS, "steps"), seed=0)
        if result.outcome != "completed" or not result.images_per_second:
            raise ExperimentError(
                f"Every network of an experiment must train; one of {blueprint.macs:,} multiply-accumulates at "
                f"resolution {blueprint.resolution} does not.",
                value=result.reason,
                hint="Lower the resolution, --max-macs or the recipe's batch size.",
            )
        return 1.0 / result.images_per_second

    def speed(self, blueprints: Collection[Blueprint]) -> Speed:
        """Time the cheapest and the costliest of some networks; the others lie between.

        Raises:
            ExperimentError: one of the two cannot be trained here.
        """
        ordered = sorted(blueprints, key=lambda blueprint: blueprint.macs)
        least, most = ordered[0], ordered[-1]
        slow = self.seconds_per_image(most)
        if least.macs == most.macs:
            return Speed(slow, most.macs, 0.0)
        power = math.log(slow / self.seconds_per_image(least)) / math.log(most.macs / least.macs)
        return Speed(slow, most.macs, power)

    def wall_seconds(self, macs: int, resolution: int, budget: Budget, speed: Speed) -> float:
        """About how long a training takes, its evaluations and its final test included."""
        splits, seconds = self.splits(resolution), speed.of(macs)
        training = {
            "seconds": budget.amount,
            "epochs": budget.amount * len(splits.train) * seconds,
            "steps": budget.amount * self.recipe.batch_size * seconds,
        }[budget.unit]
        epochs = training / (len(splits.train) * seconds)
        evaluations = self.recipe.evaluations
        count = math.ceil(epochs) if evaluations == "epoch" else evaluations
        judged = count * len(splits.validation) + self.source.size("test")
        return training + judged * seconds * _EVALUATION_SHARE
