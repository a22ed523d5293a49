from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from betanas.data import BrokenImagesWarning, load_splits, load_test, open_source
from betanas.errors import DataError

MakeFolder = Callable[..., Path]
Draw = Callable[..., Image.Image]


def test_class_folders_alone_are_the_training_part(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"dog": 3, "cat": 2}))
    assert source.classes == ("cat", "dog")
    assert source.parts == ("train",)
    assert (source.size("train"), source.size("validation"), source.size("test")) == (5, 0, 0)
    assert not source.has_test
    assert source.notes == ()
    np.testing.assert_array_equal(source.labels("train"), [0, 0, 1, 1, 1])


def test_images_keep_their_order_and_labels(make_folder: MakeFolder, draw: Draw) -> None:
    source = open_source(make_folder({"cat": 2, "dog": 1}))
    images = source.load("train", 12)
    assert images.labels.tolist() == [0, 0, 1]
    for row, seed in enumerate((3, 10, 3)):
        np.testing.assert_array_equal(images.images[row].numpy(), np.asarray(draw(seed)).transpose(2, 0, 1))


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "TEST"), ("TRAIN", "testing")])
def test_train_and_test_folders_are_parts(make_folder: MakeFolder, train: str, test: str) -> None:
    source = open_source(make_folder({f"{train}/cat": 3, f"{train}/dog": 2, f"{test}/cat": 1, f"{test}/dog": 2}))
    assert source.parts == ("train", "test")
    assert (source.size("train"), source.size("test")) == (5, 3)
    assert load_test(source, resolution=12).labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_given_validation_part_is_taken_whole(make_folder: MakeFolder, name: str) -> None:
    source = open_source(make_folder({"train/cat": 1, "train/dog": 2, f"{name}/cat": 4, f"{name}/dog": 1}))
    assert source.parts == ("train", "validation")
    splits = load_splits(source, resolution=12, seed=0)
    assert (len(splits.train), len(splits.validation)) == (3, 5)
    assert splits.validation.labels.tolist() == [0, 0, 0, 0, 1]


def test_a_class_may_be_called_train(make_folder: MakeFolder) -> None:
    assert open_source(make_folder({"bus": 2, "train": 2, "test": 2})).classes == ("bus", "test", "train")


def test_folders_beside_train_are_passed_over(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"train/cat": 2, "train/dog": 2, "unlabelled": 3}))
    assert (source.parts, source.size("train")) == (("train",), 4)


def test_images_may_lie_deeper_within_a_class(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"cat/2023/may": 2, "cat": 1, "dog": 2}))
    assert source.labels("train").tolist() == [0, 0, 0, 1, 1]


def test_a_folder_that_may_be_one_too_high_is_said(make_folder: MakeFolder) -> None:
    """A search between the names of two data sets is rarely meant."""
    folder = make_folder({f"{name}/{kind}": 2 for name in ("hands", "photos") for kind in ("left", "right")})
    (note,) = open_source(folder).notes
    assert "The classes are hands, photos" in note
    assert f"If the classes are left, right, name the folder they lie in: {folder / 'hands'}." in note
    (folder / "photos" / "0.png").write_bytes((folder / "photos" / "left" / "0000.png").read_bytes())
    assert open_source(folder).notes == ()


def test_what_systems_leave_behind_is_no_class_and_no_image(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 2, "dog": 2, ".ipynb_checkpoints": 1, "__MACOSX/cat": 1, "cat/@eaDir": 1})
    for name in ("README.md", "cat/Thumbs.db", "cat/.DS_Store", "dog/._0000.png", "dog/labels.txt"):
        (folder / name).write_bytes(b"no image")
    source = open_source(folder)
    assert (source.classes, source.size("train")) == (("cat", "dog"), 4)
    assert source.notes == ("3 files that are no images in class folders are left out.",)


def test_test_images_without_labels_are_left_out_with_a_note(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"train/cat": 2, "train/dog": 2, "test": 3}))
    assert not source.has_test
    assert source.notes == ("test holds no class folders, so its images have no labels and are left out.",)


def test_names_in_any_script_are_kept(make_folder: MakeFolder) -> None:
    classes = ("Ünïcode", "日本", "猫 🐈", "ёж")
    folder = make_folder(dict.fromkeys(classes, 2))
    for name in classes:
        (folder / name / "0000.png").rename(folder / name / f"{name} ✓.png")
    source = open_source(folder)
    assert set(source.classes) == set(classes)
    assert source.load("train", 12).images.shape[0] == 8


