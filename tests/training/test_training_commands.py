from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import betanas as bn
from betanas.cli.bench import bench
from betanas.cli.compare import compare
from betanas.cli.inherited import training_for
from betanas.cli.main import run as run_betanas
from betanas.cli.networks import find_network
from betanas.cli.train import train
from betanas.data import open_source
from betanas.data.digits import Digits
from betanas.errors import BetanasError, BlueprintError, DataError, QuantityError, RecipeError, StudyError
from betanas.spaces import get_space, published


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(train)
    app.command()(compare)
    app.add_typer(bench, name="bench")
    return app


@pytest.fixture
def run(app):
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "160"})
        if isinstance(result.exception, BetanasError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


COMMON = ("--data", "digits", "--resolution", "16", "--device", "cpu")


def test_train_ends_with_a_network_and_goes_on_from_its_folder(run, tmp_path):
    arguments = ("train", "betanet3", "--folder", tmp_path / "run", "--budget", "20steps", *COMMON)
    text = run(*arguments)
    assert "validation top-1" in text
    again = json.loads(run(*arguments, "--json"))
    assert again["steps"] == 20
    assert (tmp_path / "run" / "network.safetensors").exists()
    with pytest.raises(RecipeError, match="another budget"):
        run("train", "betanet3", "--folder", tmp_path / "run", "--budget", "30steps", *COMMON)


def test_a_training_that_diverges_says_what_to_change(run, tmp_path):
    recipe = tmp_path / "wild.toml"
    recipe.write_text('extends = "fast"\nlearning_rate = 1e30\noptimizer = "sgd"\nwarmup = 0.0\n')
    arguments = ("train", "betanet3", "--folder", tmp_path / "run", "--budget", "20steps", "--recipe", recipe)
    with pytest.raises(RecipeError, match=r"must stay finite.*learning_rate"):
        run(*arguments, *COMMON)


def test_compare_prints_one_table_and_one_document(run, tmp_path):
    blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=16, num_classes=10, in_channels=1)
    file = tmp_path / "mine.json"
    file.write_text(blueprint.to_json(), encoding="utf-8")
    arguments = ("compare", file, "mobilenet_v2", "--folder", tmp_path / "c", "--budget", "4steps", "--seeds", "1")
    arguments += ("--executor", "inline")
    assert "Test top-1" in run(*arguments, *COMMON)
    table = json.loads(run(*arguments, *COMMON, "--json"))["table"]
    assert {row["name"] for row in table} == {"mine", "mobilenet_v2"}
    assert all(row["training_seconds"]["n"] == 1 for row in table)


def test_a_benchmark_networks_cost_is_counted_without_building_it():
    found = find_network("mobilenet_v2", source=open_source("digits"), resolution=224)
    assert found.params == sum(p.numel() for p in found.build().parameters())
    # The paper's 300 million multiply-accumulates, less the classifier's and two channels of the stem.
    assert found.macs == pytest.approx(300e6, rel=0.05)


def test_names_that_are_no_network_are_refused(tmp_path):
    source = open_source("digits")
    with pytest.raises(BlueprintError, match="betanet3"):
        find_network("nonsense", source=source, resolution=16)
    file = tmp_path / "other.json"
    blueprint = get_space("betanet3").blueprint(published("betanet3"), resolution=32, num_classes=7, in_channels=3)
    file.write_text(blueprint.to_json(), encoding="utf-8")
    with pytest.raises(BlueprintError, match="--resolution 32"):
        find_network(str(file), source=source, resolution=16)


def test_bench_refuses_what_it_cannot_measure(run):
    with pytest.raises(QuantityError, match="Type 1,2,4"):
        run("bench", "ddp", "--processes", "one")
    with pytest.raises(StudyError, match="one of none, fp16, bf16, powersgd"):
        run("bench", "ddp", "--compression", "zip")


def test_compare_keeps_its_result_in_a_study(tmp_path, capsys):
    golden = Path(__file__).parents[1] / "golden" / "study"
    study = shutil.copytree(golden, tmp_path / "study")
    arguments = ["compare", str(study), "betanet2", "--folder", str(tmp_path / "compared"), "--data", "digits"]
    arguments += ["--resolution", "16", "--budget", "2steps", "--seeds", "1", "--executor", "inline", "--keep"]
    assert run_betanas([*arguments, str(tmp_path / "missing")]) == 2
    assert "must exist" in capsys.readouterr().err
    assert run_betanas([*arguments, str(study)]) == 0
    assert (
        run_betanas(
            ["report", str(study), "--only", "comparison", "--format", "csv", "--output", str(tmp_path / "t.csv")]
        )
        == 0
    )
    assert "betanet2" in (tmp_path / "t.csv").read_text()


