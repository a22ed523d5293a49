from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from betanas.data import open_source
from betanas.finding.look import look_at, words


def write(folder: Path, count: int, *, side: int, grey: bool = False) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for place in range(count):
        pixels = generator.integers(0, 256, (side, side + 4) if grey else (side, side + 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")


def test_a_folder_of_photographs(tmp_path: Path) -> None:
    write(tmp_path / "cats", 20, side=20)
    write(tmp_path / "dogs", 8, side=40)
    (tmp_path / "dogs" / "torn.jpg").write_bytes(b"not an image")
    look = look_at(open_source(tmp_path))
    assert look.counts == (20, 9)
    assert look.sides == (20, 20, 40)
    assert look.channels == 3
    said = " ".join(words(look))
    assert "29 images of 2 classes, colour, short side 20 to 40 pixels, median 20." in said
    assert "not balanced: dogs has 9 images, cats has 20" in said
    assert "1 of 29 files looked at cannot be read" in said
    assert "torn.jpg" in said
    assert "no test part" in said


def test_grey_images_with_a_test_part(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path / part / "a", 4, side=12, grey=True)
        write(tmp_path / part / "b", 4, side=12, grey=True)
    look = look_at(open_source(tmp_path))
    assert (look.channels, look.test, look.typical_side) == (1, 8, 12)
    assert words(look) == (
        "8 images of 2 classes, grey, short side 12 pixels.",
        "4 images each.",
        "8 test images judge the model once, at the end.",
    )


@pytest.mark.parametrize("name", ["digits"])
def test_a_named_source(name: str) -> None:
    look = look_at(open_source(name))
    assert (look.sides, look.channels, look.looked_at, len(look.classes)) == ((8, 8, 8), 1, 0, 10)
