from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import betanas as bn
from betanas.cli.main import app
from betanas.data import load_test, open_source
from betanas.errors import BetanasError, BlueprintError, UserError
from betanas.library import find_named, library_networks, load_network, pack_network
from betanas.library.catalogue import MAX_WEIGHTS_BYTES, WEIGHTS_FOLDER
from betanas.training.resample import resize


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if isinstance(result.exception, BetanasError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "t"
    command = ["train", "betanet2", "--data", "digits", "--folder", str(folder), "--resolution", "16"]
    run(*command, "--budget", "1steps", "--device", "cpu", "--json")
    return folder


def pack(training: Path, into: Path, name: str = "tiny", **changes: object):
    settings = {"space": "betanet2", "vector": bn.published("betanet2"), "found": "a test", "remake": "betanas train"}
    return pack_network(name, training, **{**settings, **changes}, folder=into)


@pytest.mark.parametrize("name", [name for name, entry in library_networks().items() if entry.weights])
def test_kept_weights_are_what_their_notes_say(name: str) -> None:
    entry = find_named(name)
    assert entry.weights is not None
    assert entry.weights.path.stat().st_size <= MAX_WEIGHTS_BYTES
    assert entry.remake.startswith("betanas train ")
    described = entry.at(
        resolution=entry.blueprint.resolution + 8,
        num_classes=entry.blueprint.num_classes,
        in_channels=entry.blueprint.in_channels,
    )
    assert described.key != entry.blueprint.key  # the vector's, at another resolution
    vector = bn.get_space(entry.space).blueprint(
        entry.vector,
        resolution=entry.blueprint.resolution,
        num_classes=entry.blueprint.num_classes,
        in_channels=entry.blueprint.in_channels,
    )
    assert vector.key == entry.blueprint.key
    network = load_network(name)
    assert sum(p.numel() for p in network.parameters()) == entry.blueprint.num_params


def test_the_digits_network_reads_digits() -> None:
    entry, network = find_named("betanet2_digits_r16"), load_network("betanet2_digits_r16")
    assert entry.weights is not None
    test = load_test(open_source("digits"), resolution=16)
    mean, std = (torch.tensor(values)[:, None, None] for values in (entry.weights.mean, entry.weights.std))
    with torch.inference_mode():
        answers = network((resize(test.images.float(), 16) / 255 - mean) / std).argmax(1)
    accuracy = (answers == test.labels).float().mean().item()
    assert accuracy == pytest.approx(entry.weights.test_top1, abs=0.01)


def test_a_network_is_loaded_for_other_classes_and_without_weights() -> None:
    other = load_network("betanet2_digits_r16", num_classes=4)
    kept = load_network("betanet2_digits_r16")
    assert other.classifier.weight.shape[0] == 4
    assert torch.equal(other.latent[0].weight, kept.latent[0].weight)
    assert not torch.equal(
        load_network("betanet2_digits_r16", pretrained=False).latent[0].weight, kept.latent[0].weight
    )
    with pytest.raises(BlueprintError, match=r"Did you mean betanet2_digits_r16\?"):
        load_network("betanet2_digit_r16")


def test_a_finished_training_becomes_a_network(trained: Path, tmp_path: Path) -> None:
    entry = pack(trained, tmp_path, name="tiny_r16")
    assert entry.name in library_networks(tmp_path)
    assert (entry.blueprint.resolution, entry.blueprint.in_channels, entry.weights.data) == (16, 1, "digits")
    assert entry.weights.classes == tuple("0123456789")
    assert 0 < entry.weights.mean[0] < 1
    assert 0 < entry.weights.std[0] < 1
    loaded = load_network("tiny_r16", folder=tmp_path)
    assert (tmp_path / "tiny_r16.safetensors").read_bytes() == (trained / "network.safetensors").read_bytes()
    assert not loaded.training


def test_what_cannot_be_packed_is_refused(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "weights"
    for changes, says in (
        ({"name": "Tiny.r16"}, "lower case"),
        ({"vector": bn.published("betanet2") | {"K": 2.0}}, "must describe the trained network"),
    ):
        with pytest.raises(BlueprintError, match=says):
            pack(trained, into, **changes)
    with pytest.raises(BlueprintError, match=r"finished training.*betanas train"):
        pack(tmp_path, into)
    monkeypatch.setattr("betanas.library.packing.MAX_WEIGHTS_BYTES", 1000)
    with pytest.raises(BlueprintError, match="1,000 bytes"):
        pack(trained, into)
    assert not into.exists()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS_FOLDER / "betanet2_digits_r16.json", tmp_path / "one.json")
    document = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    for text, says in (
        ("{", "must be whole"),
        (json.dumps({**document, "format": 9}), "format 1"),
        (json.dumps({name: value for name, value in document.items() if name != "mean"}), "mean"),
    ):
        (tmp_path / "one.json").write_text(text, encoding="utf-8")
        with pytest.raises(BlueprintError, match=says):
            library_networks(tmp_path)


def test_networks_are_listed_and_shown() -> None:
    listed = run("networks")
    assert "betanet3_r384" in listed
    assert "betanet2_digits_r16" in listed
    document = json.loads(run("networks", "--json"))
    assert [entry["name"] for entry in document["networks"]] == list(library_networks())
    shown = run("networks", "betanet2_digits_r16")
    assert find_named("betanet2_digits_r16").remake in shown
    one = json.loads(run("networks", "betanet3_r224", "--json"))
    assert (one["params"], one["weights"]) == (5_110_124, None)
    printed = bn.Blueprint.from_json(run("networks", "betanet3_r384", "--blueprint"))
    assert printed == find_named("betanet3_r384").blueprint


def test_wrong_names_are_refused() -> None:
    with pytest.raises(UserError, match="networks NAME --blueprint"):
        run("networks", "--blueprint")
    with pytest.raises(UserError, match="It has betanet2_r224"):
        run("networks", "zebra")


def test_commands_take_named_networks() -> None:
    answer = json.loads(run("scale", "betanet2_digits_r16", "--up-to", "64", "--json"))
    assert (answer["from_resolution"], answer["blueprint"]["num_classes"]) == (16, 10)
