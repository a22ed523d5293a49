"""Many image files to one array: on all cores, and past a few broken ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from betanas.data.cores import cores
from betanas.data.decoded import Decoded
from betanas.data.decoding import UnreadableImageError, decode_image
from betanas.data.files import ImageFiles
from betanas.data.names import list_names
from betanas.errors import DataError

# One image in a hundred may be broken, and one in any folder: a search must not die in the night from one bad file, and
# must not learn from far less than it was given either.
BROKEN_SHARE = 0.01

_IMAGES_A_TASK = 64


def allowed_broken(count: int) -> int:
    """How many images of a part may be unreadable."""
    return max(1, int(BROKEN_SHARE * count))


def read_image(files: ImageFiles, index: int, *, side: int, channels: int) -> NDArray[np.uint8]:
    """Read and decode one image.

    Raises:
        UnreadableImageError: it cannot be read or decoded.
    """
    try:
        return decode_image(files.read(index), side=side, channels=channels)
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error


def too_many_broken(broken: list[str], count: int, where: str) -> DataError:
    """The refusal of images too many of which cannot be read."""
    return DataError(
        f"At most {allowed_broken(count):,} of these {count:,} images may be unreadable.",
        value=f"{len(broken):,} in {where}",
        hint=f"Repair or remove them: {list_names(broken)}.",
    )


def decode_files(
    files: ImageFiles,
    *,
    side: int,
    channels: int,
    where: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Decoded:
    """Decode images to squares, without those that cannot be read.

    Args:
        files: what to decode.
        side: of the result.
        channels: of the result.
        where: what the files are, for a message.
        on_progress: told how many images of how many have been read, now and then.

    Raises:
        DataError: more images are unreadable than `allowed_broken`, or one is too large.
    """
    images = np.empty((len(files), channels, side, side), dtype=np.uint8)
    decode = partial(_decode_some, files, images)
    broken: dict[int, str] = {}
    # Pillow gives the interpreter's lock back while it decodes, so threads suffice and fill one array.
    executor = ThreadPoolExecutor(max_workers=cores())
    try:
        starts = range(0, len(files), _IMAGES_A_TASK)
        for start, failures in zip(starts, executor.map(decode, starts), strict=True):
            broken |= failures
            if len(broken) > allowed_broken(len(files)):
                raise too_many_broken([broken[index] for index in sorted(broken)], len(files), where)
            if on_progress:
                on_progress(min(start + _IMAGES_A_TASK, len(files)), len(files))
    finally:
        executor.shutdown(cancel_futures=True)
    if not broken:
        return Decoded.whole(images, files.labels)
    sound = np.setdiff1d(np.arange(len(files), dtype=np.int64), sorted(broken))
    names = tuple(broken[index] for index in sorted(broken))
    return Decoded(images[sound], files.labels[sound], sound, names)


def _decode_some(files: ImageFiles, images: NDArray[np.uint8], start: int) -> dict[int, str]:
    """Decode a few images into their rows; returns the broken ones' positions and names."""
    broken = {}
    _, channels, side, _ = images.shape
    for index in range(start, min(start + _IMAGES_A_TASK, len(images))):
        try:
            images[index] = read_image(files, index, side=side, channels=channels)
        except UnreadableImageError as error:
            broken[index] = f"{files.name(index)} ({error})"
    return broken
