from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import betanas as bn
from betanas.cli.main import run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("commands") / "study"
    bn.search(
        data="digits",
        study=str(place),
        resolution=16,
        budget="2steps",
        trials=3,
        strategy="sobol",
        executor="inline",
        ranges={"G0": (1.0, 1.5)},
        fixed={"B": 0.3},
    ).close()
    return str(place)


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert bn.__version__ in output(capsys, "--version")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--help")
    for command in ("find", "describe", "search", "resume", "status", "best"):
        assert command in text


def test_a_search_chooses_what_was_not_typed_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = output(capsys, "search", "--data", "digits", "--budget", "1steps", "--trials", "1", "--executor", "inline")
    assert "Chosen: study runs/digits\n" in text
    assert (tmp_path / "runs" / "digits" / "study.sqlite").is_file()
    assert run(["search", "--data", "digits", "--max-params", "1", "--devices", "cpu"]) == 2
    said = capsys.readouterr()
    assert "Chosen: study runs/digits-2, space convnet, resolution 16, budget 42s, time 20m" in said.out
    assert not (tmp_path / "runs" / "digits-2").exists()


def test_describe_a_space(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "describe", "betanet2", "--preset", "table1")
    assert "k    2:10" in text
    assert "Wa   0:0.5" in text
    document = json.loads(output(capsys, "describe", "betanet2", "--preset", "table1", "--json"))
    assert document["ranges"]["k"] == [2.0, 10.0]


def test_describe_explains_a_spaces_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "describe", "convnet")
    assert "stem       8:64      channels of the first layer" in text
    assert "betanas: " not in text


def test_describe_a_published_network(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "describe", "betanet3", "--published", "--resolution", "224", "--classes", "100")
    assert "5.11M parameters" in text
    document = json.loads(output(capsys, "describe", "betanet3", "--published", "--json"))
    assert document["num_params"] == 5_110_124
    assert bn.Blueprint.from_dict(document["blueprint"]).key == document["key"]


def test_status(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(output(capsys, "status", study, "--json"))
    assert document["study"] == study
    assert document["state"] == "finished"
    assert document["trials"] | {"cut_off": 0, "stopped": 0} == document["trials"]
    assert (document["trials"]["completed"], document["trials"]["planned"]) == (3, 3)
    assert set(document["best"]) >= {"trial", "accuracy", "params", "vector"}
    assert document["wall_seconds"] > 0
    assert document["training_seconds"] > 0
    assert "3 completed" in output(capsys, "status", study)


def test_best(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(output(capsys, "best", study, "--json"))
    trials = bn.Study.open(study).trials()
    assert document["accuracy"] == max(trial.top1 or 0.0 for trial in trials)
    assert document["vector"]["B"] == 0.3
    assert all(1.0 <= trial.vector["G0"] <= 1.5 for trial in trials)
    assert "accuracy" in output(capsys, "best", study)


def test_a_best_vector_can_be_described(study: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    best = output(capsys, "best", study, "--json")
    file = tmp_path / "best.json"
    file.write_text(best)
    arguments = ["describe", "betanet3", "--vector", str(file), "--resolution", "16", "--classes", "10"]
    text = output(capsys, *arguments, "--channels", "1", "--json")
    assert json.loads(text)["key"] == bn.Blueprint.from_dict(json.loads(best)["blueprint"]).key


def test_the_models_best_needs_a_model(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["best", study, "--by", "model"]) == 2
    assert "--by observed" in capsys.readouterr().err


def test_resume_runs_more_trials(study: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "resume", study, "--trials", "4", "--json")
    document = json.loads(text)
    assert document["trials"]["completed"] == 4
    assert document["sessions"] == 2


def test_search_with_a_config_file_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "search.toml"
    config.write_text(
        'data = "digits"\nresolution = 16\nbudget = "2steps"\ntrials = 9\nstrategy = "sobol"\nexecutor = "inline"\n'
        'max_params = "2M"\nlookahead = ["32:4M"]\n\n[ranges]\nk = [2.0, 3.0]\n\n[fixed]\nB = 0.5\n'
    )
    study = str(tmp_path / "study")
    text = output(capsys, "search", "--config", str(config), "--study", study, "--trials", "2", "--json")
    assert json.loads(text)["trials"]["planned"] == 2, "the command line outranks the file"
    plan = bn.Study.open(study).plan
    assert plan.search.ranges["k"] == (2.0, 3.0)
    assert plan.limits.params == 2_000_000
    assert plan.limits.lookahead == ((32, 4_000_000),)
    assert plan.search.ranges["B"] == (0.5, 0.5)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("search --compression ", {"none", "fp16", "bf16", "powersgd"}),
        ("search --space beta", {"betanet2", "betanet3"}),
        ("search --strategy gp", {"gpei"}),
        ("search --executor ", {"local", "inline", "ray"}),
        ("search --recipe f", {"fast", "finetune"}),
        ("search --data dig", {"digits"}),
        ("search --trial-c", {"--trial-cpus"}),
        ("resume --work", {"--workers"}),
    ],
)
def test_a_shell_completes_names(typed: str, expected: set[str]) -> None:
    words = f"betanas {typed}"
    place = len(words.split()) - (not words.endswith(" "))
    told = {"COMP_WORDS": words, "COMP_CWORD": str(place), "_BETANAS_COMPLETE": "complete_bash"}
    command = [Path(sys.executable).with_name("betanas")]
    found = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == expected
