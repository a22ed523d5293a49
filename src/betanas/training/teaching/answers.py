"""What a teacher says of a training's images: computed once, kept beside the decoded images, gathered like labels."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from betanas.data import DataSource, open_splits
from betanas.data.cache import cached_arrays
from betanas.data.images import Images
from betanas.errors import RecipeError
from betanas.quantities import format_seconds
from betanas.training.job import JobImages
from betanas.training.resample import resize
from betanas.training.teaching.networks import Look, open_teacher
from betanas.training.teaching.probe import fitted_logits
from betanas.training.teaching.teacher import Teacher

# Changes whenever the same teacher would say something else.
_VERSION = 1

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Answers:
    """What a teacher says.

    Attributes:
        logits: float16, shape [training images, views, classes]: of each image as it is and, where there is a second
            view, of its mirror image.
        seconds: that it took, with the teacher's fine-tuning.
        top1: share of the held-out images that it knows.
    """

    logits: Tensor
    seconds: float
    top1: float

    def words(self, teacher: Teacher) -> str:
        """What a person should know of them, as a sentence."""
        return (
            f"{teacher.title} teaches: it knows {self.top1:.2%} of the validation images; its answers took "
            f"{format_seconds(self.seconds)}, once."
        )


def answers_of(
    teacher: Teacher, source: DataSource, images: JobImages, *, mirrored: bool, device: torch.device
) -> Answers:
    """A teacher's answers to a job's training images, from the cache on disk or computed now.

    Where the teacher's outputs are not logits of the images' classes, they are taken as features, and a linear layer is
    fitted to the training images (`betanas.training.teaching.probe`). No image that is held out takes part.

    Args:
        teacher: as planned.
        source: of the images.
        images: the job's: how they are divided.
        mirrored: whether training mirrors images, so that there are two views.
        device: to compute on.

    Raises:
        RecipeError: the teacher is damaged, changed, or for other images.
    """
    key = {
        "teacher": teacher.to_dict() if not teacher.fingerprint else [teacher.fingerprint, teacher.resolution],
        "images": [images.fingerprint, images.split_seed, images.validation_share],
        "classes": list(source.classes),
        "views": 1 + mirrored,
        "version": _VERSION,
    }

    def compute() -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        found = _computed(teacher, source, images, mirrored=mirrored, device=device)
        return {"logits": found.logits.numpy()}, {"seconds": found.seconds, "top1": found.top1}

    arrays, notes = cached_arrays("teachers", ("logits",), key, compute)
    return Answers(torch.from_numpy(arrays["logits"]), float(notes["seconds"]), float(notes["top1"]))


def _computed(
    teacher: Teacher, source: DataSource, images: JobImages, *, mirrored: bool, device: torch.device
) -> Answers:
    started = time.perf_counter()
    look = open_teacher(teacher, classes=tuple(source.classes), in_channels=source.in_channels, device=device)
    # Decoded at the teacher's own resolution: it sees what the learning network's small images no longer show.
    splits = open_splits(source, resolution=look.side, seed=images.split_seed, validation_share=images.validation_share)
    with torch.inference_mode():
        train = _outputs(look, splits.train, mirrored=mirrored, device=device)
        held_out = _outputs(look, splits.validation, mirrored=False, device=device)
    if not look.logits:
        labels = splits.train.labels.cpu()
        train, held_out = fitted_logits(train, labels, [held_out], classes=len(source.classes))
    known = held_out[:, 0].argmax(1) == splits.validation.labels.cpu()
    if not bool(train.isfinite().all()):
        raise RecipeError("A teacher's answers must be finite numbers.", value=teacher.title)
    # The largest is taken off each row, which changes no probability, so that float16 keeps the digits that count.
    levelled = (train - train.amax(-1, keepdim=True)).clamp(min=-1e4).half()
    return Answers(levelled, time.perf_counter() - started, float(known.float().mean()))


def _outputs(look: Look, images: Images, *, mirrored: bool, device: torch.device) -> Tensor:
    """Shape [n, views, outputs], on the processor."""
    rows = []
    for batch in images.batches(torch.split(torch.arange(len(images)), _BATCH), device=device):
        whole = resize(batch.images.float(), look.side)
        views = [look.answer(whole)] + ([look.answer(whole.flip(3))] if mirrored else [])
        rows.append(torch.stack(views, dim=1).cpu())
    return torch.cat(rows)
