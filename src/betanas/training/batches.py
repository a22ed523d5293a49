"""Training batches: images read in an order that all processes draw alike, augmented on the device."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from betanas.data.images import Images, ImageSet
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


class Order:
    """Which images the steps of a training are made of, one tensor of indices after another, without end.

    Each pass goes through the images in a new random order; images left over at its end, fewer than a step's, wait for
    the next pass. The random numbers are the processor's, so that the order is the same on every device.

    Args:
        images: how many there are.
        together: images a step, over all processes.
        seed: of the order.
    """

    def __init__(self, images: int, together: int, *, seed: int) -> None:
        self._images = images
        self._together = together
        self._generator = torch.Generator().manual_seed(seed)
        self._passing = torch.empty(0, dtype=torch.int64)
        self._position = 0

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        if self._position + self._together > len(self._passing):
            self._passing = torch.randperm(self._images, generator=self._generator)
            self._position = 0
        indices = self._passing[self._position : self._position + self._together]
        self._position += self._together
        return indices

    def fork(self) -> Order:
        """Another order that goes on like this one."""
        other = Order(self._images, self._together, seed=0)
        other.load_state_dict(self.state_dict())
        return other

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: its random numbers, the order of this pass, the place in it."""
        return {"generator": self._generator.get_state(), "passing": self._passing, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another order stood."""
        self._generator.set_state(state["generator"])
        self._passing = state["passing"]
        self._position = int(state["position"])


class BatchStream:
    """An endless stream of augmented batches.

    All processes draw the same order and the same random numbers and take their own part, so that no image is trained
    on twice in a pass and any number of processes sees what a single one would. Images in memory and images that are
    streamed give the same batches.

    Args:
        images: to train on.
        augmentation: what is done to them.
        batch_size: images a batch and process; with fewer images than that, all of them are a batch.
        seed: of order and augmentation.
        share: this process's part.
        device: where batches are augmented; images that lie there are gathered there.
        answers: what a teacher says of the images, shape [images, views, classes], on the device: the second view is of
            mirror images, which learn from the first where there is no other.
    """

    def __init__(
        self,
        images: Images,
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
        share: Share = ALONE,
        device: torch.device | str = "cpu",
        answers: Tensor | None = None,
    ) -> None:
        self._images = images
        self._answers = answers
        self._augmentation = augmentation
        self._device = device
        self.batch_size = max(1, min(batch_size, len(images) // share.size))
        self.steps_per_epoch = max(1, len(images) // (self.batch_size * share.size))
        self._own = slice(share.rank * self.batch_size, (share.rank + 1) * self.batch_size)
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._together = self.batch_size * share.size
        self._order = Order(len(images), self._together, seed=seed)
        resident = isinstance(images, ImageSet) and images.images.device == self._generator.device
        self._resident = images if isinstance(images, ImageSet) and resident else None
        self._reading: Generator[ImageSet] | None = None
        self._batches: Iterator[ImageSet] = iter(())

    @property
    def generator(self) -> torch.Generator:
        """The augmentation's random numbers, on the device."""
        return self._generator

    def fetch(self) -> tuple[Tensor, ...]:
        """What the next batch is made of, on the device.

        Returns:
            Indices of images, int64, shape [batch], where those lie on the device; otherwise the images (uint8, shape
            [batch, channels, side, side]) and their labels, and where there is a teacher, their indices.

        Raises:
            DataError: streamed images cannot be read.
        """
        if self._resident is not None:
            return (next(self._order)[self._own].to(self._device, non_blocking=True),)
        self.start()
        indices = next(self._order)[self._own]
        batch = next(self._batches)
        return self._with_indices(batch, indices)

    def example(self, images: Images) -> tuple[Tensor, ...]:
        """What `fetch` could give, for trying a step out; takes no part in the order.

        Args:
            images: where the images do not lie on the device, some of them in memory.
        """
        indices = torch.arange(self.batch_size)
        if self._resident is not None:
            return (indices.to(self._device),)
        (batch,) = images.batches([indices % len(images)], device=self._device)
        return self._with_indices(batch, indices)

    def _with_indices(self, batch: ImageSet, indices: Tensor) -> tuple[Tensor, ...]:
        if self._answers is None:
            return batch.images, batch.labels
        return batch.images, batch.labels, indices.to(self._device, non_blocking=True)

    def augment(self, fetched: tuple[Tensor, ...], size: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """A batch at a training resolution, all of it work on the device that needs no answer from there.

        A teacher's answer is the one to the view that the image is shown in: the whole image or its mirror image.

        Args:
            fetched: from `fetch`.
            size: side in pixels.

        Returns:
            Standardised floats of shape [batch, channels, size, size], labels of shape [batch], and a teacher's answers
            of shape [batch, classes]; None without one.
        """
        draws = self._augmentation.draw(self._together, generator=self._generator)
        if self._resident is not None:
            (indices,) = fetched
            images, labels = self._resident.images[indices], self._resident.labels[indices]
        else:
            images, labels = fetched[:2]
        own = {name: drawn[self._own] for name, drawn in draws.items()}
        answers = None
        if self._answers is not None:
            two = "flip" in own and self._answers.shape[1] == 2
            answers = self._answers[fetched[-1], own["flip"].long() if two else torch.zeros_like(labels)]
        return self._augmentation.apply(images, own, size), labels, answers

    def next(self, size: int) -> tuple[Tensor, Tensor]:
        """The next batch at a training resolution, without a teacher's answers: `augment` of what `fetch` gives."""
        return self.augment(self.fetch(), size)[:2]

    def start(self) -> None:
        """Begin to read ahead, and wait for the first batch; does nothing where that has happened."""
        if self._reading is not None or self._resident is not None:
            return
        # Streaming asks for the order some batches ahead: it follows one of its own, so that ours is where training is.
        self._reading = self._read(self._order.fork())
        self._batches = chain([next(self._reading)], self._reading)

    def close(self) -> None:
        """Stop to read ahead; the next batch starts it again."""
        if self._reading is not None:
            self._reading.close()
        self._reading, self._batches = None, iter(())

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands: the order, and the augmentation's random numbers."""
        return {"generator": self._generator.get_state(), "order": self._order.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another stream stood."""
        self.close()
        self._generator.set_state(state["generator"].cpu())
        self._order.load_state_dict(state["order"])

    def _read(self, order: Order) -> Generator[ImageSet]:
        yield from self._images.batches((indices[self._own] for indices in order), device=self._device)
