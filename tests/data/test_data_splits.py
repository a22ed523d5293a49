from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.data import ArraySource, load_splits, load_test, open_source, prepare
from betanas.data.source import Part
from betanas.data.stratified import hold_out
from betanas.errors import DataError

MakeFolder = Callable[..., Path]


class Noise(ArraySource):
    """Images of so many classes, so many of each."""

    name, in_channels, side = "noise", 3, 8

    def __init__(self, counts: list[int], validation: list[int] | None = None) -> None:
        super().__init__()
        self.classes = tuple(f"class{number}" for number in range(len(counts)))
        self.counts: dict[Part, list[int]] = {"train": counts}
        if validation is not None:
            self.counts["validation"] = validation
            self.parts = ("train", "validation")

    def read(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(len(self.counts[part])), self.counts[part])
        return np.random.default_rng(0).integers(0, 256, (len(labels), 3, 8, 8), dtype=np.uint8), labels


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=12),
    share=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**70),
)
def test_every_class_is_on_both_sides_and_every_image_on_one(counts: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    stay, held = hold_out(labels, share=share, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([stay, held])), np.arange(len(labels)))
    assert (np.diff(stay) > 0).all()
    assert (np.diff(held) > 0).all()
    for label, count in enumerate(counts):
        taken = int((labels[held] == label).sum())
        assert 1 <= taken <= count - 1
        assert abs(taken - share * count) <= 1


def test_the_division_is_the_same_on_every_machine() -> None:
    labels = np.repeat(np.arange(5), [2, 3, 10, 40, 95]).astype(np.int64)
    stay, held = hold_out(labels, share=0.1, seed=0)
    assert held.tolist() == [1, 4, 12, 15, 33, 35, 49, 67, 71, 81, 83, 97, 102, 107, 113, 118, 144]
    assert len(stay) == 133
    _, other = hold_out(np.repeat(np.arange(100), 500).astype(np.int64), share=0.1, seed=12)
    assert hashlib.sha256(other.astype("<i8").tobytes()).hexdigest()[:16] == "e6e5e44ab974b6af"


def test_seeds_divide_differently() -> None:
    labels = np.repeat(np.arange(4), 50).astype(np.int64)
    divisions = {hold_out(labels, share=0.2, seed=seed)[1].tobytes() for seed in range(20)}
    assert len(divisions) == 20


@pytest.mark.parametrize(
    ("share", "seed", "message"), [(0.0, 0, "share"), (1.0, 0, "share"), (float("nan"), 0, "share"), (0.1, -1, "seed")]
)
def test_a_division_that_makes_no_sense_is_refused(share: float, seed: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        hold_out(np.array([0, 0, 1, 1]), share=share, seed=seed)


def test_a_class_with_one_image_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="at least two images"):
        hold_out(np.array([0, 0, 1]), share=0.5, seed=0)


def test_splits_hold_the_images_of_their_labels() -> None:
    source = Noise([20, 10, 5])
    images, labels = source.read("train")
    splits = load_splits(source, resolution=8, seed=5, validation_share=0.2)
    stay, held = hold_out(labels.astype(np.int64), share=0.2, seed=5)
    np.testing.assert_array_equal(splits.train.images.numpy(), images[stay])
    np.testing.assert_array_equal(splits.validation.images.numpy(), images[held])
    assert splits.train.labels.bincount().tolist() == [16, 8, 4]
    assert splits.validation.labels.bincount().tolist() == [4, 2, 1]
    assert splits.classes == source.classes
    assert splits.in_channels == 3


def test_the_division_does_not_depend_on_the_resolution(make_folder: MakeFolder) -> None:
    source = open_source(make_folder({"cat": 12, "dog": 9}, size=(20, 20)))
    small = load_splits(source, resolution=8, seed=1)
    large = load_splits(source, resolution=20, seed=1)
    assert small.train.images.shape[-1] == 9
    assert large.train.images.shape[-1] == 20
    assert small.train.labels.tolist() == large.train.labels.tolist()


def test_a_given_validation_part_needs_no_second_image() -> None:
    splits = load_splits(Noise([1, 3], validation=[2, 2]), resolution=8, seed=0)
    assert (len(splits.train), len(splits.validation)) == (4, 4)


@pytest.mark.parametrize(
    ("counts", "validation", "message"),
    [
        ([5, 1, 5, 5], None, r"at least 2 training images\. Got \"'class1' \(1\)\""),
        ([5, 0, 5, 5], [1, 1, 1, 1], r"at least 1 training images\. Got \"'class1' \(0\)\""),
        ([1, 1, 1, 5], None, r"several images\. Got '3 of 4 classes in noise have fewer than two'.*one folder"),
        ([1, 1, 0, 0], None, r"more classes than images\. Got '4 classes and 2 images in noise'"),
    ],
)
def test_too_few_images_are_refused_by_class(counts: list[int], validation: list[int] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_splits(Noise(counts, validation), resolution=8, seed=0)


def test_preparing_refuses_before_it_decodes(make_folder: MakeFolder) -> None:
    folder = make_folder({"cat": 1, "dog": 9})
    with pytest.raises(DataError, match=r"'cat' \(1\)"):
        prepare(open_source(folder), resolution=12)


def test_preparing_fills_the_cache_but_with_test_images(make_folder: MakeFolder, own_places: Path) -> None:
    folder = make_folder({"train/cat": 3, "train/dog": 3, "test/cat": 3, "test/dog": 3})
    prepare(open_source(folder), resolution=12)
    assert len(list((own_places / "cache" / "decoded").glob("*/images.npy"))) == 1


def test_there_is_no_test_part_where_there_is_none() -> None:
    with pytest.raises(DataError, match=r"must have a test part\. Got 'noise'"):
        load_test(Noise([3, 3]), resolution=8)
