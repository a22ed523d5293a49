"""Experiment trackers, each with its real package, writing into a folder and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from betanas.cli.main import run as run_betanas
from betanas.errors import RecipeError
from betanas.training.tracking import AcceleratedTracker

SETTINGS = {"seed": 1, "recipe": "fast", "crop_scale": (0.1, 1.0), "mean": None}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and home, which must stay empty."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "WANDB_API_KEY", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    return place


def train(folder: Path, tracker: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Train for two steps in a process of its own: what a tracker's package sets up for a process stays there."""
    arguments = ["train", "mobilenet_v2", "--folder", str(folder), "--budget", "2steps", "--resolution", "8"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", "betanas", *arguments, "--device", "cpu", "--track", tracker, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_tensorboard_hears_of_every_evaluation(tmp_path: Path):
    pytest.importorskip("tensorboard")
    tracker = AcceleratedTracker("tensorboard", folder=tmp_path, project="betanas", settings=SETTINGS)
    tracker.log({"top1": 0.5}, step=3)
    tracker.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = {path.parent for path in tmp_path.rglob("events.out.*")}
    events = [event for folder in folders for event in _scalars(EventAccumulator(str(folder)), "top1")]
    assert [(event.step, event.value) for event in events] == [(3, 0.5)]


def _scalars(accumulator, tag: str) -> list:
    accumulator.Reload()
    return accumulator.Scalars(tag) if tag in accumulator.Tags()["scalars"] else []


def test_weights_and_biases_hears_of_a_training_without_a_network(tmp_path: Path, elsewhere: Path):
    pytest.importorskip("wandb")
    done = train(tmp_path / "run", "wandb", WANDB_MODE="offline", HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 2
    (stored,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    assert all(word in stored.read_bytes() for word in (b"top1", b"learning_rate", b"epoch"))
    assert not list(elsewhere.iterdir())


def test_weights_and_biases_without_a_login_is_refused(tmp_path: Path, elsewhere: Path):
    pytest.importorskip("wandb")
    done = train(tmp_path / "run", "wandb", WANDB_MODE="online", HOME=str(tmp_path / "home"))
    assert done.returncode == 2, done.stderr
    assert "wandb must be able to begin" in done.stderr
    assert "WANDB_MODE=offline" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_mlflow_hears_of_a_training_without_a_server(tmp_path: Path, elsewhere: Path):
    mlflow = pytest.importorskip("mlflow")
    done = train(tmp_path / "run", "mlflow")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("betanas").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["budget"] == "2steps"
    points = client.get_metric_history(run.info.run_id, "top1")
    assert [(point.step, point.value) for point in points] == [
        (each["step"], each["accuracy"]) for each in found["curve"]
    ]
    assert not list(elsewhere.iterdir())


def test_an_unknown_or_missing_tracker_is_refused_with_what_to_type(tmp_path: Path, monkeypatch, capsys):
    with pytest.raises(RecipeError, match="tensorboard, wandb, mlflow"):
        AcceleratedTracker("paper", folder=tmp_path, project="p", settings={})
    monkeypatch.setattr("betanas.extras.find_spec", lambda name: None)
    arguments = ["train", "betanet3", "--folder", str(tmp_path / "run"), "--budget", "1steps", "--resolution", "16"]
    arguments += ["--data", "digits"]
    for name in ("wandb", "mlflow", "tensorboard"):
        assert run_betanas([*arguments, "--device", "cpu", "--track", name]) == 2
        assert f"pip install 'betanas[{name}]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
