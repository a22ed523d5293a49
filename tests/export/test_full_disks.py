"""Trainings and exports on a disk that is really full, or read-only: one message, and nothing half-written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from betanas.cli.main import run

# plain4's weights take 395 kB.
TOO_SMALL, ROOMY = "size=300k", "size=8m"

TRAIN = [
    "train",
    "plain4",
    "--data",
    "digits",
    "--resolution",
    "16",
    "--budget",
    "2steps",
    "--device",
    "cpu",
    "--folder",
]


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def one_message(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.startswith("betanas: ")
    assert said.count("\n") == 1, said
    return said


def test_a_training_on_a_full_disk_goes_on_where_there_is_space(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remount(small_disk, TOO_SMALL)
    folder = small_disk / "training"
    assert run([*TRAIN, str(folder)]) == 1
    said = one_message(capsys)
    assert f"No space left on device: {folder}" in said
    assert "Free some space" in said
    assert [path.name for path in folder.iterdir()] == ["plan.json"]
    remount(small_disk, ROOMY)
    assert run([*TRAIN, str(folder)]) == 0
    assert (folder / "network.safetensors").exists()


def test_an_export_to_a_full_disk_leaves_nothing(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch's own writer of programs would end the process."""
    remount(small_disk, TOO_SMALL)
    assert run([*TRAIN, str(tmp_path / "training")]) == 0
    for form in ("safetensors", "onnx", "torch", "source"):
        capsys.readouterr()
        assert run(["export", str(tmp_path / "training"), "--format", form, "--to", str(small_disk / "model")]) == 1
        assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
        assert list(small_disk.iterdir()) == []


def test_on_a_read_only_disk_nothing_is_tried_twice(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remount(small_disk, "ro")
    assert run([*TRAIN, str(small_disk / "training")]) in (1, 2)
    assert "Read-only file system" in one_message(capsys)
    assert run([*TRAIN, str(tmp_path / "training")]) == 0
    capsys.readouterr()
    export = ["export", str(tmp_path / "training"), "--format", "safetensors", "--to", str(small_disk / "model")]
    assert run(export) == 2
    assert "must be writable" in one_message(capsys)


def test_a_comparison_on_a_full_disk_says_so_and_goes_on_where_there_is_space(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is kept of a training does not fit; the comparison's own file does."""
    remount(small_disk, "size=600k")
    folder = small_disk / "compared"
    words = ["compare", "plain4", "--data", "digits", "--resolution", "16", "--budget", "2steps", "--seeds", "1"]
    words += ["--executor", "inline", "--folder", str(folder)]
    assert run(words) == 0
    assert "failed: No space left on device" in capsys.readouterr().out
    remount(small_disk, ROOMY)
    assert run(words) == 0
    assert "failed" not in capsys.readouterr().out
