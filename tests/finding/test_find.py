from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

import betanas as bn
from betanas.cli.main import run
from betanas.data import open_source
from betanas.errors import BetanasError, DataError, StudyError
from betanas.finding.clock import seconds_used
from betanas.finding.finding import Found
from betanas.finding.place import Place, Plan
from betanas.finding.timetable import Timetable
from betanas.search.study import Study

# Of a plan that does not depend on how fast this machine is: the search ends after its trials, the confirmation after
# its trainings, and no time is left for the winner, which is then trained for one step.
UNHURRIED = Timetable(1.0, 600.0, 1200.0, 1.0, 2, 1, 1, 0.0, 1.0)
CHOSEN = {"space": "betanet3", "resolution": 8, "budget": "1s", "trials": 2, "strategy": "sobol"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, generator = tmp_path_factory.mktemp("find") / "photos", np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for name, level in (("dark", 60), ("light", 180)):
            (folder / part / name).mkdir(parents=True)
            for place in range(count):
                pixels = generator.integers(level - 50, level + 50, (10, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{place}.png")
    return folder


def begun(photos: Path, to: Path) -> Place:
    """A find that was planned, and killed before anything was trained."""
    place = Place(to)
    asked = {"data": str(photos), "time": "10m"}
    with place.held():
        place.write_plan(Plan(asked, CHOSEN, UNHURRIED, open_source(photos).fingerprint))
    return place


def command(photos: Path, to: Path) -> list[str]:
    return ["find", str(photos), "--time", "10m", "--to", str(to)]


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Killed in the middle of the search, then finished."""
    to = tmp_path_factory.mktemp("found") / "model"
    place = begun(photos, to)
    process = subprocess.Popen(
        [sys.executable, "-m", "betanas", *command(photos, to)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while not trained(to):
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    used, first = seconds_used(place.used), trained(to)
    assert used > 0
    # Its time is over, so that the final training is short; the confirmation would give way to that.
    with patch("betanas.finding.finding.confirmed_by", lambda table, closing: table.confirmed):
        found = bn.find(photos, time="10m", to=to)
    with Study.open(to / "search") as study:
        assert [each.started for each in study.trials()][: len(first)] == first
        assert len(study.sessions()) >= 2
    assert found.document["seconds"] > used
    return found


def trained(to: Path) -> list[object]:
    """When the completed trials were started."""
    try:
        with Study.open(to / "search") as study:
            return [each.started for each in study.trials() if each.state == "completed"]
    except BetanasError:
        return []


def test_a_folder_becomes_a_checked_model(finished: Found, photos: Path) -> None:
    names = {each.name for each in finished.folder.iterdir()}
    assert {"network.safetensors", "network.onnx", "network.json", "README.md", "report.html", "advice.txt"} <= names
    document = json.loads((finished.folder / "find.json").read_text())
    assert document["verified"] == {"safetensors": 8, "onnx": 8}
    assert (document["judged_on"], document["test_images"], document["trials"]) == ("test", 8, 2)
    assert 0 <= document["interval"][0] <= document["test_accuracy"] <= document["interval"][1] <= 1
    assert document["confirmed"]["trainings"] == 1
    assert finished.advice == (finished.folder / "advice.txt").read_text().strip()
    assert "8 test images" in finished.advice
    assert not (finished.folder / ".find" / "rehearsal").exists()
    assert not (finished.folder / ".find" / "model").exists()
    image = next((photos / "test" / "dark").iterdir())
    (prediction,) = bn.predict(finished.folder, [image])
    assert {choice.name for choice in prediction.top} == {"dark", "light"}


def test_the_report_begins_with_the_advice(finished: Found) -> None:
    assert finished.report is not None
    text = finished.report.read_text()
    assert "<h1>model</h1>" in text
    assert 0 < text.index("right for") < text.index("This study searched the space")


def test_the_study_inside_is_an_ordinary_one(finished: Found, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", str(finished.folder / "search"), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["trials"]["completed"]) == ("finished", 2)


def test_a_finished_one_says_so(finished: Found, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {each: each.stat().st_mtime_ns for each in finished.folder.rglob("*") if each.is_file()}
    assert run(command(photos, finished.folder)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "has finished already" in said
    assert "right for" in said
    assert run([*command(photos, finished.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 2
    assert before == {each: each.stat().st_mtime_ns for each in finished.folder.rglob("*") if each.is_file()}


def test_another_time_or_other_images_are_refused(
    finished: Found, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", str(photos), "--time", "20m", "--to", str(finished.folder)]) == 2
    assert f"betanas find {photos} --time 10m --to {finished.folder}" in capsys.readouterr().err
    assert run(["find", "digits", "--time", "10m", "--to", str(finished.folder)]) == 2
    assert "another data" in capsys.readouterr().err


def test_images_that_changed_are_refused(photos: Path, tmp_path: Path) -> None:
    place = begun(photos, tmp_path / "model")
    plan = place.plan()
    assert plan is not None
    place.write_plan(Plan(plan.asked, plan.chosen, plan.timetable, "other"))
    with pytest.raises(DataError, match="same as when this find began"):
        bn.find(photos, time="10m", to=tmp_path / "model")


def test_a_time_without_a_trained_network_is_an_error(photos: Path, tmp_path: Path) -> None:
    place = begun(photos, tmp_path / "model")
    plan = place.plan()
    assert plan is not None
    # No network of the space has two parameters; the folder stays as it was.
    place.write_plan(Plan(plan.asked, {**plan.chosen, "max_params": 2}, plan.timetable, plan.fingerprint))
    with pytest.raises(BetanasError):
        bn.find(photos, time="10m", to=tmp_path / "model")
    assert not (tmp_path / "model" / "search").exists()


def test_too_short_a_time_is_refused_with_what_is_enough(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", str(photos), "--time", "2s", "--to", str(tmp_path / "a" / "model")]) == 2
    said = capsys.readouterr()
    assert "the time must be at least" in said.err
    assert "Type, for example, --time" in said.err
    assert "24 images of 2 classes, colour, short side 10 pixels." in said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time", "soon"], "--time must be a positive number with one of the units s, m or h"),
        (["--time", "5steps"], "--time must be a positive number"),
        (["--time", "10m", "--top", "0"], "--top must be a whole number"),
        (["--time", "10m", "--seeds", "1000"], "--seeds must be a whole number"),
        (["--time", "10m", "--budget", "5steps"], "budget of a trial must be a time"),
        (["--time", "10m", "--space", "betanet9"], "betanet9"),
        (["--time", "10m", "--resolution", "48px"], "--resolution must be"),
        (["--time", "10m", "--devices", "cuda:99"], "A device must be on this machine"),
    ],
)
def test_wrong_input(
    photos: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["find", str(photos), "--to", str(tmp_path / "model"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_places_that_are_refused(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(photos.rglob("*"))
    assert run(["find", str(photos), "--time", "10m", "--to", str(photos / "model")]) == 2
    assert "must lie outside the images'" in capsys.readouterr().err
    (tmp_path / "thesis.txt").write_text("precious")
    assert run(["find", str(photos), "--time", "10m", "--to", str(tmp_path)]) == 2
    assert "must be a new folder" in capsys.readouterr().err
    assert sorted(photos.rglob("*")) == before
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_no_such_setting(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no such setting"):
        bn.find(photos, time="10m", to=tmp_path / "model", trial=3)
