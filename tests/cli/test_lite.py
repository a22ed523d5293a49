"""`--blocks lite` from a search to every exported form, through the commands that a person types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import betanas as bn
from betanas.cli.main import run
from betanas.search.records import StudyPlan

CONFIG = """
data = "digits"
space = "convnet"
blocks = "lite"
resolution = 16
budget = "4steps"
trials = 2
strategy = "sobol"
executor = "inline"
max_params = "100k"
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("lite")
    (place / "search.toml").write_text(CONFIG)
    assert run(["search", "--config", str(place / "search.toml"), "--study", str(place / "study")]) == 0
    return str(place / "study")


@pytest.fixture(scope="module")
def trained(study: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "lite"
    assert run(["train", study, "--folder", str(folder), "--budget", "30steps", "--device", "cpu"]) == 0
    return folder


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 2
    return capsys.readouterr().err


def is_lite(blueprint: bn.Blueprint) -> bool:
    return all(layer.activation == "ReLU6" and not layer.squeeze for layer in blueprint.layers)


def test_the_plan_says_it_and_every_trial_is_so(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    with bn.Study.open(study) as opened:
        assert opened.plan.search.blocks == "lite"
        assert all(is_lite(opened.blueprint(trial.index)) for trial in opened.trials())
        assert StudyPlan.from_document(json.loads(json.dumps(opened.plan.to_document()))) == opened.plan
    assert json.loads(output(capsys, "status", study, "--json"))["blocks"] == "lite"
    assert "convnet with lite blocks on digits" in output(capsys, "status", study)


def test_a_plan_of_before_there_were_blocks_has_ordinary_ones(study: str) -> None:
    with bn.Study.open(study) as opened:
        document = opened.plan.to_document()
    del document["search"]["blocks"]
    assert StudyPlan.from_document(document).search.blocks == "ordinary"


def test_a_search_goes_on_with_its_blocks(study: str, tmp_path: Path) -> None:
    assert run(["resume", study, "--trials", "3"]) == 0
    with bn.Study.open(study) as opened:
        assert len([trial for trial in opened.trials() if trial.state == "completed"]) == 3
        assert is_lite(opened.blueprint(2))


def test_its_report_names_the_blocks(study: str, tmp_path: Path) -> None:
    assert run(["report", study, "--output", str(tmp_path / "report.html")]) == 0
    assert "convnet with lite blocks" in (tmp_path / "report.html").read_text()


def test_its_network_is_scaled_with_its_blocks(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(output(capsys, "scale", study, "--to-resolution", "32", "--up-to", "64", "--json"))
    assert is_lite(bn.Blueprint.from_dict(document["blueprint"]))
    assert "Leave --blocks out" in refusal(capsys, "scale", study, "--blocks", "lite")


def test_a_trained_one_is_exported_in_every_form_and_checked(trained: Path, tmp_path: Path) -> None:
    forms = [word for form in ("safetensors", "onnx", "torch", "source", "int8") for word in ("--format", form)]
    assert run(["export", str(trained), "--to", str(tmp_path / "model"), *forms, "--max-loss", "5"]) == 0
    assert "CNA ReLU6" in (tmp_path / "model" / "README.md").read_text()
    source = (tmp_path / "model" / "source" / "network.py").read_text()
    assert "nn.ReLU6" in source
    assert "SiLU" not in source
    assert "SqueezeExcitation" not in source
    document = json.loads((tmp_path / "model" / "network.json").read_text())
    assert document["quantisation"]["kept"] == [], "no layer needs float32"


def test_a_spaces_own_network_is_described_and_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(output(capsys, "describe", "betanet3", "--published", "--blocks", "lite", "--json"))
    assert document["blocks"] == "lite"
    assert is_lite(bn.Blueprint.from_dict(document["blueprint"]))
    assert "betanet3 with lite blocks" in output(capsys, "describe", "betanet3", "--blocks", "lite")
    sizes = ["--data", "digits", "--resolution", "16", "--budget", "2steps", "--device", "cpu"]
    lite = output(capsys, "train", "betanet3", "--blocks", "lite", *sizes, "--folder", str(tmp_path / "a"), "--json")
    assert json.loads(lite)["network"] == "betanet3 with lite blocks"


def test_a_vectors_network_is_measured_with_other_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vector, blueprint = tmp_path / "vector.json", tmp_path / "blueprint.json"
    vector.write_text(json.dumps(bn.published("betanet2")))
    blueprint.write_text(
        bn.get_space("betanet2").blueprint(bn.published("betanet2"), resolution=16, num_classes=2).to_json()
    )
    options = ["--resolution", "16", "--runtime", "eager", "--no-training", "--no-energy", "--repeats", "1", "--json"]
    found = json.loads(output(capsys, "profile", str(vector), "--blocks", "lite", *options))
    ordinary = json.loads(output(capsys, "profile", str(vector), *options))
    assert found["rows"][0]["params"] < ordinary["rows"][0]["params"]
    assert "Leave --blocks out" in refusal(capsys, "profile", str(blueprint), "--blocks", "lite", *options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["describe", "convnet", "--blocks", "heavy"], "ordinary, lite, lite-hardswish"),
        (["search", "--data", "digits", "--study", "none", "--blocks", "heavy"], "--blocks"),
        (["search", "--data", "digits", "--study", "none", "--blocks", "lite", "--range", "S0=2:4"], "decides nothing"),
        (["train", "mobilenet_v2", "--data", "digits", "--folder", "none", "--blocks", "lite"], "Leave --blocks out"),
        (["compare", "plain4", "--data", "digits", "--folder", "none", "--blocks", "lite"], "Leave --blocks out"),
        (["profile", "resnet50", "--blocks", "lite"], "Leave --blocks out"),
        (["experiment", "scaling", "--folder", "none", "--study", "any", "--blocks", "lite"], "Leave --blocks out"),
        (["experiment", "objective", "--folder", "none", "--blocks", "heavy"], "ordinary, lite, lite-hardswish"),
    ],
)
def test_blocks_that_cannot_be_are_refused(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in " ".join(refusal(capsys, *arguments).split())
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_an_experiment_plans_with_other_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--vectors", "2", "--resolutions", "16,24", "--only-plan", "--device", "cpu"]
    text = output(capsys, "experiment", "scaling", "--folder", str(tmp_path / "one"), "--blocks", "lite", *options)
    assert "betanet3 with lite blocks" in text
