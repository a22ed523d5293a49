"""How well a network does on images it was not trained on."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from betanas.data.images import Images
from betanas.training.augmentation import Standardise
from betanas.training.batches import ALONE, Share
from betanas.training.resample import resize

# Images times pixels of an evaluation batch on a processor: 8 MB of bytes for colour images stay in its cache.
_PIXELS = 256 * 96 * 96


@dataclass(frozen=True, slots=True)
class Score:
    """An evaluation.

    Attributes:
        top1: share of images whose class is the network's first choice.
        top5: whose class is among its first five; None with fewer than six classes.
        loss: mean cross-entropy, without label smoothing.
        images: how many were judged.
    """

    top1: float
    top5: float | None
    loss: float
    images: int


@dataclass(frozen=True)
class Glance:
    """Which images an evaluation looks at, where it is not to take longer than it is worth.

    Attributes:
        order: of the images: the same for every network, so that accuracies are of the same images as far as they go.
        least: so many are looked at however long that takes.
        seconds: of the evaluation; after those it ends with the batch.
    """

    order: Tensor
    least: int
    seconds: float

    def ends(self, images: int, seconds: float) -> bool:
        """Whether so many images in so many seconds are enough."""
        return images >= self.least and seconds >= self.seconds


def evaluate(
    network: nn.Module,
    images: Images,
    *,
    standardise: Standardise,
    resolution: int,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
    autocast: torch.dtype | None = None,
    flip: bool = False,
    share: Share = ALONE,
    batch_size: int | None = None,
    glance: Glance | None = None,
) -> Tensor:
    """Judge a network; `score_of` turns the sums into a `Score`.

    Args:
        network: in evaluation mode.
        images: what it is judged on, in memory or streamed.
        standardise: as in training.
        resolution: side of the network's input, in pixels.
        device: the network's.
        channels_last: memory layout of the batches.
        autocast: type to compute in, None for the weights' own.
        flip: whether to average the logits over each image and its mirror image.
        share: this process's part of the images: every n-th.
        batch_size: images that every batch has, the last one filled up with images that do not count: the shape of the
            training's batches, for a device that plans for each new shape. None takes what suits a processor.
        glance: looks at fewer images where those take long; None for all.

    Returns:
        Float64, shape [4]: correct first choices, correct among five, summed loss, images. Sums of several
        processes add up.
    """
    device = torch.device(device)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    own = (torch.arange(len(images)) if glance is None else glance.order)[share.rank :: share.size]
    begun, looked_at = time.perf_counter(), 0
    size = batch_size or max(16, min(256, _PIXELS // resolution**2))
    if glance is not None and batch_size is None:
        size = min(size, max(16, glance.least))  # it ends with a batch
    # MPS has no float64.
    exact = torch.float32 if device.type == "mps" else torch.float64
    sums = torch.zeros(4, dtype=exact, device=device)
    with torch.inference_mode(), torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
        for batch in images.batches(torch.split(own, size), device=device):
            pixels = batch.images if batch_size is None else _filled_up(batch.images, batch_size)
            inputs = standardise(resize(pixels.float(), resolution)).contiguous(memory_format=memory_format)
            logits = network(inputs).float()
            if flip:
                logits = (logits + network(inputs.flip(3)).float()) / 2
            sums += _counts(logits[: len(batch)], batch.labels).to(exact)
            looked_at += len(batch)
            if glance is not None and glance.ends(looked_at * share.size, time.perf_counter() - begun):
                break
    return sums


def score_of(sums: Tensor, *, num_classes: int) -> Score:
    """The score that sums of `evaluate` stand for."""
    first, five, loss, images = sums.tolist()
    count = max(1.0, images)
    return Score(
        top1=first / count,
        top5=five / count if num_classes > 5 else None,
        loss=loss / count,
        images=int(images),
    )


def _filled_up(images: Tensor, size: int) -> Tensor:
    """As many images as asked for: the last one again and again where there are fewer."""
    missing = size - len(images)
    return images if missing <= 0 else torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])


def _counts(logits: Tensor, labels: Tensor) -> Tensor:
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    loss = functional.cross_entropy(logits, labels, reduction="sum")
    images = torch.full((), float(len(labels)), device=logits.device)
    return torch.stack([ranked[:, 0].sum().float(), ranked.any(dim=1).sum().float(), loss, images])
