"""A network to train, as plain data: what is trained, on which images, how, for how long, and how it ends.

A search, a confirmation, a comparison and an experiment all train jobs. Reading and writing them needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from betanas.data.stratified import VALIDATION_SHARE
from betanas.training.budget import Budget
from betanas.training.compression import Compression
from betanas.training.recipe import Recipe
from betanas.training.teaching.teacher import Teacher


@dataclass(frozen=True, slots=True)
class JobImages:
    """The images of a job.

    Attributes:
        source: a data source's name or path, as `betanas.data.open_source` takes it.
        fingerprint: digest of what the source held when the job was made; other images are refused.
        resolution: side of the network's input, in pixels.
        split_seed: decides which training images are held out for validation.
        validation_share: part of the training images that is held out.
    """

    source: str
    fingerprint: str
    resolution: int
    split_seed: int = 0
    validation_share: float = VALIDATION_SHARE


@dataclass(frozen=True)
class Job:
    """One network to train. Equal jobs give equal numbers, where the budget is not in seconds.

    Attributes:
        network: as plain data (`betanas.models.architecture`).
        images: what it is trained and judged on.
        recipe: how; its batch size counts for each process.
        budget: for how long at most.
        seed: of weights, order and augmentation.
        patience: evaluations without a better validation top-1 after which training ends; 0 never ends it early.
        test: whether the source's test part, where it has one, is judged once at the end, with the weights of the best
            evaluation.
        keep: whether the training has a folder, from whose checkpoints it resumes exactly.
        processes: how many train it together.
        compression: of the gradients between them.
        teacher: whose answers are learned beside the labels; None for the labels alone.
    """

    network: Mapping[str, Any]
    images: JobImages
    recipe: Recipe
    budget: Budget
    seed: int = 0
    patience: int = 0
    test: bool = False
    keep: bool = False
    processes: int = 1
    compression: Compression = "none"
    teacher: Teacher | None = None

    def __post_init__(self) -> None:
        # As it is read back: lists where tuples were.
        object.__setattr__(self, "network", json.loads(json.dumps(dict(self.network))))

    @property
    def key(self) -> str:
        """Digest of everything that decides the result: 16 hexadecimal digits, equal for equal jobs alone."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The job as plain data, ready for JSON; of one process, without what is about several."""
        images = self.images
        document: dict[str, Any] = {
            "architecture": self.network,
            "data": {"source": images.source, "fingerprint": images.fingerprint},
            "resolution": images.resolution,
            "recipe": self.recipe.to_dict(),
            "budget": str(self.budget),
            "seed": self.seed,
            "patience": self.patience,
            "validation_share": images.validation_share,
            "test": self.test,
            "keep": self.keep,
        }
        if images.split_seed != self.seed:
            document["split_seed"] = images.split_seed
        if self.processes != 1:
            document |= {"processes": self.processes, "compression": self.compression}
        if self.teacher is not None:
            document["teacher"] = self.teacher.to_dict()
        return document

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Read what `to_dict` wrote, or the plan in a training's folder of an earlier version.

        Raises:
            KeyError: something is missing.
            TypeError, ValueError: something has an impossible type or value.
            QuantityError: the budget is not one.
            RecipeError: the recipe is not one.
        """
        seed = int(data["seed"])
        return cls(
            network=dict(data["architecture"]),
            images=JobImages(
                source=str(data["data"]["source"]),
                fingerprint=str(data["data"]["fingerprint"]),
                resolution=int(data["resolution"]),
                # Earlier versions kept trainings in folders alone, divided the images by the training's own seed, and
                # judged the test part of every source that had one.
                split_seed=int(data.get("split_seed", seed)),
                validation_share=float(data.get("validation_share", VALIDATION_SHARE)),
            ),
            recipe=Recipe.from_dict(data["recipe"]),
            budget=Budget.parse(data["budget"]),
            seed=seed,
            patience=int(data["patience"]),
            test=bool(data.get("test", True)),
            keep=bool(data.get("keep", True)),
            processes=int(data.get("processes", 1)),
            compression=data.get("compression", "none"),
            teacher=Teacher.from_dict(data["teacher"]) if data.get("teacher") else None,
        )