def test_bench_draws_epoch_time_against_processes_and_keeps_it_in_a_study(tmp_path, capsys):
    golden = Path(__file__).parents[1] / "golden" / "study"
    study = str(shutil.copytree(golden, tmp_path / "study"))
    arguments = ["bench", "ddp", "betanet3", "--resolution", "16", "--processes", "2", "--steps", "2"]
    assert run_betanas([*arguments, "--keep", str(tmp_path / "missing")]) == 2
    assert run_betanas([*arguments, "--keep", study]) == 0
    text = capsys.readouterr().out
    assert "Seconds an epoch" in text
    assert "█" in text
    target = tmp_path / "processes.json"
    assert run_betanas(["report", study, "--only", "processes", "--format", "json", "--output", str(target)]) == 0
    assert [row["processes"] for row in json.loads(target.read_text())] == [2]


@pytest.mark.parametrize(
    "command",
    [
        "train betanet3 --folder X",
        "search --data X",
        "resume X",
        "confirm X",
        "compare X --folder X",
        "find X --time 9m",
    ],
)
def test_threads_of_a_process_that_trains_sleep_while_they_wait(monkeypatch, tmp_path, command):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert run_betanas(command.replace("X", str(tmp_path / "none")).split()) == 2
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_what_the_user_says_of_threads_stays_and_a_profile_times_what_others_run(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert run_betanas(["resume", str(tmp_path)]) == 2
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert run_betanas(["profile", str(tmp_path / "none")]) == 2
    assert "OMP_WAIT_POLICY" not in os.environ


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two searches of one trial: one that mirrors its images, and one of another size and share that does not."""
    common = {"data": "digits", "budget": "1steps", "trials": 1, "strategy": "sobol", "executor": "inline"}
    own = {
        "mirrored": {"resolution": 16, "flip": True, "batch_size": 32},
        "plain": {"resolution": 24, "validation_share": 0.2},
    }
    place = tmp_path_factory.mktemp("studies")
    for name, settings in own.items():
        bn.search(**common, **settings, study=place / name, max_params=200_000).close()
    return {name: str(place / name) for name in own}


class TestWhatAStudysNetworkIsTrainedOn:
    def test_as_in_the_study(self, studies: dict[str, str]) -> None:
        found = training_for([studies["mirrored"]], {})
        assert (found.data, found.resolution, found.validation_share) == ("digits", 16, 0.1)
        assert found.recipe.batch_size == 32
        assert found.recipe.flip == bn.load_recipe("fast").flip > 0
        found = training_for([studies["plain"]], {})
        assert (found.resolution, found.validation_share, found.recipe.flip) == (24, 0.2, 0.0)

    def test_what_is_typed_comes_first(self, studies: dict[str, str]) -> None:
        found = training_for([studies["mirrored"]], {"flip": False, "resolution": 32, "batch_size": 8})
        assert (found.recipe.flip, found.resolution, found.recipe.batch_size) == (0.0, 32, 8)
        assert training_for([studies["plain"]], {"flip": True}).recipe.flip == bn.load_recipe("fast").flip
        assert training_for([studies["mirrored"]], {"recipe": "paper"}).recipe.name == "paper"

    def test_images_that_have_changed_are_refused(
        self, studies: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Digits, "fingerprint", "another")
        with pytest.raises(DataError, match=r"same as when the study began.*--data digits"):
            training_for([studies["mirrored"]], {})
        assert training_for([studies["mirrored"]], {"data": "digits"}).data == "digits"

    def test_studies_that_differ_are_not_mixed(self, studies: dict[str, str]) -> None:
        both = [studies["mirrored"], studies["plain"]]
        with pytest.raises(StudyError, match="--resolution"):
            training_for(both, {})
        with pytest.raises(StudyError, match=r"--recipe.*fast \(batch_size 32, flip"):
            training_for(both, {"resolution": 16, "validation_share": 0.1})

    def test_a_training_has_the_studys_recipe(self, studies: dict[str, str], tmp_path: Path) -> None:
        arguments = ["train", studies["mirrored"], "--folder", str(tmp_path / "run"), "--budget", "1steps"]
        assert run_betanas([*arguments, "--device", "cpu"]) == 0
        kept = json.loads((tmp_path / "run" / "plan.json").read_text())
        assert (kept["recipe"]["batch_size"], kept["resolution"]) == (32, 16)
        assert kept["recipe"]["flip"] > 0


def test_a_training_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_betanas(["train", "betanet3", "--folder", str(tmp_path / "run")]) == 2
    assert "Type, for example, --data digits" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
