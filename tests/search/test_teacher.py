"""A teacher in a search and in a find: chosen once, asked once, and the same for every trial."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

import betanas as bn
from betanas.cli.main import run
from betanas.data import open_source
from betanas.errors import RecipeError
from betanas.finding.finetuned import fine_tune
from betanas.finding.lesson import prepare_lesson
from betanas.pretrained.timm_networks import weights_place
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.settings import SearchSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store
from betanas.training.budget import Budget
from betanas.training.job import Job, JobImages
from betanas.training.recipe import load_recipe
from betanas.training.trainer import Trainer

SEARCH = {"data": "digits", "resolution": 16, "budget": "2steps", "trials": 2, "strategy": "sobol"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "trained"
    command = ["train", "plain4", "--data", "digits", "--resolution", "16", "--folder", str(folder)]
    assert run([*command, "--budget", "10steps", "--device", "cpu", "--json"]) == 0
    return folder


class Heard(SearchListener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, text: str) -> None:
        self.notes.append(text)


def test_every_trial_has_the_studys_teacher(trained: Path, tmp_path: Path) -> None:
    heard, place = Heard(), tmp_path / "study"
    with bn.search(study=str(place), teacher=str(trained), executor="inline", listener=heard, **SEARCH) as study:
        plan = study.plan
        assert [trial.state for trial in study.trials()] == ["completed"] * 2
        names = {recipe.name for recipe in study.recipes().values()}
    assert names == {"fast taught by trained"}
    assert plan.training.teacher == str(trained.resolve())
    assert any("trained teaches: it knows" in note for note in heard.notes)
    assert StudyPlan.from_document(json.loads(json.dumps(plan.to_document()))) == plan
    store = Store.open(StudyLocation.parse(place), read_only=True)
    jobs = [store.job(trial.index) for trial in store.trials()]
    store.close()
    assert {job.teacher.teacher for job in jobs if job.teacher} == {str(trained.resolve())}
    # A folder of numbers needs nobody's trust, and the leaders are taught as the trials were.
    assert run(["confirm", str(place), "--top", "1", "--seeds", "1", "--json"]) == 0
    assert run(["resume", str(place), "--trials", "3"]) == 0


def test_a_study_without_a_teacher_says_nothing_of_one(tmp_path: Path) -> None:
    with bn.search(study=str(tmp_path / "study"), executor="inline", **{**SEARCH, "trials": 1}) as study:
        assert study.plan.teacher is None
        assert "teacher" not in study.plan.to_document()


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        (["--teacher", "nothing"], "A teacher must be one of timm's networks"),
        (["--teacher-share", "0.3"], "is of the time for a teacher"),
        (["--teacher", "timm:tf_efficientnet_lite0", "--teacher-share", "0.3"], "one of the search's time"),
        (["--teacher", "text.onnx"], "ONNX file must take a batch of images"),
    ],
)
def test_a_search_refuses_a_teacher_that_cannot_teach(
    typed: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("no graph")
    command = ["search", "--data", "digits", "--study", "study", "--resolution", "16", "--budget", "2steps"]
    assert run([*command, "--trials", "1", "--executor", "inline", *typed]) == 2
    assert what in " ".join(capsys.readouterr().err.split())
    assert not Path("study").exists()


def test_a_strangers_graph_needs_trust(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A study that names an ONNX file on this machine is not gone on with."""
    place = tmp_path / "study"
    bn.search(study=str(place), teacher=str(trained), executor="inline", **SEARCH).close()
    written, graph = str(trained.resolve()), str(tmp_path / "model.onnx")
    with sqlite3.connect(place / "study.sqlite") as store:  # as a stranger would write it
        (plan,) = store.execute("SELECT plan FROM studies").fetchone()
        assert written in plan
        store.execute("UPDATE studies SET plan = ?", (plan.replace(written, graph),))
    store.close()
    assert run(["resume", str(place), "--trials", "4"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "open a network's file" in said
    assert "--trust-files" in said


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        (["--finetuned", "resnet50"], "must be one of timm's networks"),
        (["--finetuned", "timm:tf_efficientnet_lite9"], "one of timm's"),
        (["--teacher", "text.onnx"], "A find's teacher must be"),
        (["--teacher", "nothing"], "A teacher must be one of timm's networks"),
    ],
)
def test_a_find_refuses_what_is_not_pretrained(
    typed: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("no graph")
    assert run(["find", "digits", "--time", "10m", "--to", "model", "--devices", "cpu", *typed]) == 2
    assert what in " ".join(capsys.readouterr().err.split())
    assert not Path("model").exists()


def test_a_finds_teacher_has_its_share_before_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    monkeypatch.setenv("BETANAS_CACHE", str(tmp_path))
    weights_place().mkdir()
    save_file(timm.create_model("test_efficientnet").state_dict(), weights_place() / "test_efficientnet.safetensors")
    settings = {"data": "digits", "study": "s", "resolution": 16, "devices": "cpu", "teacher": "timm:test_efficientnet"}
    source, recipe = open_source("digits"), load_recipe("fast").with_settings(flip=0.0)
    assert prepare_lesson(source, SearchSettings(**{**settings, "teacher": None}), recipe, seconds=10.0) is None
    as_it_is = prepare_lesson(source, SearchSettings(**settings), recipe, seconds=10.0)
    assert as_it_is is not None
    assert as_it_is.settings == {}
    tuned = prepare_lesson(source, SearchSettings(**settings, teacher_share=0.05), recipe, seconds=10.0)
    assert tuned is not None
    assert tuned.settings["teacher_share"] == 0.0
    assert (Path(tuned.settings["teacher"]) / "network.safetensors").exists()
    job = Job({}, JobImages("digits", source.fingerprint, 16), recipe, Budget(1, "steps"))
    found = fine_tune("timm:test_efficientnet", job, Trainer(device="cpu"), tmp_path / "beside", seconds=0.3)
    assert (found.name, found.resolution) == ("test_efficientnet", 96)
    assert 0 < found.params < 1_000_000
    assert found.images > 100
    graph = tmp_path / "model.onnx"
    graph.write_text("no graph")
    with pytest.raises(RecipeError, match="A find's teacher must be"):
        prepare_lesson(source, SearchSettings(**{**settings, "teacher": str(graph)}), recipe, seconds=10.0)