def test_decomposed_names_are_the_same_classes_and_fingerprint(tmp_path: Path, draw: Draw) -> None:
    sources = []
    for form in ("NFC", "NFD"):
        for name in ("Zoë", "Émile"):
            folder = tmp_path / form / unicodedata.normalize(form, name)
            folder.mkdir(parents=True)
            draw(1).save(folder / unicodedata.normalize(form, "é.png"))
        sources.append(open_source(tmp_path / form))
    assert sources[0].classes == sources[1].classes == ("Zoë", "Émile")
    assert sources[0].fingerprint == sources[1].fingerprint


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_that_are_no_text_can_be_read_and_written_down(tmp_path: Path, draw: Draw) -> None:
    for name in (b"caf\xe9", b"tea"):
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        folder.mkdir()
        draw(1).save(folder / os.fsdecode(b"\xff.png"))
    source = open_source(tmp_path)
    assert json.loads(json.dumps(source.classes)) == ["caf\\xe9", "tea"]
    assert len(source.load("train", 12)) == 2


def test_links_are_followed_but_not_in_circles(make_folder: MakeFolder) -> None:
    folder = make_folder({"elsewhere/cats": 3, "data/dog": 2})
    (folder / "data" / "cat").symlink_to(folder / "elsewhere" / "cats", target_is_directory=True)
    (folder / "data" / "dog" / "again").symlink_to(folder / "data" / "dog", target_is_directory=True)
    (folder / "data" / "dog" / "up").symlink_to("up")
    source = open_source(folder / "data")
    assert source.labels("train").tolist() == [0, 0, 0, 1, 1]


def test_a_link_to_nowhere_is_a_broken_image(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 2, "dog": 2})
    (folder / "cat" / "lost.png").symlink_to("nowhere.png")
    source = open_source(folder)
    assert source.fingerprint
    with pytest.warns(BrokenImagesWarning, match=r"cat/lost\.png \(No such file or directory\)"):
        assert len(source.load("train", 12)) == 4


@pytest.mark.parametrize(("modes", "channels"), [(("L", "1", "LA"), 1), (("L", "RGB", "L"), 3), (("RGBA",), 3)])
def test_channels_are_one_only_where_every_image_is_grey(
    tmp_path: Path, draw: Draw, modes: tuple[str, ...], channels: int
) -> None:
    for number, mode in enumerate(modes * 2):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        draw(number, mode="L").convert(mode).save(tmp_path / f"class{number % 2}" / f"{number}.png")
    for _ in ("found", "remembered"):
        source = open_source(tmp_path)
        assert source.in_channels == channels
    assert source.load("train", 8).images.shape[1] == channels


@pytest.mark.parametrize(
    ("sizes", "resolution", "side"),
    [
        ([(32, 32), (32, 32)], 32, 32),  # small and alike: as they are
        ([(32, 32), (32, 32)], 224, 32),
        ([(32, 32), (32, 32)], 24, 28),
        ([(60, 40), (300, 280)], 32, 37),  # photographs: with room for random crops
        ([(60, 40), (300, 280)], 224, 258),
        ([(60, 40), (30, 28)], 224, 40),  # none is larger
    ],
)
def test_images_are_kept_with_room_for_crops_but_never_larger_than_they_are(
    tmp_path: Path, draw: Draw, sizes: list[tuple[int, int]], resolution: int, side: int
) -> None:
    for number, size in enumerate(sizes):
        (tmp_path / f"class{number}").mkdir()
        draw(number, size).save(tmp_path / f"class{number}" / "0.png")
    for _ in ("found", "remembered"):
        assert open_source(tmp_path).stored_side(resolution) == side
    assert load_shape(tmp_path, side) == (2, 3, side, side)


def load_shape(folder: Path, side: int) -> tuple[int, ...]:
    return tuple(open_source(folder).load("train", side).images.shape)


