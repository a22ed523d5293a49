"""One encoded image to one uint8 array: whatever colours, depth, orientation and shape it comes in."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# The version of everything in this file that decides pixels: raise it when that changes.
DECODER = f"1 Pillow {PIL.__version__}"

# What Pillow opens and people keep photographs in. HEIC is among them although Pillow needs a plug-in for it: a
# telephone's pictures must be reported as unreadable, not passed over.
_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2")
_PNG_AND_LIKE = (".png", ".apng", ".gif", ".webp", ".avif", ".heic", ".heif")
_PLAIN = (".bmp", ".dib", ".tif", ".tiff", ".tga", ".ppm", ".pgm", ".pbm", ".pnm")
IMAGE_SUFFIXES = frozenset((*_JPEG, *_PNG_AND_LIKE, *_PLAIN))

_GREY_MODES = ("1", "L", "LA", "La")
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_LARGEST_16_BIT = 65535


class UnreadableImageError(Exception):
    """Why an image cannot be decoded, in a few words."""


def decode_image(data: bytes, *, side: int, channels: int) -> NDArray[np.uint8]:
    """Decode an image to a square.

    EXIF orientation is applied. Transparency is laid over white, as on a page. 16-bit grey is scaled by the full range
    of 16 bits, not clipped. CMYK, palettes and the rest are converted by Pillow. Of an animation the first frame is
    taken. The short side is scaled to `side`, antialiased and bicubic, and the centre of the long side is kept.

    Args:
        data: the encoded image.
        side: of the result.
        channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 of shape [channels, side, side].

    Raises:
        UnreadableImageError: it is damaged, empty, of a kind that has no fixed range (floating point, 32-bit), or has
            more pixels than Pillow deems safe: decoding it could exhaust the memory.
    """
    image = _open(data)
    try:
        # A JPEG decoder halves for next to nothing; twice the side is left for the antialiased step.
        image.draft(None, (2 * side, 2 * side))
        image.load()
        with suppress(Exception):  # damaged EXIF of an image that itself is sound
            ImageOps.exif_transpose(image, in_place=True)
        image = _to_mode(image, "L" if channels == 1 else "RGB")
        square = min(image.size)
        left, top = (image.width - square) // 2, (image.height - square) // 2
        box = (left, top, left + square, top + square)
        small = image.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    except (UnreadableImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's plug-ins raise what they like for damaged data
        raise UnreadableImageError(str(error) or type(error).__name__) from error
    pixels = np.asarray(small, dtype=np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def inspect_image(data: bytes) -> tuple[int, bool]:
    """Short side and greyness of an image, from its header (and its palette, where it has one).

    Raises:
        UnreadableImageError: it has no header that Pillow can read, or more pixels than Pillow deems safe.
    """
    image = _open(data)
    if image.mode != "P":
        return min(image.size), image.mode in _GREY_MODES or image.mode[0] in "IF"
    try:
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
    except Exception as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error
    return min(image.size), bool((palette == palette[:, :1]).all())


def _open(data: bytes) -> Image.Image:
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        return Image.open(BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImageError("it has too many pixels to be decoded safely; scale it down") from error
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image that Pillow can read") from error
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode[0] == "I":
        image = _from_16_bit(image)
    elif image.mode[0] == "F":
        raise UnreadableImageError("floating-point pixels have no fixed range; save it with 8 or 16 bits")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    return image.convert(mode)


def _from_16_bit(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > _LARGEST_16_BIT:
        raise UnreadableImageError("32-bit pixels have no fixed range; save it with 8 or 16 bits")
    return Image.fromarray(((levels * 255 + _LARGEST_16_BIT // 2) // _LARGEST_16_BIT).astype(np.uint8))
