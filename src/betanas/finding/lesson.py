"""A find's teacher: its part of the time is spent before the search, and every training after it has the answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from betanas.data import DataSource
from betanas.errors import RecipeError
from betanas.search.settings import SearchSettings
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import Recipe
from betanas.training.teaching.naming import find_teacher
from betanas.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned from before the search.

    Attributes:
        settings: of the search, in place of what was typed: a teacher that was fine-tuned is a training's folder now.
        words: what it knows and what it took, in sentences.
    """

    settings: dict[str, Any]
    words: tuple[str, ...]


def prepare_lesson(source: DataSource, settings: SearchSettings, recipe: Recipe, *, seconds: float) -> Lesson | None:
    """Have the teacher's answers computed; None where no teacher was typed.

    Args:
        source: of the images.
        settings: of the search, the resolution among them.
        recipe: of its trials.
        seconds: wall-clock of the whole find, of which the teacher's share is fine-tuned.

    Raises:
        UserError: the teacher cannot teach.
    """
    training, images = settings.training, settings.data
    if training.teacher is None:
        return None
    resolution = images.resolution or 0
    teacher = find_teacher(training.teacher, resolution=resolution, tuned=round(training.teacher_share * seconds, 1))
    if teacher.fingerprint and not Path(teacher.teacher).is_dir():
        raise RecipeError(
            "A find's teacher must be one of timm's networks, or the folder of a training.",
            value=training.teacher,
            hint="An ONNX file can teach in betanas search, train and compare.",
        )
    root = settings.machine.data_root
    trainer = Trainer(device=settings.machine.devices[0], data_root=Path(root) if root else None)
    job = Job(
        network={},
        images=JobImages(source.name, source.fingerprint, resolution, settings.search.seed, images.validation_share),
        recipe=recipe,
        budget=Budget(1, "steps"),
        teacher=teacher,
    )
    words = (trainer.answers(job).words(teacher),)
    settled = trainer.tuned_teacher(job)
    if settled is None or settled == teacher:
        return Lesson({}, words)
    return Lesson({"teacher": settled.teacher, "teacher_share": 0.0}, words)
