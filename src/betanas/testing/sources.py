"""What a source of images promises."""

from __future__ import annotations

import warnings

from betanas import data
from betanas.data import DataSource, open_source
from betanas.errors import DataError
from betanas.testing.promises import Promises

_SIDE = 8


def check_source(source: DataSource | type[DataSource] | str) -> None:
    """Check that a data source keeps its promises; every image of it is read, several times.

    Args:
        source: a source, its class, or what `open_source` takes.

    Raises:
        BrokenPromiseError: it does not; the message says which promise.
    """
    if isinstance(source, str):
        source = open_source(source)
    if isinstance(source, type):
        source = source(None)
    promises = Promises(f"The data source {source.name}")
    with warnings.catch_warnings(), promises.holding("its images must be read without an error or a warning"):
        warnings.simplefilter("error")
        _check(source, promises)


def _check(source: DataSource, promises: Promises) -> None:
    promises.require("train" in source.parts, "there must be a part called train", source.parts)
    classes = source.classes
    promises.require(
        len(set(classes)) == len(classes) >= 2, "there must be two classes or more, all different", classes
    )
    promises.require(
        source.in_channels in (1, 3), "images must be grey or in colour: 1 or 3 channels", source.in_channels
    )
    same = source.fingerprint == source.fingerprint != ""
    promises.require(same, "its fingerprint must be the same each time it is asked for, and not empty")
    sides = source.stored_side(8), source.stored_side(64)
    promises.require(
        0 < sides[0] <= sides[1] <= data.source.roomy_side(64),
        "images must be kept at a side that grows with the training resolution, no larger than a random crop needs",
        f"{sides[0]} for 8 pixels, {sides[1]} for 64",
    )
    for part in source.parts:
        side = source.stored_side(_SIDE)
        images = source.load(part, side)
        shape, wanted = tuple(images.images.shape), (source.size(part), source.in_channels, side, side)
        promises.require(shape == wanted, f"part {part} must hold as many images as it states, of one shape", shape)
        told = source.labels(part).tolist()
        promises.require(images.labels.tolist() == told, f"part {part} must come with the labels that it states")
        low, high = int(images.labels.min()), int(images.labels.max())
        inside = low >= 0 and high < len(classes)
        promises.require(inside, f"labels of part {part} must be places among the classes", f"{low} to {high}")
        again = source.load(part, side).images
        promises.require(again.equal(images.images), f"part {part} must be the same each time it is read")
    with promises.refusing(DataError, "a part that it does not have must be refused", saying="must have a"):
        source.load("nonsense", _SIDE)  # type: ignore[arg-type]
    splits = data.load_splits(source, resolution=_SIDE, seed=0)
    found = set(splits.train.labels.tolist())
    promises.require(found == set(range(len(classes))), "every class must have images to train on", f"classes {found}")
    splits.train.images[0] = 0  # torch warns where memory is read-only
    read = data.load_splits(source, resolution=_SIDE, seed=0).train.images[0]
    promises.require(read.any(), "what is done to images that were read must not change them for the next reader")