def test_a_copy_elsewhere_has_the_same_fingerprint(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder({"data/train/cat": 3, "data/train/dog": 2, "data/test/cat": 1, "data/test/dog": 1}) / "data"
    copy = tmp_path / "other" / "place"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    assert open_source(copy).fingerprint == open_source(folder).fingerprint


def change_name(folder: Path) -> None:
    (folder / "train" / "cat" / "0000.png").rename(folder / "train" / "cat" / "new.png")


def change_class(folder: Path) -> None:
    (folder / "train" / "cat" / "0000.png").rename(folder / "train" / "dog" / "new.png")


def change_size(folder: Path) -> None:
    with (folder / "train" / "cat" / "0000.png").open("ab") as file:
        file.write(b"\0")


def change_content(folder: Path) -> None:
    path = folder / "train" / "cat" / "0000.png"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def change_number(folder: Path) -> None:
    (folder / "train" / "dog" / "0001.png").unlink()


@pytest.mark.parametrize("change", [change_name, change_class, change_size, change_content, change_number])
def test_other_training_images_have_another_fingerprint(
    make_folder: MakeFolder, change: Callable[[Path], None]
) -> None:
    folder = make_folder({"train/cat": 3, "train/dog": 2})
    before = open_source(folder).fingerprint
    change(folder)
    assert open_source(folder).fingerprint != before


def test_of_many_files_every_size_is_in_the_fingerprint(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 150, "dog": 2}, size=(6, 6))
    seen = {open_source(folder).fingerprint}
    for number in range(1, 8):  # the contents of 64 files of 152 are looked at: not of all of these
        with (folder / "cat" / f"{number:04}.png").open("ab") as file:
            file.write(b"\0")
        seen.add(open_source(folder).fingerprint)
    assert len(seen) == 8


def test_the_test_part_is_not_in_the_fingerprint(make_folder: MakeFolder) -> None:
    folder = make_folder({"train/cat": 3, "train/dog": 2, "test/cat": 1, "test/dog": 1})
    before = open_source(folder).fingerprint
    make_folder({"test/cat": 5})
    assert open_source(folder).fingerprint == before


