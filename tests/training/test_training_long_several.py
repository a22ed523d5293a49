"""`betanas train` with several processes: the same end however they are started, also after one was killed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from betanas.cli.main import run as run_betanas
from betanas.training.kept import NETWORK

BETANAS = (sys.executable, "-m", "betanas")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "betanas")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
MEASURED = (
    "folder",
    "training_seconds",
    "wall_seconds",
    "preparation_seconds",
    "images_per_second",
    "peak_memory",
    "curve",
)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    recipe = tmp_path_factory.mktemp("recipe") / "small.toml"
    # Dropped paths are the random numbers in which the processes differ; all evaluations but the first are early.
    recipe.write_text('extends = "fast"\nbatch_size = 32\nstochastic_depth = 1.0\nevaluations = 12\n')
    typed = f"betanet3 --data digits --resolution 16 --budget 60steps --recipe {recipe} --device cpu --compression fp16"
    return ["train", *typed.split(), "--json", "--folder"]


@pytest.fixture(scope="module")
def uninterrupted(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder, printed = tmp_path_factory.mktemp("whole") / "run", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert run_betanas([*arguments, str(folder), "--processes", "2"]) == 0
    return folder, json.loads(printed.getvalue())


def finish(command: list[str]) -> dict:
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def losses(result: dict) -> list[tuple[int, float]]:
    return [(point["step"], point["loss"]) for point in result["curve"]]


def test_two_processes_train_one_network(uninterrupted):
    folder, result = uninterrupted
    assert (result["steps"], result["ending"], len(result["curve"])) == (60, "budget", 12)
    assert result["device"] == "cpu (1 thread), 2 processes"
    assert result["test_top1"] > 0.5
    assert sorted(path.name for path in folder.iterdir()) == [
        "network.json",
        NETWORK,
        "plan.json",
        "result.json",
    ]
    assert json.loads((folder / "plan.json").read_text())["processes"] == 2


def test_a_killed_process_ends_the_command_and_it_goes_on_under_torchrun(arguments, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    command = [*BETANAS, *arguments, str(folder), "--processes", "2"]
    running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while not (folder / "checkpoint.json").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ranks = [each for each in psutil.Process(running.pid).children() if "spawn_main" in " ".join(each.cmdline())]
    assert len(ranks) == 2
    ranks[1].send_signal(signal.SIGKILL)
    _, said = running.communicate(timeout=600)
    assert running.returncode == 1
    assert "Process 1 ended with SIGKILL" in said
    assert not any(rank.is_running() for rank in ranks)
    assert json.loads((folder / "checkpoint.json").read_text())["step"] < 60

    resumed = finish([*TORCHRUN, *arguments, str(folder)])
    expected = uninterrupted[1]
    assert losses(resumed) == losses(expected)
    for name in resumed.keys() - set(MEASURED):
        assert resumed[name] == expected[name], name
    ours, theirs = load_file(folder / NETWORK), load_file(uninterrupted[0] / NETWORK)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_is_wrong_is_said_once(arguments, uninterrupted, tmp_path, capfd):
    def refusal(*changed: str) -> str:
        assert run_betanas([*arguments, *changed]) == 2
        return capfd.readouterr().err

    found = refusal(str(uninterrupted[0]), "--processes", "2", "--seed", "4")
    assert found.count("a training with another seed") == 1, "although both processes found it"
    assert "a training with another processes and compression" in refusal(str(uninterrupted[0]))
    assert "PowerSGD remembers" in refusal(str(tmp_path / "new"), "--compression", "powersgd")
    assert "at least one process" in refusal(str(tmp_path / "new"), "--processes", "0")
    assert not (tmp_path / "new").exists()
