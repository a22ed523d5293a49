"""What the Ray executor refuses before it starts anything, and what it reckons a trial takes. No cluster runs here."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from betanas.cli.main import run
from betanas.errors import DeviceError, MissingExtraError, StudyError
from betanas.search.executors.base import ExecutorSettings, WorkerSetup
from betanas.search.executors.ray.cluster import Node, Share, connect, find_nodes, plan_share
from betanas.search.executors.ray.executor import RayExecutor
from betanas.search.settings import MachineSettings

CPU = ExecutorSettings(devices=("cpu",))
NODE = Node("10.0.0.1", {"CPU": 8.0, "GPU": 2.0, "H100": 1.0, "memory": 1e9})


def test_a_cluster_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["search", "--data", "digits", "--study", str(tmp_path / "study"), "--resolution", "16"]
    more = ["--budget", "1steps", "--executor", "ray", "--max-memory", "1GiB", "--address", "127.0.0.1:1"]
    assert run([*arguments, *more]) == 2
    printed = capsys.readouterr()
    assert "127.0.0.1:1" in printed.err
    assert "ray start --head" in printed.err
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "somewhere", ":6379"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(DeviceError, match="HOST:PORT"):
        find_nodes(address, ("cpu",))


def test_options_of_a_cluster_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["search", "--data", "digits", "--study", str(tmp_path / "study"), "--trial-resource", "H100=1"]
    assert run([*arguments, "--address", "auto"]) == 2
    assert "--address, --trial-resource" in capsys.readouterr().err
    assert run([*arguments, "--executor", "ray", "--address", "auto", "--resolution", "16"]) == 2
    assert "--max-memory 20GiB" in capsys.readouterr().err
    assert run([*arguments, "--trial-resource", "H100=many"]) == 2
    assert "--trial-resource H100=1" in capsys.readouterr().err


def test_a_ray_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 30)))  # sockets' paths have at most 107 bytes
    with pytest.raises(DeviceError, match="107 bytes"):
        connect("local", Node("here", {"CPU": 1.0, "GPU": 0.0}))


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"betanas\[ray\]"):
        find_nodes("auto", ("cpu",))


def test_a_plugin_that_is_gone(digits_setup: WorkerSetup, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="must be readable"):
        RayExecutor(replace(digits_setup, plugins=(str(tmp_path / "gone.py"),)), CPU)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"devices": ("cuda:0",)}, "Ray chooses which"),
        ({"per_trial_devices": 3}, "3 GPU"),
        ({"per_trial_devices": 2, "trial_gpus": 0.5}, "--per-trial-devices"),
        ({"devices": ("cpu",), "trial_gpus": 0.5}, "--trial-gpus"),
        ({"trial_resources": {"H100": 0.0}}, "above 0"),
        ({"trial_resources": {"CPU": 2.0}}, "--trial-cpus"),
        ({"trial_resources": {"A100": 1.0}}, "10.0.0.1: 8 CPU, 2 GPU, 1 H100"),
    ],
)
def test_shares_that_make_no_sense(values: dict[str, object], says: str) -> None:
    with pytest.raises(DeviceError, match=says.replace("(", r"\(")):
        plan_share(MachineSettings(**values), [NODE])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "share", "fits"),
    [
        ({}, Share(1, 1), 2),
        ({"per_trial_devices": 2}, Share(2, 2, processes=2), 1),
        ({"trial_gpus": 0.3}, Share(1, 0.3), 6),
        ({"devices": ("cpu",)}, Share(1, 0), 8),
        ({"devices": ("cpu",), "trial_cpus": 3}, Share(3, 0), 2),
        ({"devices": ("cpu",), "trial_cpus": 3, "threads": 2}, Share(3, 0, threads=2), 2),
        ({"trial_resources": {"H100": 1.0}}, Share(1, 1, {"H100": 1.0}), 1),
    ],
)
def test_what_a_trial_takes(values: dict[str, object], share: Share, fits: int) -> None:
    assert plan_share(MachineSettings(**values), [NODE]) == share  # type: ignore[arg-type]
    assert share.fits(NODE) == fits
    assert share.fits(Node("10.0.0.2", {})) == 0


def test_a_trial_computes_with_as_many_threads_as_are_typed_and_no_more_than_its_cores() -> None:
    assert [Share(3, 0, threads=number).slot().threads for number in (None, 1, 2, 9)] == [3, 1, 2, 3]
