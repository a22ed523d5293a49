from __future__ import annotations

import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from betanas.errors import RecipeError
from betanas.files import write_atomically
from betanas.training.budget import Budget
from betanas.training.checkpoint import load_checkpoint, save_checkpoint
from betanas.training.evaluation import evaluate, score_of
from betanas.training.files import write_json
from betanas.training.kept import NETWORK, SIDECAR
from betanas.training.recipe import load_recipe

WORKER = Path(__file__).with_name("long_worker.py")
spec = importlib.util.spec_from_file_location("long_worker", WORKER)
long_worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(long_worker)


@pytest.fixture(scope="module")
def job(digits, blueprint, quick) -> dict:
    recipe = quick.with_settings(evaluations="epoch", stochastic_depth=1.0, brightness=0.2, dtype="float32")
    return {"splits": digits, "blueprint": blueprint, "recipe": recipe}


@pytest.fixture(scope="module")
def uninterrupted(job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = long_worker.train(job, folder)
    torch.set_num_threads(threads)
    return folder, result


def without_times(result) -> dict:
    plain = asdict(result)
    for name in ("training_seconds", "wall_seconds", "preparation_seconds", "images_per_second", "peak_memory"):
        plain.pop(name)
    plain["curve"] = [{**point, "seconds": 0.0} for point in plain["curve"]]
    return plain


def test_a_network_is_trained_judged_and_stored(uninterrupted, job, digits):
    folder, result = uninterrupted
    assert (result.ending, result.steps, result.epochs, len(result.curve)) == ("budget", 140, 5.0, 5)
    assert result.top1 == max(point.accuracy for point in result.curve) > 0.8
    # The "test" images are the validation images here, so the two judgements must be one.
    assert result.test_top1 == pytest.approx(result.top1)
    assert sorted(path.name for path in folder.iterdir()) == [SIDECAR, NETWORK, "plan.json", "result.json"]
    network = job["blueprint"].build().eval()
    network.load_state_dict(load_file(folder / NETWORK))
    sidecar = json.loads((folder / SIDECAR).read_text())
    assert sidecar["classes"] == list(digits.classes)
    assert (sidecar["in_channels"], sidecar["resolution"]) == (1, 8)
    scale, offset = (torch.tensor(sidecar[name])[:, None, None] for name in ("scale", "offset"))
    sums = evaluate(network, digits.validation, standardise=lambda images: images * scale + offset, resolution=8)
    assert score_of(sums, num_classes=10).top1 == pytest.approx(result.top1)


@pytest.mark.parametrize("after", [1, 3])
def test_killed_and_resumed_it_ends_with_the_same_numbers(job, uninterrupted, tmp_path, after):
    (tmp_path / "job.pickle").write_bytes(pickle.dumps(job))
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(WORKER), str(tmp_path / "job.pickle"), str(folder), str(after + 1)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 600
    while _step(folder) < 28 * after:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 28 * after <= _step(folder) < 140
    resumed = long_worker.train(job, folder)
    assert without_times(resumed) == without_times(uninterrupted[1])
    ours, theirs = (load_file(each / NETWORK) for each in (folder, uninterrupted[0]))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _step(folder: Path) -> int:
    sidecar = folder / "checkpoint.json"
    return json.loads(sidecar.read_text())["step"] if sidecar.exists() else 0


def test_a_finished_training_gives_its_result_again(uninterrupted, job):
    folder, result = uninterrupted
    assert long_worker.train(job, folder) == result, "its times too, which training again would change"


def test_another_plan_in_the_same_folder_is_refused(uninterrupted, job):
    with pytest.raises(RecipeError, match="another budget and seed"):
        long_worker.train(job, uninterrupted[0], budget=Budget.parse("6epochs"), seed=4)


def test_without_progress_training_ends_early(job, tmp_path):
    still = {**job, "recipe": job["recipe"].with_settings(learning_rate=1e-12, average_span=0.0, warmup=0.0)}
    result = long_worker.train(still, tmp_path, patience=2, budget=Budget.parse("30epochs"))
    assert result.ending == "patience"
    assert result.epochs < 30
    assert result.best_step == result.steps - 2 * 28


def test_a_training_that_diverges_publishes_nothing(job, tmp_path):
    wild = {**job, "recipe": job["recipe"].with_settings(learning_rate=1e30, optimizer="sgd", warmup=0.0)}
    result = long_worker.train(wild, tmp_path)
    assert (result.outcome, result.cause, result.ending) == ("failed", "non_finite", "")
    assert not (tmp_path / NETWORK).exists()


def test_the_papers_plateau_resumes_too(job, tmp_path):
    paper = {**job, "recipe": load_recipe("paper")}
    whole = long_worker.train(paper, tmp_path / "whole", budget=Budget.parse("3epochs"))

    class StopError(Exception):
        pass

    def stop(_) -> None:
        raise StopError

    folder = tmp_path / "stopped"
    long_worker.time.sleep, sleep = stop, time.sleep
    try:
        for _ in range(2):
            with pytest.raises(StopError):
                long_worker.train(paper, folder, budget=Budget.parse("3epochs"))
    finally:
        long_worker.time.sleep = sleep
    assert without_times(long_worker.train(paper, folder, budget=Budget.parse("3epochs"))) == without_times(whole)


def test_a_checkpoint_replaces_the_one_before_and_survives_a_torn_successor(tmp_path):
    state = {"tensors": [torch.arange(3), torch.tensor(2.5)], 7: {"plain": [1, None, "x"]}, "empty": {}}
    save_checkpoint(tmp_path, state, step=1, notes={"curve": []})
    save_checkpoint(tmp_path, state, step=2, notes={"curve": [1]})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-000000002.safetensors", "checkpoint.json"]
    # A third one that was killed before its sidecar was written.
    (tmp_path / "checkpoint-000000003.safetensors").write_bytes(b"half")
    loaded, notes = load_checkpoint(tmp_path)
    assert notes == {"curve": [1]}
    assert torch.equal(loaded["tensors"][0], torch.arange(3))
    assert loaded["tensors"][1].item() == 2.5
    assert loaded[7] == {"plain": [1, None, "x"]}
    assert loaded["empty"] == {}
    assert load_checkpoint(tmp_path / "nowhere") is None


def test_a_colleague_may_read_what_is_written(tmp_path):
    (tmp_path / "ordinary").touch()
    write_json(tmp_path / "file.json", {"a": 1})
    assert (tmp_path / "file.json").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def full(_) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]
    assert json.loads(path.read_text()) == {"a": 1}
