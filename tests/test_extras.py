"""Packages of extras that are not installed: one message that names the extra, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from betanas import extras
from betanas.cli.main import run
from betanas.errors import MissingExtraError


def test_what_is_not_installed_is_named_with_its_extra() -> None:
    assert extras.missing(("json", "no_such_package")) == ["no_such_package"]
    extras.require(("json",), extra="find", purpose="Nothing")
    with pytest.raises(MissingExtraError, match=r"A dream needs the package no_such_package.*betanas\[dreams\]"):
        extras.require(("json", "no_such_package"), extra="dreams", purpose="A dream")


@pytest.mark.parametrize(
    "command",
    [
        ["search", "--data", "digits", "--resolution", "16", "--budget", "1steps", "--per-trial-devices", "2"],
        ["train", "plain4", "--data", "digits", "--resolution", "16", "--budget", "1steps"],
        ["bench", "ddp", "plain4", "--data", "digits", "--resolution", "16"],
    ],
    ids=lambda command: command[0],
)
def test_several_devices_for_one_network_are_an_extra(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "accelerate" else object())
    monkeypatch.setenv("WORLD_SIZE", "2" if command[0] == "train" else "1")  # as torchrun starts it
    place = {"search": ["--study"], "train": ["--folder"]}.get(command[0])
    typed = [*command, *((place and [*place, str(tmp_path / "made")]) or [])]
    assert run([*typed, "--devices" if command[0] == "search" else "--device", "cpu"]) == 2
    assert "pip install 'betanas[several-devices]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
