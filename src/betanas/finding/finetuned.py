"""A pretrained network beside a find's: fine-tuned for a trial's seconds, judged on the same validation images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from betanas.errors import RecipeError
from betanas.models import benchmark_costs
from betanas.pretrained.timm_networks import PREFIX, is_timm
from betanas.training.job import Job
from betanas.training.teaching.naming import find_teacher
from betanas.training.teaching.tuning import tuning_job
from betanas.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What fine-tuning gave.

    Attributes:
        name: of the network, without its prefix.
        resolution: side of its images, in pixels.
        params, macs: of it.
        accuracy: on the validation images.
        images: how many they are.
        seconds: of its training.
    """

    name: str
    resolution: int
    params: int
    macs: int
    accuracy: float
    images: int
    seconds: float


def check_finetuned(name: str) -> None:
    """Refuse a name that is none of a pretrained network's, before anything is done.

    Raises:
        RecipeError: it is no network of timm's.
        BlueprintError: timm has no such network, or no weights of it.
        MissingExtraError: timm is not installed.
    """
    if not is_timm(name):
        raise RecipeError(
            "What a find is set beside must be one of timm's networks with pretrained weights.",
            value=name,
            hint=f"Type, for example, --finetuned {PREFIX}tf_efficientnet_lite0.",
        )
    find_teacher(name, resolution=1)


def fine_tune(name: str, job: Job, trainer: Trainer, folder: Path, *, seconds: float) -> FineTuned:
    """Fine-tune a pretrained network on the images of a job; a training that was cut off goes on.

    Args:
        name: of the network, with its prefix.
        job: whose images, mirror images and division count.
        trainer: trains it.
        folder: where the training is kept.
        seconds: of training.

    Raises:
        RecipeError: the training did not complete.
    """
    source = trainer.open(job.images)
    network = find_teacher(name, resolution=job.images.resolution, tuned=seconds)
    sizes = {"num_classes": len(source.classes), "in_channels": source.in_channels}
    tuning = tuning_job(job, network, **sizes)
    result = trainer.train(tuning, folder=folder)
    if result.outcome != "completed" or result.top1 is None:
        raise RecipeError("The pretrained network must train to its end.", value=name, hint=result.reason)
    params, macs = benchmark_costs(name, resolution=network.resolution, **sizes)
    return FineTuned(
        name=name.removeprefix(PREFIX),
        resolution=network.resolution,
        params=params,
        macs=macs,
        accuracy=result.top1,
        images=len(trainer.divided(tuning.images).validation),
        seconds=result.training_seconds,
    )
