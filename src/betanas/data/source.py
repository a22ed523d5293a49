"""What every source of images can do, whatever it is made of."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from betanas.blueprint import IntArray
from betanas.data.names import list_names
from betanas.errors import DataError

if TYPE_CHECKING:  # torch and Pillow are loaded when images are read: a wrong name is refused without them
    from betanas.data.decoded import Decoded
    from betanas.data.images import ImageSet

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)

# How much larger than the training resolution photographs are kept, so that a random crop has room: 258 for 224,
# close to the 256 that torchvision's references and timm resize to for 224.
ROOM = 1.15


class BrokenImagesWarning(UserWarning):
    """A few images could not be read and are left out."""


class DataSource(ABC):
    """Labelled images with a training part, perhaps a given validation part, and perhaps a test part.

    A source of one's own is a subclass, usually of `ArraySource`, passed to `register_source`. It is made when it is
    opened, which must be quick: images are read by `decode`, later.

    Attributes:
        name: what a user types to open it.
        mirror_safe: whether an image's mirror image is still of its class. Of photographs it is; a mirrored 2 is no 2.
    """

    name: str
    mirror_safe: bool = True

    def __init__(self, root: Path | None = None) -> None:
        self.root = root

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""

    @property
    @abstractmethod
    def in_channels(self) -> int:
        """1 where every training image is grey, otherwise 3."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The parts it has, `train` always among them."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Digest of everything a search may read (all but the test part), equal on every machine that has it."""

    @abstractmethod
    def labels(self, part: Part) -> IntArray:
        """Labels of a part, int64 of shape [n], without decoding an image."""

    @abstractmethod
    def stored_side(self, resolution: int) -> int:
        """Side at which images are kept for training at a resolution: `ROOM` larger, but no larger than they are."""

    @abstractmethod
    def decode(self, part: Part, side: int, on_progress: Callable[[int, int], None] | None = None) -> Decoded:
        """Read a part's images at a side.

        Args:
            part: one of `parts`.
            side: of the square images that are wanted.
            on_progress: told how many images of how many have been read, now and then.

        Raises:
            DataError: too many images cannot be read.
        """

    def content_key(self, part: Part) -> str | None:
        """What decoded images of a part are kept under on disk; None where it is quicker to read them again.

        It must change whenever the images do.
        """
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about how the images were found, in sentences."""
        return ()

    @property
    def search_parts(self) -> tuple[Part, ...]:
        """The parts a search may read: all but the test part."""
        return tuple(part for part in self.parts if part != "test")

    @property
    def has_test(self) -> bool:
        """Whether there is a test part."""
        return "test" in self.parts

    def size(self, part: Part) -> int:
        """Number of images in a part; 0 for a part it does not have."""
        return len(self.labels(part)) if part in self.parts else 0

    def decoded(self, part: Part, side: int, on_progress: Callable[[int, int], None] | None = None) -> Decoded:
        """A part's images at a side, from the cache on disk where they are in it; broken ones are warned about.

        Raises:
            DataError: there is no such part, or too many of its images cannot be read.
        """
        from betanas.data.cache import cached
        from betanas.data.decoding import DECODER

        self.check_part(part)
        content = self.content_key(part)
        key = {"content": content, "part": part, "side": side, "channels": self.in_channels, "decoder": DECODER}

        def make() -> Decoded:
            return self.decode(part, side, on_progress)

        decoded = make() if content is None else cached(key, make)
        if decoded.broken:
            count = len(decoded.broken)
            warnings.warn(
                f"{count} of {count + len(decoded.labels):,} images in {self.name} ({part}) cannot be read and "
                f"{'is' if count == 1 else 'are'} left out: {list_names(decoded.broken)}.",
                BrokenImagesWarning,
                stacklevel=2,
            )
        return decoded

    def load(self, part: Part, side: int) -> ImageSet:
        """A part's images at a side.

        Raises:
            DataError: there is no such part, or too many of its images cannot be read.
        """
        return self.decoded(part, side).image_set()

    def check_part(self, part: Part) -> None:
        """Refuse a part that the source does not have.

        Raises:
            DataError: it does not.
        """
        if part not in self.parts:
            hint = "An image folder has it in a sub-folder beside train." if part != "train" else ""
            raise DataError(f"The data must have a {part} part.", value=self.name, hint=hint)


def roomy_side(resolution: int) -> int:
    """The training resolution with room for random crops."""
    return round(ROOM * resolution)
