"""What a name on the command line stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from betanas.cli.main import run
from betanas.cli.networks import is_study


def test_a_directory_with_a_networks_name_is_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one rule in every command: `train`, `compare`, `scale` and `profile`."""
    monkeypatch.chdir(tmp_path)
    for name in ("betanet3", "resnet50", "study"):
        Path(name).mkdir()
    assert not is_study("betanet3")
    assert not is_study("resnet50")
    assert is_study("study")
    assert is_study("./betanet3")
    assert is_study("postgresql://host/db?study=a")
    assert not is_study("nothing")
    assert run(["scale", "betanet3", "--to-resolution", "64", "--up-to", "64", "--json"]) == 0
    assert run(["scale", "./betanet3", "--to-resolution", "64"]) == 2, "it is an empty directory, which is no study"
