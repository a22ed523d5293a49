"""From features to logits: a linear layer fitted in closed form, each image's logits from images in other folds.

A network's logits on the very images that its last layer was fitted to are close to the labels and say little more.
Those of a layer that has not seen the image say what it resembles, which is what there is to be learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_FOLDS = 5

# Ridge penalties, as shares of the features' sum of squares: the one whose logits explain the labels best is taken.
_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)

# Scales of a regression's scores, which are no logits yet.
_SCALES = tuple(2.0**power for power in range(-1, 6))


def fitted_logits(features: Tensor, labels: Tensor, others: Sequence[Tensor], *, classes: int) -> tuple[Tensor, ...]:
    """Logits of images by ridge regression of the labels on features.

    Penalty and scale are chosen by the cross-entropy of images outside the folds that were fitted to.

    Args:
        features: shape [n, views, features]; views of an image are in one fold.
        labels: int64, shape [n].
        others: features [m, views, features] of images that are not fitted to.
        classes: how many there are.

    Returns:
        Logits [n, views, classes], each image's from the other folds, and those of `others` from all.
    """
    n, views, _ = features.shape
    targets = functional.one_hot(labels, classes).double() - 1 / classes
    mean = features.double().mean((0, 1))
    centred = features.double() - mean
    fold = torch.randperm(n, generator=torch.Generator().manual_seed(0)) % min(_FOLDS, n)
    products = [_products(centred[fold == each], targets[fold == each]) for each in range(int(fold.max()) + 1)]
    whole = [torch.stack(parts).sum(0) for parts in zip(*products, strict=True)]
    variance = whole[0].diagonal().mean().clamp(min=1e-12)

    def solved(gram: Tensor, moment: Tensor, penalty: float) -> Tensor:
        ridge = penalty * variance * len(gram) * torch.eye(len(gram), dtype=gram.dtype)
        weights: Tensor = torch.linalg.solve(gram + ridge, moment)
        return weights

    best: tuple[float, Tensor, float, float] | None = None
    for penalty in _PENALTIES:
        scores = torch.empty(n, views, classes, dtype=torch.float64)
        for each, (gram, moment) in enumerate(products):
            scores[fold == each] = centred[fold == each] @ solved(whole[0] - gram, whole[1] - moment, penalty)
        for scale in _SCALES:
            loss = float(functional.cross_entropy(scale * scores[:, 0], labels))
            if best is None or loss < best[0]:
                best = loss, scale * scores, penalty, scale
    assert best is not None  # noqa: S101 - there is a penalty
    _, logits, penalty, scale = best
    weights = scale * solved(whole[0], whole[1], penalty)
    return logits.float(), *(((each.double() - mean) @ weights).float() for each in others)


def _products(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Of a fold: features by features, and features by targets, over all views."""
    rows = features.flatten(0, 1)
    return rows.T @ rows, rows.T @ targets.repeat_interleave(features.shape[1], dim=0)
