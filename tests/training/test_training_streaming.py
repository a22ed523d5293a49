"""Training on images that stay on disk: the same batches, results and errors as with images in memory."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from betanas import search
from betanas.cli.main import run as run_betanas
from betanas.data import StreamedImages, StreamedSplits, load_splits, open_source, open_splits
from betanas.training.augmentation import Augmentation, Standardise
from betanas.training.batches import ALONE, BatchStream, Share
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.recipe import load_recipe
from betanas.training.result import TrialResult

CLASSES = ("circle", "cross", "stripe")
IMAGES = 40
RECIPE = load_recipe("fast").with_settings(
    batch_size=20, progressive_start=0.7, brightness=0.2, interim_images=7, evaluations=3, dtype="float32"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 40 noisy grey pictures each, and a test part, in files."""
    folder = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", IMAGES), ("test", 5)):
        for label, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                noise = np.random.default_rng(zlib.crc32(f"{part} {name} {number}".encode()))
                pixels = noise.integers(0, 120, (24, 24))
                pixels[:, label * 8 : label * 8 + 8] += 100
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{number:03}.png")
    return folder


def streamed_splits(folder: Path) -> StreamedSplits:
    splits = open_splits(open_source(folder), resolution=24, seed=0, budget=1)
    assert isinstance(splits, StreamedSplits)
    return splits


def stream_of(images, *, seed: int = 5, batch_size: int = 20, share: Share = ALONE) -> BatchStream:
    sample = images.sample(10**6) if isinstance(images, StreamedImages) else images
    augmentation = Augmentation(RECIPE, Standardise(sample.images, RECIPE), side=images.shape[-1])
    return BatchStream(images, augmentation, batch_size=batch_size, seed=seed, share=share)


def test_a_stream_gives_the_batches_that_images_in_memory_give(folder: Path):
    there = stream_of(streamed_splits(folder).train)
    here = stream_of(load_splits(open_source(folder), resolution=24, seed=0).train)
    assert there.steps_per_epoch == here.steps_per_epoch == 5
    for size in (16, 16, 24, 24, 24, 24, 16):  # past the end of a pass, and through several resolutions
        (images, labels), (expected, expected_labels) = there.next(size), here.next(size)
        assert images.shape == (20, 1, size, size)
        assert images.equal(expected)
        assert labels.equal(expected_labels)
    there.close()


def test_a_stream_goes_on_where_another_stood_however_far_it_had_read_ahead(folder: Path):
    train = streamed_splits(folder).train
    original = stream_of(train)
    for _ in range(7):
        original.next(16)
    state = original.state_dict()
    expected = [original.next(16) for _ in range(2)]
    resumed = stream_of(train, seed=6)
    resumed.next(16)
    resumed.load_state_dict(state)
    for images, labels in expected:
        found, found_labels = resumed.next(16)
        assert found.equal(images)
        assert found_labels.equal(labels)
    for each in (original, resumed):
        each.close()


def test_processes_share_a_stream_without_overlap(folder: Path):
    train = streamed_splits(folder).train
    together = stream_of(train)
    parts = [stream_of(train, batch_size=10, share=Share(rank, 2)) for rank in range(2)]
    for _ in range(6):
        images, labels = together.next(16)
        halves = [part.next(16) for part in parts]
        assert torch.cat([own for _, own in halves]).equal(labels)
        torch.testing.assert_close(torch.cat([own for own, _ in halves]), images)
    for each in (together, *parts):
        each.close()


def without_times(result: TrialResult) -> dict:
    plain = result.to_dict()
    for name in ("training_seconds", "wall_seconds", "preparation_seconds", "images_per_second", "peak_memory"):
        plain.pop(name)
    plain["curve"] = [{**point, "seconds": 0.0} for point in plain["curve"]]
    return plain


def test_a_trial_on_a_stream_is_the_trial_on_images_in_memory(folder: Path, wider):
    loaded = load_splits(open_source(folder), resolution=24, seed=0)
    blueprint = wider(16, resolution=24, num_classes=3)
    before = set(psutil.Process().children(recursive=True))
    results = []
    for splits in (streamed_splits(folder), loaded):
        engine = TrialEngine(splits, resolution=24, recipe=RECIPE, device="cpu")
        results.append(engine.run(blueprint, budget=Budget.parse("4epochs"), seed=1))
    assert results[0].outcome == "completed", results[0].reason
    assert len(results[0].curve) == 3
    assert without_times(results[0]) == without_times(results[1])
    assert set(psutil.Process().children(recursive=True)) <= before


class Slow(StreamedImages):
    """Images from a slow disk."""

    def batches(self, *arguments, **settings) -> Iterator:
        for batch in super().batches(*arguments, **settings):
            time.sleep(0.1)
            yield batch