def test_a_search_opens_nothing_in_the_test_folder(make_folder: MakeFolder) -> None:
    folder = make_folder({"train/cat": 6, "train/dog": 6, "test/cat": 2, "test/dog": 2})
    # An audit hook sees every file that Python opens and every folder it lists, and cannot be removed: hence a process.
    program = f"""
import os, sys
touched = []
def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith({str(folder / "test")!r}):
            touched.append(path)
sys.addaudithook(watch)
from betanas.data import load_splits, load_test, open_source, prepare
source = open_source({str(folder)!r})
source.fingerprint, source.in_channels
prepare(source, resolution=12)
load_splits(source, resolution=12, seed=0)
before = list(touched)
load_test(source, resolution=12)
print(before)
print(len(touched) - len(before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()
    assert before == str([str(folder / "test")])  # its class folders' names alone, to compare them with train's
    assert int(after) >= 4  # the hook does see what a test evaluation reads


def test_a_test_folder_that_cannot_be_read_does_not_stop_a_search(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder({"train/cat": 3, "train/dog": 3, "test/cat": 2, "test/dog": 2})
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "test":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = open_source(folder)
    assert len(load_splits(source, resolution=12, seed=0).train) == 4
    with pytest.raises(DataError, match="must be readable: Permission denied"):
        load_test(source, resolution=12)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, r"Images must lie in class folders\. Got 'no images in .*DATA/<class>/\*"),
        ({".": 3}, r"Got '3 images without class folders in .*DATA/<class>/\*"),
        ({"train": 2, "test": 2}, r"Got '2 images without class folders in .*train'"),
        ({"test/cat": 2, "val/cat": 2}, r"There must be images to train on\. .*DATA/train/<class>"),
        ({"cat": 0, "dog": 0}, r"There must be images in the class folders"),
        ({"cat": 2, "dog": 0, "cow": 0}, r"Every class folder must hold images\. Got 'none in cow, dog'"),
        ({"cat": 2}, r"at least two classes to tell apart\. Got 'the one folder cat in"),
        ({"pets/cat": 2, "pets/dog": 2}, r"Did you mean .*pets\? It holds 2 folders"),
        ({"train/cat": 2, "train/dog": 2, "val/cat": 1, "valid/cat": 1}, r"one folder\. Got 'val, valid'"),
        (
            {"train/cat": 2, "train/dog": 2, "test/cat": 2, "test/cow": 1},
            r"train and test must have the same classes\. Got 'test lacks dog; train lacks cow'",
        ),
        ({"train/cat": 2, "train/dog": 2, "val/cat": 2, "val/Dog": 1}, r"Got 'val lacks dog; train lacks Dog'"),
        (
            {"caf\u00e9": 2, "cafe\u0301": 2},
            "names must differ in more than how their accents are encoded. Got 'caf\u00e9'",
        ),
    ],
)
def test_a_folder_in_no_layout_is_refused(make_folder: MakeFolder, counts: Mapping[str, int], message: str) -> None:
    with pytest.raises(DataError, match=re.compile(message, re.DOTALL)) as caught:
        open_source(make_folder(counts))
    assert caught.value.exit_code == 2


def test_a_class_may_lack_test_images_if_its_folder_is_there(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"train/cat": 2, "train/dog": 2, "test/cat": 2, "test/dog": 0}))
    assert load_test(source, resolution=12).labels.tolist() == [0, 0]


def test_a_folder_that_cannot_be_listed_is_named(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder({"cat": 2, "dog": 2})
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"must be readable: Permission denied\. Got '.*dog'"):
        open_source(folder)


BROKEN = [
    (b"", "the file is empty"),
    (b"<html>not found</html>", "not an image that Pillow can read"),
    (None, "truncated"),
]


@pytest.mark.parametrize(("content", "reason"), BROKEN)
def test_a_broken_image_among_many_is_left_out_and_named(
    make_folder: MakeFolder, content: bytes | None, reason: str
) -> None:
    folder = make_folder({"cat": 60, "dog": 50}, size=(40, 40))
    path = folder / "cat" / "0007.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    source = open_source(folder)
    for _ in ("decoded", "from the cache"):
        with pytest.warns(BrokenImagesWarning, match=rf"1 of 110 images .*cat/0007\.png \(.*{reason}.*\)") as caught:
            images = source.load("train", 12)
        assert len(caught) == 1
        assert (len(images), images.labels.bincount().tolist()) == (109, [59, 50])


def test_broken_images_do_not_change_the_division(make_folder: MakeFolder, draw: Draw) -> None:
    folder = make_folder({"cat": 60, "dog": 60})
    sound = load_splits(open_source(folder), resolution=12, seed=3)
    (folder / "cat" / "0000.png").write_bytes(b"")
    with pytest.warns(BrokenImagesWarning):
        rest = load_splits(open_source(folder), resolution=12, seed=3)
    lost = np.asarray(draw(3)).transpose(2, 0, 1)
    for before, after in ((sound.train, rest.train), (sound.validation, rest.validation)):
        kept = [
            row for row in range(len(before)) if before.labels[row] or not (before.images[row].numpy() == lost).all()
        ]
        np.testing.assert_array_equal(before.images[kept].numpy(), after.images.numpy())
    assert len(rest.train) + len(rest.validation) == 119


def test_more_than_one_in_a_hundred_broken_images_are_refused_by_name(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 150, "dog": 150})
    for number in (3, 4, 5, 6):
        (folder / "dog" / f"{number:04}.png").write_bytes(b"broken")
    message = r"At most 3 of these 300 images may be unreadable\. Got '4 in .*dog/0003\.png.*dog/0006\.png \("
    with pytest.raises(DataError, match=message):
        open_source(folder).load("train", 12)


def test_a_telephones_pictures_are_not_passed_over(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 2, "dog": 2})
    (folder / "cat" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "cat" / "IMG_2.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"IMG_1\.HEIC \(not an image that Pillow can read\)"):
        open_source(folder).load("train", 12)


def test_a_class_all_of_whose_images_are_broken_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder({"train/cat": 40, "train/dog": 1, "val/cat": 1, "val/dog": 1})
    (folder / "train" / "dog" / "0000.png").write_bytes(b"broken")
    with pytest.warns(BrokenImagesWarning), pytest.raises(DataError, match=r"readable training image.*'dog'"):
        load_splits(open_source(folder), resolution=12, seed=0)


def test_one_image_with_too_many_pixels_is_left_out_and_named(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder({"cat": 200, "dog": 2})
    Image.new("RGB", (100, 100)).save(folder / "dog" / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    source = open_source(folder)
    assert source.stored_side(64) == 12
    with pytest.warns(BrokenImagesWarning, match=r"1 of 203 images .*dog/bomb\.png \(it has too many pixels"):
        assert len(source.load("train", 12)) == 202


def test_progress_is_told(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"cat": 100, "dog": 40}))
    told: list[tuple[int, int]] = []
    source.decoded("train", 12, lambda done, count: told.append((done, count)))
    assert told == [(64, 140), (128, 140), (140, 140)]


def test_sound_images_raise_no_warning(make_folder: MakeFolder) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_splits(open_source(make_folder({"cat": 4, "dog": 4})), resolution=12, seed=0)
