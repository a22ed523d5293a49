"""What the finished network gets wrong: on held-out images, and on some of those it was trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from betanas.data.images import Images, Splits
from betanas.data.streaming import StreamedSplits
from betanas.export.classifier import ImageClassifier, load_classifier
from betanas.training.resample import resize

# Images of each part at most, evenly spaced: an accuracy is known to a point, and a confused pair shows.
_MOST, _BATCH = 2000, 64


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What a network gets wrong.

    Attributes:
        images: held-out images that were looked at.
        train_accuracy: on some of the training images.
        accuracy: on the held-out images that were looked at.
        pair: the class most often taken for another, and that other; empty where nothing is wrong.
        confused, of: how many of the first class's images were taken for the second, of how many.
        weakest: the class with the lowest accuracy; empty where all are right.
        weakest_right, weakest_of: its images that are right, of how many.
    """

    images: int
    train_accuracy: float
    accuracy: float
    pair: tuple[str, ...]
    confused: int
    of: int
    weakest: str
    weakest_right: int
    weakest_of: int


def mistakes(folder: Path, splits: Splits | StreamedSplits, *, resolution: int, device: torch.device) -> Mistakes:
    """Look at what a network in a training's folder gets wrong.

    Args:
        folder: of the training.
        splits: what it was trained and judged on.
        resolution: of the network.
        device: to compute on.
    """
    classifier = load_classifier(folder, device=device)
    found, labels = _answers(classifier, splits.validation, resolution, device)
    learned, taught = _answers(classifier, splits.train, resolution, device)
    names = splits.classes
    per_class = torch.bincount(labels, minlength=len(names))
    wrong = Counter((int(a), int(b)) for a, b in zip(labels, found, strict=True) if a != b)
    (true, said), confused = wrong.most_common(1)[0] if wrong else ((0, 0), 0)
    right = torch.bincount(labels[labels == found], minlength=len(names))
    shares = torch.where(per_class > 0, right / per_class.clamp(min=1), 2.0)
    weakest = int(shares.argmin())
    return Mistakes(
        images=len(labels),
        train_accuracy=float((learned == taught).float().mean()),
        accuracy=float((found == labels).float().mean()),
        pair=(names[true], names[said]) if wrong else (),
        confused=confused,
        of=int(per_class[true]),
        weakest=names[weakest] if wrong else "",
        weakest_right=int(right[weakest]),
        weakest_of=int(per_class[weakest]),
    )


def _answers(
    classifier: ImageClassifier, images: Images, resolution: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """First choices and labels of some of the images."""
    places = np.unique(np.linspace(0, len(images) - 1, _MOST, dtype=np.int64))
    said, labels = [], []
    with torch.inference_mode():
        for batch in images.batches(torch.split(torch.from_numpy(places), _BATCH), device=device):
            said.append(classifier(resize(batch.images.float(), resolution) / 255).argmax(1).cpu())
            labels.append(batch.labels.cpu())
    return torch.cat(said), torch.cat(labels)
