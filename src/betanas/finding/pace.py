"""How fast this machine trains on these images, measured by training a network for a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from betanas.blueprint import Blueprint
from betanas.data import DataSource
from betanas.errors import BetanasError
from betanas.finding.timetable import Pace
from betanas.spaces import SearchSpace
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import Recipe
from betanas.training.trainer import Trainer

_MOMENT = Budget(0.5, "seconds")

# Networks of a space without designs, of which the lower quartile by work is trained.
_DRAWN = 32

# Until a worker process has loaded torch and the images; an ONNX export and the report, rehearsed and done. Only for
# the plan: the search's end is kept by the clock, and the closing is rehearsed before the leaders are confirmed.
_WORKER_SECONDS, _CLOSING_SECONDS = 4.0, 12.0

# How often a validation image is answered for while the ending is rehearsed and at the end: judged, looked at for
# mistakes, and by PyTorch and ONNX beside each other, one image at a time. With 6,000 of them, of which one evaluation
# took 2.5 s on one core, rehearsal and ending took 51 s. A step of training is three answers' work.
_ANSWERS, _ANSWERS_A_STEP = 16, 3

# Of a trial, beside its preparation and its evaluations: the model's suggestion, the message to the worker, the store.
_SUGGESTION_SECONDS = 0.5


def measure_pace(
    source: DataSource,
    space: SearchSpace,
    recipe: Recipe,
    *,
    resolution: int,
    seed: int,
    validation_share: float,
    device: str,
    test: int = 0,
    data_root: Path | None = None,
) -> Pace:
    """Train one of the quicker networks of a space for a moment: its first design, where it has any.

    A search soon stays with those that make enough steps in the time: the least time is what they need. It is trained
    twice, and the second time counts: the first steps of a process choose how convolutions are computed.
    `test` is the number of test images, which are judged once at the end.

    Raises:
        DataError: the images cannot be read.
        BetanasError: it does not train on this machine.
    """
    network = _quick(space, resolution=resolution, num_classes=len(source.classes), in_channels=source.in_channels)
    job = Job(
        network=network.to_dict(),
        images=JobImages(source.name, source.fingerprint, resolution, seed, validation_share),
        recipe=recipe.with_settings(evaluations=1, variants=()),
        budget=_MOMENT,
        seed=seed,
    )
    trainer = Trainer(device=device, data_root=data_root)
    engine = trainer.prepare(job.images, job.recipe)
    trainer.train(job)
    result = trainer.train(job)
    if not result.steps:
        raise BetanasError(f"A first network cannot be trained here. {result.reason}")
    step = result.training_seconds / result.steps
    answer = step / (_ANSWERS_A_STEP * recipe.batch_size)
    beside = max(result.wall_seconds - result.training_seconds, 0.0)
    return Pace(
        step=step,
        steps_per_epoch=max(len(engine.material.train) / recipe.batch_size, 1.0),
        beside=beside + _SUGGESTION_SECONDS,
        worker=_WORKER_SECONDS,
        closing=_CLOSING_SECONDS + (_ANSWERS * len(engine.material.validation) + test) * answer,
        macs=network.macs,
    )


def _quick(space: SearchSpace, **images: int) -> Blueprint:
    if designs := space.known_designs():
        return space.blueprint(next(iter(designs.values())), **images)
    generator = np.random.default_rng(0)
    drawn = [
        space.blueprint(
            {name: generator.uniform(each.low, each.high) for name, each in space.parameters.items()}, **images
        )
        for _ in range(_DRAWN)
    ]
    return sorted(drawn, key=lambda each: each.macs)[_DRAWN // 4]
