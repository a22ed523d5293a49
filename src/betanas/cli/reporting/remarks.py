"""What libraries say beside the work: silent, but for broken images, which are a note."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from betanas.data import BrokenImagesWarning


@contextmanager
def broken_images_noted(note: Callable[[str], None]) -> Iterator[None]:
    """Held while a command works.

    Args:
        note: is told of broken images, once for each remark.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries' remarks to their developers
        warnings.simplefilter("once", BrokenImagesWarning)
        warnings.showwarning = lambda message, *_: note(str(message))
        yield
