"""Images that stay on disk: decoded in worker processes while the device trains, for data larger than the memory."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from betanas.blueprint import IntArray
from betanas.data.cores import cores
from betanas.data.decoding import UnreadableImageError
from betanas.data.file_source import FileSource
from betanas.data.files import ImageFiles
from betanas.data.images import ImageSet, Splits
from betanas.data.loading import allowed_broken, read_image, too_many_broken
from betanas.data.memory import streams
from betanas.data.source import BrokenImagesWarning, DataSource, Part
from betanas.data.splits import divide, load_splits, load_test
from betanas.data.stratified import VALIDATION_SHARE
from betanas.errors import DataError
from betanas.lifetimes import die_with_parent

# Images that a process decodes at a time where no training batches are asked for.
_IMAGES_A_TASK = 64

# Batches each worker decodes ahead: enough to bridge one slow image, and a few hundred MB at most.
_BATCHES_AHEAD = 4

# How torch names the processes that decode when they are gone.
_WORKER_LOST = "DataLoader worker"


class StreamedImages:
    """Some images of one part, read when they are wanted.

    Attributes:
        labels: int64, shape [n].
        shape: of the images: (n, channels, side, side).
    """

    def __init__(
        self, source: FileSource, part: Part, side: int, positions: IntArray | None = None, *, keep_size: bool = False
    ) -> None:
        """Describe what is to be read.

        Args:
            source: where the images come from.
            part: of it.
            side: at which they are decoded.
            positions: of the images in the part's listing; None for all.
            keep_size: put the next image of the listing in an unreadable one's place, so that batches keep their size,
                as training wants it. Without, the unreadable one is left out, as an evaluation wants it.
        """
        files = source.files(part)
        self._files = files
        self._where = f"{source.name} ({part})"
        self._positions = np.arange(len(files), dtype=np.int64) if positions is None else positions
        self._keep_size = keep_size
        self._broken: dict[str, None] = {}
        self.labels = torch.from_numpy(files.labels[self._positions])
        self.shape = (len(self._positions), source.in_channels, side, side)

    def __len__(self) -> int:
        return len(self._positions)

    def subset(self, indices: Tensor) -> StreamedImages:
        """The images at the given indices (int64, shape [m])."""
        some = copy.copy(self)
        some._positions = self._positions[indices.numpy()]
        some.labels = self.labels[indices]
        some.shape = (len(indices), *self.shape[1:])
        return some

    def sample(self, count: int) -> ImageSet:
        """A number of the images, evenly spaced over the listing and so over the classes, decoded into memory.

        Raises:
            DataError: as of `batches`.
        """
        rows = torch.from_numpy(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(np.int64))
        parts = list(self.batches(torch.split(rows, _IMAGES_A_TASK)))
        return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))

    def batches(
        self, order: Iterable[Tensor | Sequence[int]], *, device: torch.device | str = "cpu", workers: int | None = None
    ) -> Iterator[ImageSet]:
        """Read images batch by batch, ahead of their use.

        Args:
            order: which images each batch is made of, indices into these images. It may be endless, and is asked for a
                few batches ahead. Each process of a distributed training passes its own share.
            device: the batches are put on.
            workers: processes that decode; None for one a core, 0 for none but this.

        Yields:
            Batches in the order asked for, uint8 at the stored side, with their labels.

        Raises:
            DataError: more images are unreadable than a hundredth, or a process that decodes died.
        """
        _, channels, side, _ = self.shape
        reader = _Reader(self._files, self._positions, side, channels, self._keep_size)
        processes = cores() if workers is None else workers
        loader = DataLoader(
            reader,
            batch_size=None,  # the order is made of batches already
            sampler=order,
            num_workers=processes,
            prefetch_factor=_BATCHES_AHEAD if processes else None,
            pin_memory=torch.device(device).type == "cuda",
            collate_fn=_as_it_is,
            worker_init_fn=partial(_die_with, os.getpid()) if processes else None,
            # Drawn from by the loader, which would otherwise disturb the training's own random numbers.
            generator=torch.Generator(),
        )
        for batch in _alive(loader, self._where):
            self._report(batch.broken)
            if len(batch.labels):
                images = batch.images.to(device, non_blocking=True)
                yield ImageSet(images, batch.labels.to(device, non_blocking=True))

    def _report(self, broken: Sequence[str]) -> None:
        new = [name for name in broken if name not in self._broken]
        self._broken |= dict.fromkeys(new)
        if len(self._broken) > allowed_broken(len(self._files)):
            raise too_many_broken(list(self._broken), len(self._files), self._where)
        for name in new:
            message = f"An image in {self._where} cannot be read and is left out: {name}."
            warnings.warn(message, BrokenImagesWarning, stacklevel=3)


@dataclass(frozen=True, eq=False)
class StreamedSplits:
    """The training part of a source, divided as `Splits` are, but left on disk.

    Attributes:
        train: what trials train on.
        validation: what trials are judged on.
        classes: class names in label order.
    """

    train: StreamedImages
    validation: StreamedImages
    classes: tuple[str, ...]

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return self.train.shape[1]


def open_splits(
    source: DataSource,
    *,
    resolution: int,
    seed: int,
    validation_share: float = VALIDATION_SHARE,
    budget: int | None = None,
) -> Splits | StreamedSplits:
    """The training part of a source, divided: in memory where it fits there, otherwise streamed.

    Either way the same images are in the same part under the same labels.

    Args:
        source: where the images come from.
        resolution: side of the training images, in pixels.
        seed: decides the division.
        validation_share: of the training part that is held out for validation.
        budget: bytes that the images may take; None for half of the memory that is free.

    Raises:
        DataError: too many images are broken, or a class has too few.
    """
    if not isinstance(source, FileSource) or not streams(source, source.search_parts, resolution, budget):
        return load_splits(source, resolution=resolution, seed=seed, validation_share=validation_share)
    train, held_out = divide(source, seed=seed, validation_share=validation_share)
    part: Part = "train" if held_out is not None else "validation"
    side = source.stored_side(resolution)
    return StreamedSplits(
        StreamedImages(source, "train", side, train, keep_size=True),
        StreamedImages(source, part, side, held_out),
        source.classes,
    )


def open_test(source: DataSource, *, resolution: int, budget: int | None = None) -> ImageSet | StreamedImages:
    """The test part of a source for a final comparison: in memory where it fits there, otherwise streamed.

    Args:
        source: where the images come from.
        resolution: side of the training images, in pixels.
        budget: bytes that the images may take; None for half of the memory that is free.

    Raises:
        DataError: there is none, or too many of its images are broken.
    """
    source.check_part("test")
    if not isinstance(source, FileSource) or not streams(source, ("test",), resolution, budget):
        return load_test(source, resolution=resolution)
    return StreamedImages(source, "test", source.stored_side(resolution))


def _alive(loader: DataLoader[_Batch], where: str) -> Iterator[_Batch]:
    """A loader's batches; that one of its processes died is said in our words."""
    try:
        yield from loader
    except RuntimeError as error:
        if _WORKER_LOST not in str(error):
            raise
        raise DataError(
            f"The processes that read {where} must live until the end.",
            value=str(error),
            hint="They may have run out of memory, or of shared memory (/dev/shm, which containers keep small).",
        ) from error


