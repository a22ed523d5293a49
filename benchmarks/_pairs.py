"""The four sets of images on which the same vectors were trained, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from _replay import problem
from betanas.search.feasibility import Problem

PAIRS = Path(__file__).parent / "data" / "pairs.jsonl"


@dataclass(frozen=True)
class PairSet:
    """A set of images, and how long it is trained on.

    Attributes:
        name: as records call it.
        resolution: side of the images, in pixels.
        classes, channels: of the images.
        seconds: of one core that a training's steps take.
        half: which classes of CIFAR-100; None for a set with a name of its own.
        recipe: settings that differ from those of `fast`.
    """

    name: str
    resolution: int
    classes: int
    channels: int
    seconds: float
    half: int | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)


NO_MIRROR = {"flip": 0.0, "test_flip": False}
SETS = (
    PairSet("cifar100-even", 32, 50, 3, 2.5, half=0),
    PairSet("cifar100-odd", 32, 50, 3, 2.5, half=1),
    PairSet("fashion-mnist", 28, 10, 1, 1.5),
    PairSet("digits", 16, 10, 1, 0.5, recipe=NO_MIRROR),
)


@dataclass(frozen=True)
class PairTrial:
    """A training.

    Attributes:
        data: name of the set.
        vector: in the ranges of the preset default.
        top1: validation accuracy in [0, 1].
        steps, epochs: trained.
        step_seconds: processor seconds of a step, by which `steps` was chosen.
        processor_seconds: of the whole training, evaluation included.
        params: parameters.
        seed: of the training.
        outcome: `completed`, or why there is no accuracy.
    """

    data: str
    vector: Mapping[str, float]
    top1: float
    steps: int
    epochs: float
    step_seconds: float
    processor_seconds: float
    params: int
    seed: int
    outcome: str

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def problem_for(images: PairSet) -> Problem:
    """What is searched for a set of images."""
    sizes = {"resolution": images.resolution, "num_classes": images.classes, "in_channels": images.channels}
    return replace(problem("default"), **sizes)


def read_pairs(path: Path = PAIRS) -> list[PairTrial]:
    """The trainings recorded so far; none where there is no file. A line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(PairTrial(**json.loads(line)))
        except ValueError:
            continue
    return found
