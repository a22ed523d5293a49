from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image

from betanas.data import (
    BrokenImagesWarning,
    ImageSet,
    Splits,
    StreamedImages,
    StreamedSplits,
    load_splits,
    load_test,
    open_source,
    open_splits,
    open_test,
)
from betanas.data.cores import cores
from betanas.data.memory import memory_budget, memory_needed
from betanas.errors import DataError

MakeFolder = Callable[..., Path]


def in_batches(count: int, size: int) -> list[torch.Tensor]:
    return list(torch.arange(count).split(size))


def joined(batches: Iterator[ImageSet]) -> ImageSet:
    parts = list(batches)
    return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder({"train/cat": 60, "train/dog": 55, "test/cat": 6, "test/dog": 7}, size=(20, 16))


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_images_are_those_that_would_be_in_memory(folder: Path, workers: int) -> None:
    source = open_source(folder)
    loaded = load_splits(source, resolution=12, seed=4)
    streamed = open_splits(source, resolution=12, seed=4, budget=1)
    assert isinstance(streamed, StreamedSplits)
    assert (streamed.classes, streamed.in_channels) == (loaded.classes, loaded.in_channels)
    for there, here in ((streamed.train, loaded.train), (streamed.validation, loaded.validation)):
        assert there.shape == tuple(here.images.shape)
        assert there.labels.equal(here.labels)
        read = joined(there.batches(in_batches(len(there), 7), workers=workers))
        assert read.images.equal(here.images)
        assert read.labels.equal(here.labels)


def test_the_order_is_the_one_asked_for_and_may_be_endless(folder: Path) -> None:
    streamed = open_splits(open_source(folder), resolution=12, seed=0, budget=1)
    assert isinstance(streamed, StreamedSplits)

    def order() -> Iterator[list[int]]:
        while True:
            yield [90, 0, 90]
            yield [5]

    batches = list(islice(streamed.train.batches(order(), workers=2), 7))
    assert [len(batch) for batch in batches] == [3, 1, 3, 1, 3, 1, 3]
    assert batches[0].labels.tolist() == [int(streamed.train.labels[row]) for row in (90, 0, 90)]
    assert batches[0].images.equal(batches[6].images)
    assert batches[0].images[0].equal(batches[0].images[2])


def test_streaming_leaves_the_trainings_random_numbers_alone(folder: Path) -> None:
    streamed = open_splits(open_source(folder), resolution=12, seed=0, budget=1)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    list(streamed.train.batches([[0, 1]], workers=1))  # type: ignore[union-attr]
    assert torch.rand(1).equal(expected)


def test_what_fits_is_loaded(folder: Path) -> None:
    source = open_source(folder)
    needed = memory_needed(source, ("train",), 12)
    assert needed == 2 * 115 * 3 * 14 * 14
    assert isinstance(open_splits(source, resolution=12, seed=0, budget=needed), Splits)
    assert isinstance(open_splits(source, resolution=12, seed=0, budget=needed - 1), StreamedSplits)
    assert isinstance(open_splits(source, resolution=12, seed=0), Splits)
    assert isinstance(open_splits(open_source("digits"), resolution=12, seed=0, budget=1), Splits)
    assert memory_budget() > 2**20


def test_processes_that_train_together_share_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betanas.host_memory.available", lambda: 2**30)
    alone = memory_budget(), cores()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert (memory_budget(), cores()) == (alone[0] // 4, max(1, alone[1] // 4))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "100000")
    assert cores() == 1


def test_a_test_part_is_streamed_or_loaded_alike(folder: Path, make_folder: MakeFolder) -> None:
    source = open_source(folder)
    streamed, loaded = open_test(source, resolution=12, budget=1), open_test(source, resolution=12)
    assert isinstance(streamed, StreamedImages)
    assert isinstance(loaded, ImageSet)
    assert joined(streamed.batches(in_batches(13, 5), workers=0)).images.equal(loaded.images)
    assert loaded.images.equal(load_test(source, resolution=12).images)
    (folder / "test").rename(folder / "elsewhere")
    with pytest.raises(DataError, match="must have a test part"):
        open_test(open_source(folder), resolution=12, budget=1)


def test_a_given_validation_part_is_streamed_whole(make_folder: MakeFolder) -> None:
    folder = make_folder({"train/cat": 3, "train/dog": 3, "val/cat": 2, "val/dog": 1})
    streamed = open_splits(open_source(folder), resolution=12, seed=0, budget=1)
    assert isinstance(streamed, StreamedSplits)
    assert (len(streamed.train), streamed.validation.labels.tolist()) == (6, [0, 0, 1])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_leaves_a_training_batch_whole_and_an_evaluation_without_it(folder: Path, workers: int) -> None:
    source = open_source(folder)
    part = source.labels("train")
    (folder / "train" / "cat" / "0003.png").write_bytes(b"broken")
    source = open_source(folder)
    training = StreamedImages(source, "train", 12, keep_size=True)  # type: ignore[arg-type]
    evaluation = StreamedImages(source, "train", 12)  # type: ignore[arg-type]
    with pytest.warns(BrokenImagesWarning, match=r"train/cat/0003\.png \(not an image") as caught:
        trained = joined(training.batches([[2, 3, 4], [3]], workers=workers))
    assert sum(one.category is BrokenImagesWarning for one in caught) == 1
    assert trained.images[1].equal(trained.images[2])
    assert len(trained) == 4
    with pytest.warns(BrokenImagesWarning):
        judged = joined(evaluation.batches(in_batches(len(part), 10), workers=workers))
    assert len(judged) == 114
    assert list(evaluation.batches([[3]], workers=0)) == []  # nothing is left of this batch


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_broken_images_are_refused_by_name(folder: Path, workers: int) -> None:
    for number in (3, 4):
        (folder / "train" / "cat" / f"{number:04}.png").write_bytes(b"")
    streamed = StreamedImages(open_source(folder), "train", 12, keep_size=True)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"At most 1 of these 115.*0003\.png \(the file is empty\).*0004\.png"):
        list(streamed.batches([[3, 50]], workers=workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_images_with_too_many_pixels_are_refused_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    source = open_source(folder)
    streamed = StreamedImages(source, "train", source.stored_side(12))  # type: ignore[arg-type]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"^At most 1 of these 115.*train/cat/0000\.png \(it has too many pixels"):
        list(streamed.batches([[0, 1]], workers=workers))


def test_what_cannot_fit_is_refused_before_it_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("betanas.host_memory.available", lambda: 100_000)
    with pytest.raises(
        DataError, match=r"must fit into the memory\. Got '132\.1 KiB at resolution 12 with 97\.7 KiB free'"
    ):
        load_splits(open_source(folder), resolution=12, seed=0)