def _die_with(parent: int, _worker: int) -> None:
    die_with_parent(parent)


class _Batch(NamedTuple):
    """What a worker sends; broken images are named and not raised: torch would put its traceback into the message."""

    images: Tensor
    labels: Tensor
    broken: list[str]


class _Reader(Dataset[_Batch]):
    """Decodes a batch; copied to every worker."""

    def __init__(self, files: ImageFiles, positions: IntArray, side: int, channels: int, keep_size: bool) -> None:
        self._files, self._positions = files, positions
        self._side, self._channels, self._keep_size = side, channels, keep_size

    def __getitem__(self, batch: Tensor | Sequence[int]) -> _Batch:
        images: list[NDArray[np.uint8]] = []
        labels: list[int] = []
        broken: list[str] = []
        for row in np.asarray(batch).tolist():
            for index in self._candidates(row):
                position = int(self._positions[index])
                try:
                    images.append(read_image(self._files, position, side=self._side, channels=self._channels))
                except UnreadableImageError as error:
                    broken.append(f"{self._files.name(position)} ({error})")
                    continue
                labels.append(int(self._files.labels[position]))
                break
        shape = (0, self._channels, self._side, self._side)
        pixels = np.stack(images) if images else np.empty(shape, dtype=np.uint8)
        return _Batch(torch.from_numpy(pixels), torch.tensor(labels, dtype=torch.int64), broken)

    def _candidates(self, row: int) -> Iterable[int]:
        """The image asked for and, where its place must not stay empty, those that follow it."""
        if not self._keep_size:
            return (row,)
        # More than are allowed to be broken need not be tried: then the whole is refused.
        count, most = len(self._positions), allowed_broken(len(self._files)) + 1
        return ((row + step) % count for step in range(min(count, most)))


def _as_it_is(batch: Any) -> Any:
    return batch
