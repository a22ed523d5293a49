from __future__ import annotations

import gzip
import pickle
import shutil
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from betanas.data import (
    ArraySource,
    DataSource,
    ImageSet,
    available_sources,
    load_test,
    open_source,
    register_source,
)
from betanas.data.registry import SOURCES
from betanas.data.source import Part
from betanas.errors import DataError
from betanas.testing import check_source

MakeFolder = Callable[..., Path]


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    data = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_fashion_mnist(folder: Path, suffix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", 40), ("t10k", 20)):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28))
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)
    return folder


def write_cifar(place: Path, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small CIFAR in the published format, whose digests torchvision is told."""
    folder = place / dataset.base_folder
    folder.mkdir(parents=True)
    label_key = "labels" if dataset is datasets.CIFAR10 else "fine_labels"
    classes = 10 if dataset is datasets.CIFAR10 else 100

    def write(name: str, content: object) -> str:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return md5(data, usedforsecurity=False).hexdigest()

    for attribute, count in (("train_list", 4 * classes), ("test_list", classes)):
        files = []
        for number, (name, _) in enumerate(getattr(dataset, attribute)):
            pixels = np.random.default_rng(number).integers(0, 256, (count, 3072), dtype=np.uint8)
            files.append([name, write(name, {"data": pixels, label_key: [i % classes for i in range(count)]})])
        monkeypatch.setattr(dataset, attribute, files)
    names = {dataset.meta["key"]: [f"name{i}" for i in range(classes)]}
    digest = write(dataset.meta["filename"], names)
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": digest})


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads end at a proxy that is not there."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # urllib keeps what it has read of the proxies for the whole process.
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(SOURCES, "_registered", {})


def test_digits_keep_the_promises_of_a_source() -> None:
    check_source(open_source("digits"))


def test_digits_are_scikit_learns_with_a_fifth_held_out() -> None:
    source = open_source("digits")
    train, test = source.load("train", 8), load_test(source, resolution=32)
    assert (len(train), len(test)) == (1438, 359)
    levels = sorted([*map(bytes, train.images.flatten(1).numpy()), *map(bytes, test.images.flatten(1).numpy())])
    original = np.round(load_digits().data * 255 / 16).astype(np.uint8)
    assert levels == sorted(map(bytes, original))
    assert (int(train.images.max()), int(train.images.min())) == (255, 0)
    share = test.labels.bincount() / (test.labels.bincount() + train.labels.bincount())
    assert ((share - 0.2).abs() < 0.005).all()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist_keeps_the_promises_of_a_source(tmp_path: Path, suffix: str) -> None:
    write_fashion_mnist(tmp_path, suffix)
    check_source(open_source("fashion-mnist", root=tmp_path))


def test_fashion_mnist_is_the_same_compressed_or_not(tmp_path: Path) -> None:
    plain = open_source("fashion-mnist", root=write_fashion_mnist(tmp_path / "plain"))
    packed = open_source("fashion-mnist", root=write_fashion_mnist(tmp_path / "packed", ".gz"))
    assert plain.fingerprint == packed.fingerprint
    for part in plain.parts:
        assert plain.load(part, 28).images.equal(packed.load(part, 28).images)
    images = np.random.default_rng(40).integers(0, 256, (40, 28, 28))
    np.testing.assert_array_equal(plain.load("train", 28).images[:, 0].numpy(), images)


@pytest.mark.parametrize("folder", [".", "FashionMNIST/raw", "fashion-mnist"])
@pytest.mark.parametrize("place", ["root", "variable", "working directory"])
def test_fashion_mnist_is_found_where_people_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, folder: str
) -> None:
    write_fashion_mnist(tmp_path / folder)
    if place == "variable":
        monkeypatch.setenv("BETANAS_DATA", str(tmp_path))
    elif place == "working directory":
        monkeypatch.chdir(tmp_path)
    assert open_source("fashion-mnist", root=tmp_path if place == "root" else None).size("train") == 40


def damage_magic(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(b"nonsense")


def damage_length(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def damage_gzip(folder: Path) -> None:
    path = folder / "train-labels-idx1-ubyte"
    (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:20])
    path.unlink()


def damage_missing(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").unlink()


def damage_kind(folder: Path) -> None:
    shutil.copy(folder / "train-labels-idx1-ubyte", folder / "train-images-idx3-ubyte")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_magic, r"begin as one\. Got '.*train-labels-idx1-ubyte'"),
        (damage_length, r"hold the 40 bytes it states\. Got '39 bytes"),
        (damage_gzip, r"must be readable: .*train-labels-idx1-ubyte\.gz"),
        (damage_missing, r"must be complete\. Got 'no train-labels-idx1-ubyte in"),
        (damage_kind, r"images and labels in IDX files"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(write_fashion_mnist(tmp_path))
    with pytest.raises(DataError, match=message):
        open_source("fashion-mnist", root=tmp_path).load("train", 28)


def test_fashion_mnist_that_is_nowhere_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("betanas.data.places._SYSTEM", tmp_path)
    with pytest.raises(DataError, match=r"dataset-fashion-mnist.*BETANAS_DATA"):
        open_source("fashion-mnist")


def test_debians_fashion_mnist_is_read() -> None:
    if not Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    source = open_source("fashion-mnist")
    assert (source.size("train"), source.size("test")) == (60_000, 10_000)
    assert source.load("train", 28).labels.bincount().tolist() == [6000] * 10
    assert source.load("test", 28).images.float().mean().item() == pytest.approx(73.15, abs=0.01)


@pytest.mark.parametrize(("name", "dataset"), [("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)])
def test_cifar_keeps_the_promises_of_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, dataset: Any
) -> None:
    write_cifar(tmp_path, dataset, monkeypatch)
    source = open_source(name, root=tmp_path)
    check_source(source)
    assert source.classes[3] == "name3"
    reference = dataset(tmp_path, train=False)
    test = load_test(source, resolution=32)
    np.testing.assert_array_equal(test.images.numpy(), reference.data.transpose(0, 3, 1, 2))
    assert test.labels.tolist() == reference.targets


def test_a_damaged_cifar_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, datasets.CIFAR10, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"complete and as published.*Remove that folder, then download"):
        open_source("cifar10", root=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.usefixtures("no_network")
def test_a_refused_download_says_where_to_put_the_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"cannot be downloaded.*unpack it so that {tmp_path}.*BETANAS_DATA"):
        open_source(name, root=tmp_path / "new")


def test_real_images_are_found_and_read_whole(real_images: tuple[DataSource, ImageSet]) -> None:
    source, images = real_images
    assert (source.size("train"), len(source.classes), source.in_channels) == (2_000, 100, 3)
    assert images.labels.bincount().tolist() == [20] * 100
    path = Path(source.name) / "apple" / "apple_s_000022.png"
    np.testing.assert_array_equal(images.images[0].numpy(), np.asarray(Image.open(path)).transpose(2, 0, 1))


class Sketches(ArraySource):
    name, classes, in_channels, side, parts = "sketches", ("cat", "dog"), 1, 10, ("train", "test")

    def read(self, part: Part) -> tuple[ArrayLike, ArrayLike]:
        count = 12 if part == "train" else 4
        images = np.random.default_rng(count).integers(1, 256, (count, 1, 10, 14), dtype=np.uint8)
        return images, [number % 2 for number in range(count)]


@pytest.mark.usefixtures("own_registry")
def test_a_source_of_ones_own_is_a_class_and_a_registration() -> None:
    assert register_source(Sketches) is Sketches
    assert "sketches" in available_sources()
    source = open_source("sketches")
    check_source(source)
    original, _ = Sketches().read("train")
    np.testing.assert_array_equal(source.load("train", 10).images.numpy(), np.asarray(original)[..., 2:12])


SOURCE_FILE = """
import numpy as np
from betanas.data import ArraySource, register_source

@register_source
class Dots(ArraySource):
    name, classes, in_channels, side = "dots", ("one", "two"), 1, 8

    def read(self, part):
        return np.full((6, 1, 8, 8), 9, dtype=np.uint8), np.arange(6) % 2
"""


@pytest.mark.usefixtures("own_registry")
def test_a_python_file_may_register_a_source(tmp_path: Path) -> None:
    (tmp_path / "dots.py").write_text(SOURCE_FILE)
    for _ in range(2):
        check_source(open_source(tmp_path / "dots.py"))


@pytest.mark.usefixtures("own_registry")
@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 1, 10, 10)), [0, 1, 0, 1], r"must be uint8 .*Got 'float64 of shape \[4, 1, 10, 10\]'"),
        (np.zeros((4, 3, 10, 10), np.uint8), [0, 1, 0, 1], r"shape \[n, 1, height, width\]"),
        (np.zeros((4, 1, 9, 10), np.uint8), [0, 1, 0, 1], r"short side that the source states, 10\. Got 9"),
        (np.zeros((4, 1, 10, 10), np.uint8), [0, 1, 0], r"one for each of 4 images"),
        (np.zeros((4, 1, 10, 10), np.uint8), [0.0, 1.0, 0.0, 1.0], r"whole numbers.*float64"),
        (np.zeros((4, 1, 10, 10), np.uint8), [0, 1, 2, 1], r"between 0 and 1.*Got '0 to 2'"),
    ],
)
def test_arrays_that_are_not_what_the_source_states_are_refused(
    images: np.ndarray, labels: list[int], message: str
) -> None:
    wrong = type("Wrong", (Sketches,), {"name": "wrong", "read": lambda self, part: (images, labels)})
    register_source(wrong)
    with pytest.raises(DataError, match=message):
        open_source("wrong").load("train", 10)


@pytest.mark.usefixtures("own_registry")
def test_a_source_of_one_class_is_refused() -> None:
    register_source(type("One", (Sketches,), {"name": "one", "classes": ("cat",)}))
    with pytest.raises(DataError, match=r"at least two classes to tell apart\. Got \['cat'\]"):
        open_source("one")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifra100", "one of digits, fashion-mnist, cifar10, cifar100 .*Did you mean cifar100?"),
        ("Digits", "Did you mean digits?"),
        ("zzz", "There is no folder of that name either"),
        ("/no/such/folder", r"folder must exist\. Got '/no/such/folder'"),
        ("~/no-such-folder", r"folder must exist\. Got '~/no-such-folder'"),
    ],
)
def test_what_is_neither_a_name_nor_a_folder_is_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(name)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"must be a folder\. Got '.*images\.zip'\. Unpack it"):
        open_source(tmp_path / "images.zip")


def test_a_folder_is_named_by_its_full_path(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder({"digits/cat": 2, "digits/dog": 2})
    monkeypatch.chdir(folder)
    assert open_source("./digits").name == str(folder / "digits")
    assert open_source("digits").name == "digits"


def test_a_source_survives_the_trip_to_a_worker(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder({"train/cat": 3, "train/dog": 3, "test/cat": 1, "test/dog": 1})
    for source in (open_source(folder), open_source("digits")):
        copy = pickle.loads(pickle.dumps(source))
        assert (copy.fingerprint, copy.classes) == (source.fingerprint, source.classes)
        assert load_test(copy, resolution=8).labels.equal(load_test(source, resolution=8).labels)


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import sys, betanas.data; print([m for m in ('torch', 'PIL', 'numpy', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.strip()
    assert "torch" not in loaded
    assert "sklearn" not in loaded
    assert "PIL" not in loaded


def test_a_name_that_the_package_lacks_is_refused() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        from betanas.data import nonsense  # noqa: F401
