"""Training batches from images that stay on the device as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from betanas.data.images import ImageSet
from betanas.training.augmentation import Augmentation


@dataclass(frozen=True)
class Share:
    """Which part of every batch this process trains on.

    Attributes:
        rank: this process's number.
        size: processes in all.
    """

    rank: int = 0
    size: int = 1


ALONE = Share()


class BatchStream:
    """An endless stream of augmented batches.

    Each pass goes through the images in a new random order; images left over at its end, fewer than a batch,
    wait for the next pass. All processes draw the same order and the same random numbers and take their own
    part, so that no image is trained on twice in a pass and any number of processes sees what a single one
    would.

    Args:
        images: to train on, on the device they are augmented on.
        augmentation: what is done to them.
        batch_size: images a batch and process; with fewer images than that, all of them are a batch.
        seed: of order and augmentation.
        share: this process's part.
    """

    def __init__(
        self,
        images: ImageSet,
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
        share: Share = ALONE,
    ) -> None:
        self._images = images
        self._augmentation = augmentation
        self._share = share
        self.batch_size = max(1, min(batch_size, len(images) // share.size))
        self.steps_per_epoch = max(1, len(images) // (self.batch_size * share.size))
        self._generator = torch.Generator(device=images.images.device).manual_seed(seed)
        self._order: Tensor | None = None
        self._position = 0

    def next(self, size: int) -> tuple[Tensor, Tensor]:
        """The next batch at a training resolution.

        Args:
            size: side in pixels.

        Returns:
            Standardised floats of shape [batch, channels, size, size], and labels of shape [batch].
        """
        indices = self._next_indices()
        start = self._share.rank * self.batch_size
        own = slice(start, start + self.batch_size)
        draws = self._augmentation.draw(len(indices), generator=self._generator)
        batch = self._images.subset(indices[own])
        return self._augmentation.apply(batch.images, {name: t[own] for name, t in draws.items()}, size), batch.labels

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands: its random numbers, the order of this pass, the place in it."""
        order = torch.empty(0, dtype=torch.int64) if self._order is None else self._order.cpu()
        return {"generator": self._generator.get_state(), "order": order, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another stream stood."""
        self._generator.set_state(state["generator"].cpu())
        device = self._images.images.device
        self._order = state["order"].to(device) if len(state["order"]) else None
        self._position = int(state["position"])

    def _next_indices(self) -> Tensor:
        """Indices of the images that all processes train on in this step."""
        together = self.batch_size * self._share.size
        if self._order is None or self._position + together > len(self._order):
            device = self._images.images.device
            self._order = torch.randperm(len(self._images), generator=self._generator, device=device)
            self._position = 0
        indices = self._order[self._position : self._position + together]
        self._position += together
        return indices