def test_waiting_for_images_is_training_time(folder: Path, wider):
    splits = streamed_splits(folder)
    splits.train.__class__ = Slow
    engine = TrialEngine(splits, resolution=24, recipe=RECIPE, device="cpu")
    result = engine.run(wider(16, resolution=24, num_classes=3), budget=Budget.parse("8steps"), seed=1)
    assert result.steps == 8
    assert result.training_seconds >= 7 * 0.1  # the first batch is there when the clock starts


def test_images_that_break_under_a_training_end_it_with_their_names(folder: Path, wider):
    splits = streamed_splits(folder)
    engine = TrialEngine(splits, resolution=24, recipe=RECIPE, device="cpu")
    broken = sorted((folder / "train" / "cross").iterdir())[:8]
    before = [path.read_bytes() for path in broken]
    try:
        for path in broken:
            path.write_bytes(b"broken")
        result = engine.run(wider(16, resolution=24, num_classes=3), budget=Budget.parse("2epochs"), seed=1)
    finally:
        for path, content in zip(broken, before, strict=True):
            path.write_bytes(content)
    assert (result.outcome, result.cause) == ("failed", "data")
    assert "train/cross/" in result.reason


def test_a_process_that_decodes_and_is_killed_ends_the_trial_and_no_more(folder: Path, wider):
    engine = TrialEngine(streamed_splits(folder), resolution=24, recipe=RECIPE, device="cpu")
    blueprint = wider(16, resolution=24, num_classes=3)
    others = set(psutil.Process().children())

    def kill(_) -> bool:
        for child in set(psutil.Process().children()) - others:
            child.kill()
        return True

    result = engine.run(blueprint, budget=Budget.parse("100steps"), seed=1, on_point=kill)
    assert (result.outcome, result.cause) == ("failed", "data")
    assert re.search(r"DataLoader worker|processes that read|process that decodes", result.reason)
    assert engine.run(blueprint, budget=Budget.parse("4steps"), seed=1).outcome == "completed"


def test_a_sample_is_spread_over_the_classes(folder: Path):
    train = streamed_splits(folder).train
    assert train.sample(9).labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(train.sample(1000)) == len(train) == 108
    assert train.subset(torch.tensor([107, 0])).labels.tolist() == [2, 0]


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch):
    """The images do not fit: whoever asks is to stream them."""
    return lambda: monkeypatch.setattr("betanas.data.memory.memory_budget", lambda: 1)


def test_train_and_compare_stream_what_does_not_fit(folder: Path, tmp_path: Path, no_memory, capsys):
    def run(command: str, place: str, *arguments: str) -> dict:
        sizes = ("--data", str(folder), "--resolution", "16", "--budget", "4steps", "--device", "cpu")
        assert run_betanas([command, "betanet3", "--folder", str(tmp_path / place), *sizes, *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    resident = run("train", "resident"), run("compare", "compared", "--seeds", "1", "--executor", "inline")
    no_memory()
    streamed = run("train", "streamed"), run("compare", "streamed-too", "--seeds", "1")
    for name in ("top1", "test_top1", "steps", "epochs"):
        assert streamed[0][name] == resident[0][name]
    assert streamed[0]["test_top1"] is not None
    assert streamed[1]["table"][0]["top1"] == resident[1]["table"][0]["top1"]
    sidecar = json.loads((tmp_path / "streamed" / "network.json").read_text())
    assert (sidecar["classes"], sidecar["in_channels"]) == (list(CLASSES), 1)


def test_a_search_streams_what_does_not_fit(folder: Path, tmp_path: Path, no_memory, monkeypatch):
    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path / "cache"))
    no_memory()
    with search(
        data=str(folder),
        study=str(tmp_path / "study"),
        strategy="sobol",
        executor="inline",
        devices=("cpu",),
        resolution=16,
        budget="2steps",
        trials=1,
        max_params=300_000,
    ) as study:
        (trial,) = study.trials()
        assert (trial.state, study.plan.data_fingerprint) == ("completed", open_source(folder).fingerprint)
    assert list(tmp_path.glob("cache/facts/*"))
    assert not list(tmp_path.rglob("images.npy"))


def test_images_too_many_for_the_device_stay_in_the_machines_memory(digits, quick, blueprint, monkeypatch):
    expected = TrialEngine(digits, resolution=8, recipe=quick, device="cpu")
    monkeypatch.setattr("betanas.training.engine.free_memory", lambda device: 1.0)
    engine = TrialEngine(digits, resolution=8, recipe=quick, device="cpu")
    assert engine.material.train is digits.train
    budget = Budget.parse("6steps")
    assert without_times(engine.run(blueprint, budget=budget, seed=2)) == without_times(
        expected.run(blueprint, budget=budget, seed=2)
    )


def test_batches_of_images_in_memory_come_in_the_order_asked_for(digits):
    order = [torch.tensor([3, 1]), torch.tensor([7])]
    batches = list(islice(digits.train.batches(order, device="cpu"), 5))
    assert [batch.labels.tolist() for batch in batches] == [digits.train.labels[rows].tolist() for rows in order]
    assert digits.train.shape == (1400, 1, 8, 8)
