from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from betanas.data.decoding import UnreadableImageError, decode_image, inspect_image

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixel(data: bytes, *, channels: int = 3) -> tuple[int, ...]:
    """The centre of an image decoded at side 4."""
    return tuple(int(v) for v in decode_image(data, side=4, channels=channels)[:, 2, 2])


def halves(left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int] = (16, 16)) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return image


def test_pixels_of_the_right_size_are_not_touched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    decoded = decode_image(encode(Image.fromarray(pixels)), side=20, channels=3)
    np.testing.assert_array_equal(decoded, pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(31, 20), (20, 31)])
def test_of_a_long_image_the_centre_is_kept_unblurred(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    decoded = decode_image(encode(Image.fromarray(pixels)), side=20, channels=1)
    top, left = (size[1] - 20) // 2, (size[0] - 20) // 2
    np.testing.assert_array_equal(decoded[0], pixels[top : top + 20, left : left + 20])


def test_scaling_down_is_antialiased() -> None:
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    decoded = decode_image(encode(Image.fromarray(stripes)), side=16, channels=1)
    assert abs(decoded[0, 4:12, 4:12].astype(int) - 127).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn anticlockwise: the left half belongs on top
    decoded = decode_image(encode(halves(RED, WHITE, (64, 64)), kind, exif=exif), side=8, channels=3).astype(int)
    assert decoded[1, :3].max() < 40
    assert decoded[1, 5:].min() > 215


def test_damaged_exif_does_not_condemn_an_image() -> None:
    assert pixel(encode(Image.new("RGB", (8, 8), RED), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")) == RED


def test_transparency_shows_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert pixel(encode(clear)) == WHITE
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert all(abs(v - 127) <= 1 for v in pixel(encode(half)))
    assert pixel(encode(Image.new("LA", (8, 8), (0, 0))), channels=1) == (255,)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palettes_are_resolved_with_their_transparency(kind: str) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 255, 0, *RED])
    assert pixel(encode(image, kind)) == RED
    assert pixel(encode(image, kind, transparency=1)) == WHITE


def test_a_colour_key_is_transparency() -> None:
    assert pixel(encode(Image.new("RGB", (8, 8), RED), transparency=RED)) == WHITE
    assert pixel(encode(Image.new("L", (8, 8), 9), transparency=9), channels=1) == (255,)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("level", "expected"), [(0, 0), (256, 1), (25700, 100), (32768, 128), (65535, 255)])
def test_16_bit_grey_is_scaled(kind: str, level: int, expected: int) -> None:
    image = Image.fromarray(np.full((8, 8), level, dtype=np.uint16))
    assert pixel(encode(image, kind), channels=1) == (expected,)
    assert pixel(encode(image, kind), channels=3) == (expected,) * 3


def test_pixels_without_a_fixed_range_are_refused() -> None:
    floats = Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32))
    with pytest.raises(UnreadableImageError, match="8 or 16 bits"):
        decode_image(encode(floats, "TIFF"), side=4, channels=1)
    wide = Image.fromarray(np.full((8, 8), 1 << 20, dtype=np.int32))
    with pytest.raises(UnreadableImageError, match="8 or 16 bits"):
        decode_image(encode(wide, "TIFF"), side=4, channels=1)


def test_cmyk_is_converted() -> None:
    red = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    assert all(abs(a - b) < 6 for a, b in zip(pixel(encode(red, "JPEG", quality=100)), RED, strict=True))


def test_other_colour_spaces_are_converted() -> None:
    lab = ImageCms.applyTransform(
        Image.new("RGB", (8, 8), RED),
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"),
    )
    assert pixel(encode(lab, "TIFF"))[0] > 200


def test_one_bit_becomes_black_and_white() -> None:
    assert pixel(encode(Image.new("1", (8, 8), 1)), channels=1) == (255,)
    assert pixel(encode(Image.new("1", (8, 8), 0)), channels=3) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, WHITE, (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    assert pixel(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)) == RED


def test_grey_and_colour_are_converted_into_each_other() -> None:
    assert pixel(encode(Image.new("L", (8, 8), 77)), channels=3) == (77, 77, 77)
    assert pixel(encode(Image.new("RGB", (8, 8), (77, 77, 77))), channels=1) == (77,)


def test_a_large_jpeg_keeps_its_colours_when_it_is_decoded_small() -> None:
    data = encode(halves(RED, (0, 0, 255), (1600, 1200)), "JPEG", quality=95)
    decoded = decode_image(data, side=32, channels=3).astype(int)
    assert abs(decoded[:, 16, 4] - RED).max() < 10
    assert abs(decoded[:, 16, 28] - (0, 0, 255)).max() < 10


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_truncated_images_are_unreadable(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = encode(noise, kind)
    with pytest.raises(UnreadableImageError):
        decode_image(data[: len(data) // 2], side=8, channels=3)


@pytest.mark.parametrize(
    ("data", "why"), [(b"", "empty"), (b"<html>404</html>", "not an image"), (b"\x89PNG\r\n\x1a\n", "not an image")]
)
def test_what_is_no_image_is_unreadable(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableImageError, match=why):
        decode_image(data, side=8, channels=3)
    with pytest.raises(UnreadableImageError, match=why):
        inspect_image(data)


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), kind=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]))
def test_a_flipped_byte_ends_in_an_image_or_in_a_refusal(position: int, value: int, kind: str) -> None:
    data = bytearray(encode(halves(RED, WHITE), kind))
    data[position % len(data)] = value
    try:
        decoded = decode_image(bytes(data), side=8, channels=3)
    except UnreadableImageError:
        return
    assert decoded.shape == (3, 8, 8)


def test_too_many_pixels_are_refused_from_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.new("L", (40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(UnreadableImageError, match="too many pixels"):
        decode_image(data, side=8, channels=1)
    with pytest.raises(UnreadableImageError, match="too many pixels"):
        inspect_image(data)


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("RGB", False), ("RGBA", False)],
)
def test_greyness_is_read_from_the_header(mode: str, grey: bool) -> None:
    assert inspect_image(encode(Image.new(mode, (9, 5)))) == (5, grey)


@pytest.mark.parametrize(("palette", "grey"), [([0, 0, 0, 90, 90, 90], True), ([0, 0, 0, 90, 91, 90], False)])
def test_a_palette_of_greys_is_grey(palette: list[int], grey: bool) -> None:
    image = Image.new("P", (9, 5), 1)
    image.putpalette(palette)
    assert inspect_image(encode(image)) == (5, grey)


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    side=st.integers(1, 40),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    channels=st.sampled_from([1, 3]),
)
def test_any_size_and_mode_gives_the_shape_asked_for(
    width: int, height: int, side: int, mode: str, channels: int
) -> None:
    decoded = decode_image(encode(Image.new(mode, (width, height))), side=side, channels=channels)
    assert decoded.shape == (channels, side, side)
    assert decoded.dtype == np.uint8
