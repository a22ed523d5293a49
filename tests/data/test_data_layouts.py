from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from betanas.data import load_splits, load_test, open_source
from betanas.errors import DataError

MakeFolder = Callable[..., Path]
Draw = Callable[..., Image.Image]

WNIDS = ("n01440764", "n02085620", "n03000247")


@pytest.fixture
def put(tmp_path: Path, draw: Draw) -> Callable[[str, int], None]:
    """Saves a picture, which its number tells from others, under a path."""

    def _put(path: str, number: int) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        draw(number).save(tmp_path / path, "PNG")

    return _put


def which(source: Any, draw: Draw, part: str) -> list[tuple[int, str]]:
    """Which picture has which class, in the order of the pictures' numbers."""
    images = source.load(part, 12)
    known = {np.asarray(draw(number)).transpose(2, 0, 1).tobytes(): number for number in range(80)}
    numbers = [known[image.numpy().tobytes()] for image in images.images]
    return sorted(zip(numbers, [source.classes[label] for label in images.labels], strict=True))


def imagenet_train(put: Callable[[str, int], None], base: str = ".") -> None:
    for number, wnid in enumerate(WNIDS * 2):
        put(f"{base}/train/{wnid}/{wnid}_{number}.JPEG", number)


def write_devkit(folder: Path, truth: list[int]) -> None:
    """As in ILSVRC2012_devkit_t12: numbers of the kit's own, not in the order of the WordNet numbers."""
    (folder / "data").mkdir(parents=True)
    synsets = np.zeros(4, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")])
    for row, (number, wnid) in enumerate([(1, WNIDS[2]), (2, WNIDS[0]), (3, WNIDS[1]), (1001, "n00001740")]):
        synsets[row] = (number, wnid, "some, words", int(number > 1000))
    savemat(folder / "data" / "meta.mat", {"synsets": synsets.reshape(-1, 1)})
    text = "".join(f"{number}\n" for number in truth)
    (folder / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text(text)


def test_imagenet_with_a_flat_val_takes_labels_from_the_development_kit(
    tmp_path: Path, put: Callable[[str, int], None], draw: Draw
) -> None:
    imagenet_train(put)
    for row in range(1, 5):
        put(f"val/ILSVRC2012_val_{row:08}.JPEG", 50 + row)
    write_devkit(tmp_path / "ILSVRC2012_devkit_t12", [3, 1, 2, 1])
    source = open_source(tmp_path)
    assert source.classes == WNIDS
    assert source.parts == ("train", "test")
    assert "val is taken as the test part" in source.notes[0]
    assert which(source, draw, "test") == [(51, WNIDS[1]), (52, WNIDS[2]), (53, WNIDS[0]), (54, WNIDS[2])]
    assert which(source, draw, "train") == [(number, WNIDS[number % 3]) for number in range(6)]


def test_imagenet_with_val_in_class_folders(tmp_path: Path, put: Callable[[str, int], None], draw: Draw) -> None:
    imagenet_train(put)
    for number, wnid in enumerate(WNIDS):
        put(f"val/{wnid}/ILSVRC2012_val_{number:08}.JPEG", 50 + number)
    put("test/ILSVRC2012_test_00000001.JPEG", 70)  # published without labels
    source = open_source(tmp_path)
    assert source.parts == ("train", "test")
    assert which(source, draw, "test") == [(50 + number, wnid) for number, wnid in enumerate(WNIDS)]
    assert len(load_splits(source, resolution=12, seed=0).validation) == 3


def test_imagenet_as_kaggle_packs_it(tmp_path: Path, put: Callable[[str, int], None], draw: Draw) -> None:
    base = "ILSVRC/Data/CLS-LOC"
    imagenet_train(put, base)
    lines = ["ImageId,PredictionString"]
    for number, wnid in enumerate(reversed(WNIDS)):
        put(f"{base}/val/ILSVRC2012_val_{number:08}.JPEG", 50 + number)
        lines.append(f"ILSVRC2012_val_{number:08},{wnid} 1 2 3 4 {wnid} 5 6 7 8 ")
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(lines))
    source = open_source(tmp_path)
    assert which(source, draw, "test") == [(50 + number, wnid) for number, wnid in enumerate(reversed(WNIDS))]


def test_tiny_imagenet(tmp_path: Path, put: Callable[[str, int], None], draw: Draw) -> None:
    for number, wnid in enumerate(WNIDS * 2):
        put(f"train/{wnid}/images/{wnid}_{number}.JPEG", number)
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    lines = []
    for number, wnid in enumerate(WNIDS):
        put(f"val/images/val_{number}.JPEG", 50 + number)
        lines.append(f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(lines))
    put("test/images/test_0.JPEG", 70)
    source = open_source(tmp_path)
    assert source.size("train") == 6
    assert which(source, draw, "test") == [(50 + number, wnid) for number, wnid in enumerate(WNIDS)]


def test_wordnet_folders_with_val_and_test_are_ordinary_parts(put: Callable[[str, int], None], tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for number, wnid in enumerate(WNIDS):
            put(f"{part}/{wnid}/{number}.JPEG", number)
    assert open_source(tmp_path).parts == ("train", "validation", "test")


def test_imagenets_train_alone_has_no_test_part(put: Callable[[str, int], None], tmp_path: Path) -> None:
    imagenet_train(put)
    assert open_source(tmp_path).parts == ("train",)


def test_a_flat_val_without_labels_says_where_they_are(put: Callable[[str, int], None], tmp_path: Path) -> None:
    imagenet_train(put)
    put("val/ILSVRC2012_val_00000001.JPEG", 50)
    source = open_source(tmp_path)
    with pytest.raises(DataError, match=r"labels of ImageNet's val must be there.*ILSVRC2012_devkit_t12\.tar\.gz"):
        load_test(source, resolution=12)
    write_devkit(tmp_path / "devkit", [1])
    assert load_test(source, resolution=12).labels.tolist() == [2]


@pytest.mark.parametrize(("line", "what"), [("val_9.JPEG\tn01440764\t0", "no label"), ("val_0.JPEG\tn09\t0", "n09")])
def test_a_val_image_without_a_known_label_is_named(
    put: Callable[[str, int], None], tmp_path: Path, line: str, what: str
) -> None:
    imagenet_train(put)
    put("val/images/val_0.JPEG", 50)
    (tmp_path / "val" / "val_annotations.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=rf"Got 'val/images/val_0\.JPEG: {what}'"):
        load_test(open_source(tmp_path), resolution=12)


@pytest.mark.parametrize("folder", ["256_ObjectCategories", "."])
def test_caltech256(tmp_path: Path, put: Callable[[str, int], None], draw: Draw, folder: str) -> None:
    for number, category in enumerate(["001.ak47", "002.american-flag", "056.dog", "257.clutter"] * 2):
        put(f"{folder}/{category}/{category[:3]}_{number:04}.jpg", number)
    put(f"{folder}/056.dog/greg/vision309/056_0030.jpg", 60)
    (tmp_path / folder / "056.dog" / "RENAME2").write_text("")
    source = open_source(tmp_path)
    assert source.classes == ("ak47", "american-flag", "dog")
    assert source.notes == ("257.clutter is no class and is left out.",)
    expected = [(0, "ak47"), (1, "american-flag"), (2, "dog"), (4, "ak47"), (5, "american-flag"), (6, "dog")]
    assert which(source, draw, "train") == expected
    assert not source.has_test


CARS = np.array(["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van 2012"], dtype=object)


def write_annotations(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    count = len(next(iter(columns.values())))
    rows = np.zeros(count, dtype=[(name, "O") for name in columns])
    for name, values in columns.items():
        rows[name] = values
    savemat(path, {"annotations": rows, **({"class_names": CARS} if path.name == "cars_annos.mat" else {})})


def test_stanford_cars(tmp_path: Path, put: Callable[[str, int], None], draw: Draw) -> None:
    savemat_meta(tmp_path)
    for number in range(6):
        put(f"cars_train/{number:05}.jpg", number)
    for number in range(3):
        put(f"cars_test/{number:05}.jpg", 50 + number)
    write_annotations(
        tmp_path / "devkit" / "cars_train_annos.mat",
        bbox_x1=[1] * 6,
        **{"class": [3, 1, 2, 1, 2, 3], "fname": [f"{number:05}.jpg" for number in range(6)]},
    )
    source = open_source(tmp_path)
    assert source.classes == tuple(CARS)
    assert not source.has_test
    assert "cars_test_annos_withlabels.mat" in source.notes[0]
    assert which(source, draw, "train") == [
        (number, CARS[label - 1]) for number, label in enumerate([3, 1, 2, 1, 2, 3])
    ]
    write_annotations(
        tmp_path / "cars_test_annos_withlabels.mat",
        **{"class": [2, 3, 1], "fname": [f"{number:05}.jpg" for number in range(3)]},
    )
    source = open_source(tmp_path)
    assert which(source, draw, "test") == [(50, CARS[1]), (51, CARS[2]), (52, CARS[0])]


def savemat_meta(folder: Path) -> None:
    (folder / "devkit").mkdir(exist_ok=True)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": CARS})


def test_stanford_cars_with_the_older_annotations(tmp_path: Path, put: Callable[[str, int], None], draw: Draw) -> None:
    for number in range(6):
        put(f"car_ims/{number:06}.jpg", number)
    write_annotations(
        tmp_path / "cars_annos.mat",
        relative_im_path=[f"car_ims/{number:06}.jpg" for number in range(6)],
        **{"class": [1, 2, 3, 3, 2, 1], "test": [0, 0, 0, 1, 1, 0]},
    )
    source = open_source(tmp_path)
    assert which(source, draw, "train") == [(0, CARS[0]), (1, CARS[1]), (2, CARS[2]), (5, CARS[0])]
    assert which(source, draw, "test") == [(3, CARS[2]), (4, CARS[1])]


def test_damaged_annotations_are_named(tmp_path: Path) -> None:
    savemat_meta(tmp_path)
    with pytest.raises(DataError, match=r"must be readable.*cars_train_annos\.mat"):
        open_source(tmp_path)
    (tmp_path / "devkit" / "cars_train_annos.mat").write_bytes(b"no MATLAB file" * 40)
    with pytest.raises(DataError, match=r"must be readable.*cars_train_annos\.mat"):
        open_source(tmp_path)


def write_labels(path: Path, rows: list[tuple[str, str, str, float]]) -> None:
    lines = ["ImageID,Source,LabelName,Confidence", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def open_images_rows(first: int, count: int) -> list[tuple[str, str, str, float]]:
    """Every picture is verified to show an animal; even ones a cat, odd ones a dog."""
    rows = []
    for number in range(first, first + count):
        name = f"{number:016x}"
        rows.append((name, "verification", "/m/animal", 1.0))
        rows.append((name, "verification", "/m/cat" if number % 2 == 0 else "/m/dog", 1.0))
        rows.append((name, "verification", "/m/car", 0.0))  # verified not to be there
    return rows


@pytest.fixture
def open_images(tmp_path: Path, put: Callable[[str, int], None]) -> Path:
    for number in range(24):
        put(f"train/{number:016x}.jpg", number)
    for number in range(30, 34):
        put(f"validation/{number:016x}.jpg", number)
        put(f"test/{number + 10:016x}.jpg", number + 10)
    write_labels(tmp_path / "oidv6-train-annotations-human-imagelabels.csv", open_images_rows(0, 28))
    write_labels(tmp_path / "validation-annotations-human-imagelabels.csv", open_images_rows(30, 4))
    write_labels(tmp_path / "test-annotations-human-imagelabels.csv", open_images_rows(40, 4))
    (tmp_path / "oidv7-class-descriptions.csv").write_text("LabelName,DisplayName\n/m/cat,Cat\n/m/dog,Dog\n")
    return tmp_path


def test_open_images_takes_the_most_specific_verified_label(open_images: Path, draw: Draw) -> None:
    source = open_source(open_images)
    assert source.classes == ("Cat", "Dog")
    assert source.parts == ("train", "validation", "test")
    assert which(source, draw, "train") == [(number, ("Cat", "Dog")[number % 2]) for number in range(24)]
    assert which(source, draw, "validation") == [(30, "Cat"), (31, "Dog"), (32, "Cat"), (33, "Dog")]
    assert which(source, draw, "test") == [(40, "Cat"), (41, "Dog"), (42, "Cat"), (43, "Dog")]


def test_open_images_prefers_people_to_machines_and_then_the_more_confident(open_images: Path, draw: Draw) -> None:
    machine = [(f"{number:016x}", "machine", "/m/robot", 0.9) for number in range(10, 24)]
    machine += [(f"{number:016x}", "machine", "/m/robot", 0.9) for number in range(50, 64)]
    machine += [(f"{number:016x}", "machine", "/m/dog", 0.7) for number in range(50, 54)]
    for number in range(50, 64):
        draw(number).save(open_images / "train" / f"{number:016x}.jpg", "PNG")
    write_labels(open_images / "train-annotations-machine-imagelabels.csv", machine)
    source = open_source(open_images)
    assert source.classes == ("Cat", "Dog", "/m/robot")
    expected = [(number, ("Cat", "Dog")[number % 2]) for number in range(24)]
    assert which(source, draw, "train") == [*expected, *((number, "/m/robot") for number in range(50, 64))]


def test_open_images_leaves_out_rare_labels_and_images_without_another(open_images: Path, draw: Draw) -> None:
    rare = [(f"{number:016x}", "verification", "/m/rare", 1.0) for number in range(60, 63)]
    for number in range(60, 63):
        draw(number).save(open_images / "train" / f"{number:016x}.jpg", "PNG")
    write_labels(open_images / "more-train-labels.csv", rare)
    source = open_source(open_images)
    assert source.classes == ("Cat", "Dog")
    assert source.size("train") == 24
    assert source.notes == (
        "Labels with fewer than 10 training images are left out: 2.",
        "Training images without another label are left out: 3.",
    )


def test_open_images_names_that_are_shared_carry_their_label(open_images: Path) -> None:
    (open_images / "oidv7-class-descriptions.csv").write_text("/m/cat,Crane\n/m/dog,Crane\n")
    assert open_source(open_images).classes == ("Crane (/m/cat)", "Crane (/m/dog)")


def test_open_images_without_images_or_enough_of_them_is_refused(open_images: Path) -> None:
    (open_images / "train").rename(open_images / "elsewhere")
    with pytest.raises(DataError, match=r"train images must lie beside their labels.*Put them into .*train"):
        open_source(open_images)
    (open_images / "train").mkdir()
    with pytest.raises(DataError, match="At least two labels must have 10 training images each"):
        open_source(open_images)


def test_a_damaged_line_of_open_images_labels_is_named(open_images: Path) -> None:
    with (open_images / "oidv6-train-annotations-human-imagelabels.csv").open("a") as file:
        file.write("0000,verification\n")
    with pytest.raises(DataError, match=r"Got '0000,verification in .*human-imagelabels\.csv, line \d+'"):
        open_source(open_images)


def write_shard(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def sample(draw: Draw) -> Callable[[int, str], dict[str, bytes]]:
    def _sample(number: int, label: str) -> dict[str, bytes]:
        buffer = io.BytesIO()
        draw(number).save(buffer, "PNG")
        return {f"{number:06}.cls": label.encode(), f"{number:06}.png": buffer.getvalue(), f"{number:06}.json": b"{}"}

    return _sample


Sample = Callable[[int, str], dict[str, bytes]]


@pytest.mark.parametrize("folders", [True, False])
def test_tar_shards(tmp_path: Path, sample: Sample, draw: Draw, folders: bool) -> None:
    def name(part: str, number: int) -> str:
        return f"{part}/{number:04}.tar" if folders else f"animals-{part}-{number:04}.tar"

    for shard in range(2):
        members = [sample(10 * shard + row, str(row % 2 * 9 + 1)) for row in range(4)]
        write_shard(tmp_path / name("train", shard), {k: v for member in members for k, v in member.items()})
    write_shard(tmp_path / name("val", 0), sample(50, "10") | sample(51, "1"))
    write_shard(tmp_path / name("test", 0), sample(60, "1"))
    for _ in ("scanned", "remembered"):
        source = open_source(tmp_path)
        assert source.parts == ("train", "validation", "test")
        assert source.classes == ("1", "10")
    expected = [(10 * shard + row, ("1", "10")[row % 2]) for shard in range(2) for row in range(4)]
    assert which(source, draw, "train") == expected
    assert which(source, draw, "validation") == [(50, "10"), (51, "1")]
    assert which(source, draw, "test") == [(60, "1")]


def test_shards_without_a_part_in_their_names_are_trained_on(tmp_path: Path, sample: Sample, draw: Draw) -> None:
    write_shard(tmp_path / "000.tar", sample(1, "cat") | sample(2, "dog"))
    (tmp_path / "classes.txt").unlink(missing_ok=True)
    source = open_source(tmp_path)
    assert which(source, draw, "train") == [(1, "cat"), (2, "dog")]
    assert source.files("train").name(0).startswith("000.tar at byte ")  # type: ignore[attr-defined]


def test_shards_classes_may_be_named(tmp_path: Path, sample: Sample) -> None:
    write_shard(tmp_path / "train.tar", sample(1, "2") | sample(2, "0"))
    (tmp_path / "classes.txt").write_text("cat\ndog\nüber\n")
    assert open_source(tmp_path).classes == ("cat", "über")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"Line n of classes\.txt must name class n.*Got '2 lines"):
        open_source(tmp_path)


def test_shards_that_are_damaged_or_lack_something_are_named(tmp_path: Path, sample: Sample) -> None:
    write_shard(tmp_path / "val.tar", sample(1, "0"))
    with pytest.raises(DataError, match=r"shards to train on.*train-0000\.tar"):
        open_source(tmp_path)
    (tmp_path / "train.tar").write_bytes(b"no tar file" * 100)
    with pytest.raises(DataError, match=r"readable tar file: .*train\.tar"):
        open_source(tmp_path)
    unlabelled = sample(1, "0") | sample(2, "1")
    del unlabelled["000002.cls"]
    write_shard(tmp_path / "train.tar", unlabelled)
    with pytest.raises(DataError, match=r"must have a label beside it.*Got '000002 in .*train\.tar'"):
        open_source(tmp_path)
    write_shard(tmp_path / "train.tar", sample(1, "7") | sample(2, "8"))
    with pytest.raises(DataError, match=r"labels of the training shards\. Got '0'"):
        open_source(tmp_path)


def test_a_changed_shard_is_another_fingerprint(tmp_path: Path, sample: Sample) -> None:
    write_shard(tmp_path / "train.tar", sample(1, "0") | sample(2, "1"))
    before = open_source(tmp_path).fingerprint
    write_shard(tmp_path / "train.tar", sample(1, "0") | sample(3, "1"))
    assert open_source(tmp_path).fingerprint != before
