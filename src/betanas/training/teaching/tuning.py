"""Fine-tuning a teacher on the training images before it teaches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from betanas.data.places import cache_place
from betanas.pretrained.timm_networks import preprocessing
from betanas.training.budget import Budget
from betanas.training.job import Job
from betanas.training.recipe import load_recipe
from betanas.training.teaching.teacher import Teacher

# What fine-tunes it; its mirror images are those of the networks that learn from it.
_RECIPE = "finetune"


def tuning_job(job: Job, teacher: Teacher, *, num_classes: int, in_channels: int) -> Job:
    """How a job's teacher is fine-tuned: on the images that the job trains on, with none that are held out.

    Args:
        job: that is to learn from it.
        teacher: one of timm's.
        num_classes: classes of the images.
        in_channels: of the images.
    """
    expects = preprocessing(teacher.teacher)
    recipe = load_recipe(_RECIPE).with_settings(mean=expects.mean, std=expects.std)
    if job.recipe.flip == 0:
        recipe = recipe.with_settings(flip=0.0, test_flip=False)
    return Job(
        network={
            "network": teacher.teacher,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "resolution": teacher.resolution,
            "pretrained": True,
        },
        images=replace(job.images, resolution=teacher.resolution),
        recipe=recipe,
        budget=Budget(teacher.tuned, "seconds"),
        seed=job.images.split_seed,
        keep=True,
    )


def tuned_place(job: Job) -> Path:
    """Where the fine-tuning of a teacher is kept: beside the decoded images, found again by an equal job."""
    return cache_place() / "tuned" / replace(job, images=replace(job.images, source="")).key
