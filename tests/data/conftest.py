from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from betanas.data import DataSource, ImageSet, open_source

Draw = Callable[..., Image.Image]
MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing a test does depends on, or leaves anything in, the user's folders."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("BETANAS_CACHE", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "share"))
    monkeypatch.delenv("BETANAS_DATA", raising=False)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def draw() -> Draw:
    """Draws a small picture that compresses to little and differs from seed to seed."""

    def _draw(seed: int = 0, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> Image.Image:
        width, height = size
        rows, columns = np.mgrid[:height, :width]
        pixels = np.stack([rows * 9 + seed, columns * 9, (rows + columns) * 5 + seed * 3], axis=-1)
        return Image.fromarray((pixels % 256).astype(np.uint8), "RGB").convert(mode)

    return _draw


@pytest.fixture
def make_folder(tmp_path: Path, draw: Draw) -> MakeFolder:
    """Makes an image folder: {"train/cat": 3, "train/dog": 2} and so on."""

    def _make(counts: Mapping[str, int], *, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> Path:
        for folder, count in counts.items():
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image = draw(7 * number + len(folder), size, mode)
                image.save(tmp_path / folder / f"{number:04}.png", compress_level=1)
        return tmp_path

    return _make


@pytest.fixture(scope="session")
def real_images(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataSource, ImageSet]:
    """2,000 real images, every fifth of CIFAR-100's test part, from the zip beside the repository."""
    archive = Path(__file__).parents[3] / "shared" / "data" / "cifar100" / "part-0.zip"
    if not archive.is_file():
        pytest.skip("the real CIFAR-100 images (../shared/data/cifar100) are not on this machine")
    folder = tmp_path_factory.mktemp("cifar100")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder, sorted(name for name in file.namelist() if name.endswith(".png"))[::5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BETANAS_CACHE", str(folder / "cache"))
        source = open_source(folder / "test")
        assert source.stored_side(32) == source.stored_side(224) == 32
        return source, source.load("train", 32)
