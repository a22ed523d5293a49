"""From a source to what a search trains on and judges by, and, apart from it, to what the final comparison tests on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from betanas import host_memory
from betanas.blueprint import IntArray
from betanas.data.images import ImageSet, Splits
from betanas.data.memory import memory_needed, streams
from betanas.data.names import list_names
from betanas.data.source import DataSource
from betanas.data.stratified import VALIDATION_SHARE, hold_out
from betanas.errors import DataError
from betanas.quantities import format_bytes


def load_splits(
    source: DataSource, *, resolution: int, seed: int, validation_share: float = VALIDATION_SHARE
) -> Splits:
    """The training part of a source, divided. The test part is not touched.

    Which images go where depends on the seed and the files' names alone: not on the machine, the resolution, or which
    images turn out to be broken. A validation part that the source brings is taken as it is.

    Args:
        source: where the images come from.
        resolution: side of the training images, in pixels; images are kept somewhat larger.
        seed: decides the division.
        validation_share: of the training part that is held out for validation.

    Raises:
        DataError: too many images are broken, a class has too few, or they do not fit into the memory.
    """
    train_rows, validation_rows = divide(source, seed=seed, validation_share=validation_share)
    _check_memory(source, resolution)
    side = source.stored_side(resolution)
    decoded = source.decoded("train", side)
    train = decoded.image_set(train_rows)
    validation = source.load("validation", side) if validation_rows is None else decoded.image_set(validation_rows)
    _check_none_lost(source, train, "training")
    if validation_rows is not None:  # a given part may lack classes
        _check_none_lost(source, validation, "validation")
    return Splits(train, validation, source.classes)


def load_test(source: DataSource, *, resolution: int) -> ImageSet:
    """The test part of a source, for a final comparison.

    Raises:
        DataError: there is none, or too many of its images are broken.
    """
    source.check_part("test")
    return source.load("test", source.stored_side(resolution))


def prepare(source: DataSource, *, resolution: int, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Decode what `open_splits` will want, so that workers find it in the cache; nothing where it will stream.

    Args:
        source: where the images come from.
        resolution: side of the training images, in pixels.
        on_progress: told how many images of how many have been read, now and then.

    Raises:
        DataError: too many images are broken, a class has too few, or they do not fit into the memory.
    """
    _check_enough(source, source.labels("train"))
    if streams(source, source.search_parts, resolution):
        return
    _check_memory(source, resolution)
    for part in source.search_parts:
        source.decoded(part, source.stored_side(resolution), on_progress)


def divide(source: DataSource, *, seed: int, validation_share: float) -> tuple[IntArray | None, IntArray | None]:
    """Positions of the training and validation images in the training part's listing.

    None for both where the source brings a validation part: then all of each are meant.

    Raises:
        DataError: a class has too few images.
    """
    labels = source.labels("train")
    _check_enough(source, labels)
    if "validation" in source.parts:
        return None, None
    return hold_out(labels, share=validation_share, seed=seed)


def _check_enough(source: DataSource, labels: IntArray) -> None:
    classes = len(source.classes)
    if len(labels) < classes:
        raise DataError(
            "There must not be more classes than images.",
            value=f"{classes:,} classes and {len(labels):,} images in {source.name}",
        )
    needed = 1 if "validation" in source.parts else 2
    counts = np.bincount(labels, minlength=classes)
    few = [f"{source.classes[label]!r} ({counts[label]})" for label in np.flatnonzero(counts < needed)]
    if len(few) > classes / 2:
        raise DataError(
            "A class must have several images.",
            value=f"{len(few):,} of {classes:,} classes in {source.name} have fewer than two",
            hint="Put all images of a class into one folder.",
        )
    if few:
        raise DataError(
            f"Every class must have at least {needed} training images.",
            value=list_names(few),
            hint="Add images to these classes, or move their folders out of the data.",
        )


def _check_memory(source: DataSource, resolution: int) -> None:
    needed = memory_needed(source, source.search_parts, resolution)
    free = host_memory.available()
    if needed > free:
        raise DataError(
            "The images must fit into the memory.",
            value=f"{format_bytes(needed)} at resolution {resolution} with {format_bytes(free)} free",
            hint="Use a lower resolution or fewer images, or stream them (betanas.data.open_splits).",
        )


def _check_none_lost(source: DataSource, images: ImageSet, where: str) -> None:
    counts = np.bincount(images.labels.numpy(), minlength=len(source.classes))
    lost = [repr(source.classes[label]) for label in np.flatnonzero(counts == 0)]
    if lost:
        raise DataError(
            f"Every class must have a readable {where} image.",
            value=f"none of {list_names(lost)}",
            hint="Add images to these classes, or repair the unreadable ones.",
        )
