from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from betanas.errors import DeviceError
from betanas.training.budget import Budget
from betanas.training.distributed import TrialJob, launch_trial
from betanas.training.engine import TrialEngine
from betanas.training.together import under_torchrun

WORKER = Path(__file__).with_name("ddp_worker.py")


def load_worker():
    spec = importlib.util.spec_from_file_location("ddp_worker", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recipe(quick):
    return quick.with_settings(batch_size=25)


@pytest.fixture(scope="module")
def ranks(digits, recipe, blueprint, tmp_path_factory) -> list[dict]:
    """What two gloo processes, started by torchrun, saw."""
    folder = tmp_path_factory.mktemp("ddp")
    job = folder / "job.pickle"
    job.write_bytes(pickle.dumps({"splits": digits, "recipe": recipe, "blueprint": blueprint}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(WORKER), str(job), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(digits, recipe) -> TrialEngine:
    """One process with the batches that the two share."""
    return TrialEngine(digits, resolution=8, recipe=recipe.with_settings(batch_size=50), device="cpu")


def test_two_processes_learn_what_one_does_with_the_same_batches(ranks, alone):
    """Without norms only the order of sums differs: losses agree to float32's precision over 20 steps."""
    expected = alone.train(load_worker().Plain, budget=Budget.parse("20steps"), seed=0)
    for rank in ranks:
        plain = rank["none"]["plain"]
        assert plain["outcome"] == "completed", plain["reason"]
        assert plain["top1"] == pytest.approx(expected.top1, abs=1 / 397)
        losses = [point["loss"] for point in plain["curve"]]
        assert losses == pytest.approx([point.loss for point in expected.curve], rel=1e-4)
        assert plain["images_per_second"] == pytest.approx(20 * 50 / plain["training_seconds"])


def test_a_network_with_norms_agrees_within_a_few_points(ranks, alone, blueprint):
    """Norms see half a batch in each process, so the runs differ as two seeds do."""
    expected = alone.run(blueprint, budget=Budget.parse("2epochs"), seed=0)
    for compression in ("none", "fp16"):
        network = ranks[0][compression]["network"]
        assert network["steps"] == expected.steps == 56
        assert network["top1"] == pytest.approx(expected.top1, abs=0.15)
        assert network["top1"] > 0.6


def test_all_processes_see_the_same_run(ranks):
    for name in ("seconds", "stopped"):
        first, second = (rank[name] for rank in ranks)
        for part in ("outcome", "steps", "top1", "top5", "epochs", "training_seconds"):
            assert first[part] == second[part], (name, part)
    for compression in ("none", "fp16", "bf16", "powersgd"):
        first, second = (rank[compression]["plain"]["curve"] for rank in ranks)
        assert [p["loss"] for p in first] == [p["loss"] for p in second]


def test_the_budget_in_seconds_is_kept_by_all(ranks):
    seconds = ranks[0]["seconds"]
    assert 0.2 < seconds["training_seconds"] < seconds["wall_seconds"]


def test_one_process_that_wants_to_stop_stops_all(ranks):
    assert [rank["stopped"]["outcome"] for rank in ranks] == ["stopped", "stopped"]
    assert ranks[0]["stopped"]["steps"] == 10


def test_sixteen_bits_halve_the_bytes_on_the_wire(ranks):
    parameters = sum(p.numel() for p in load_worker().Plain().parameters())
    # 20 steps and two of warm-up, every parameter once each.
    for compression in ("fp16", "bf16"):
        assert ranks[0][compression]["bytes"] == 22 * parameters * 4 / 2
    assert 0 < ranks[0]["powersgd"]["bytes"] < 22 * parameters * 4


def test_compressed_gradients_still_teach(ranks):
    exact = ranks[0]["none"]["plain"]["curve"][-1]["loss"]
    for compression in ("fp16", "bf16", "powersgd"):
        assert ranks[0][compression]["plain"]["curve"][-1]["loss"] == pytest.approx(exact, rel=0.05)


def job_of(digits, recipe, blueprint, **settings) -> TrialJob:
    return TrialJob(
        **{
            "splits": digits,
            "blueprint": blueprint,
            "resolution": 8,
            "recipe": recipe,
            "budget": Budget.parse("4steps"),
            "compression": "fp16",
            "device": "cpu",
            "threads": 1,
            **settings,
        }
    )


def test_a_trial_that_fails_in_its_processes_is_a_result(digits, recipe, blueprint):
    wild = recipe.with_settings(optimizer="sgd", learning_rate=1e30, warmup=0.0)
    result = launch_trial(job_of(digits, wild, blueprint, budget=Budget.parse("20steps")), processes=2)
    assert (result.outcome, result.cause) == ("failed", "non_finite")


def test_more_processes_than_gpus_are_refused(digits, recipe, blueprint):
    with pytest.raises(DeviceError, match="a GPU of its own"):
        launch_trial(job_of(digits, recipe, blueprint, device="cuda"), processes=torch.cuda.device_count() + 1)
    with pytest.raises(DeviceError, match="at least one process"):
        launch_trial(job_of(digits, recipe, blueprint), processes=0)


def test_this_process_is_on_its_own(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not under_torchrun()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert under_torchrun()
