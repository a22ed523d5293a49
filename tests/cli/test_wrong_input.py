"""Wrong input: exit code 2, one message that says what to type instead, nothing left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

import betanas as bn
from betanas.cli.main import run
from betanas.errors import StudyError


def search(tmp_path: Path, *arguments: str, data: str = "digits") -> list[str]:
    study = str(tmp_path / "runs" / "study")
    return ["search", "--data", data, "--study", study, "--budget", "1steps", "--resolution", "16", *arguments]


def image_folder(place: Path, **counts: int) -> str:
    for name, count in counts.items():
        (place / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (12, 12), (i, 0, 0)).save(place / name / f"{i}.png")
    place.mkdir(parents=True, exist_ok=True)
    return str(place)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--space", "betanet9"], ["betanet9", "betanet2, betanet3"]),
        (["--preset", "table7"], ["table7", "default, table1, report"]),
        (["--range", "k=4:2"], ["4:2", "Type 2:4"]),
        (["--range", "k"], ["--range k=2:4"]),
        (["--range", "k=two:four"], ["two:four", "2:4"]),
        (["--range", "Q=2:4"], ["Q", "k, K, Da"]),
        (["--range", "k=-4:2"], ["0.01", "16"]),
        (["--fix", "B=2"], ["B", "0 to 1"]),
        (["--fix", "B=much"], ["--fix B=0.3"]),
        (["--fix", "B=0.3", "--range", "B=0:1"], ["not both"]),
        (["--budget", "soon"], ["soon", "30s, 5m, 500steps"]),
        (["--budget", "0s"], ["positive"]),
        (["--max-params", "lots"], ["lots", "30M"]),
        (["--max-memory", "20"], ["20", "20GiB"]),
        (["--max-params", "100"], ["100 parameters"]),
        (["--lookahead", "384"], ["384:50M"]),
        (["--strategy", "guessing"], ["guessing", "gpei"]),
        (["--recipe", "slow"], ["slow", "fast"]),
        (["--resolution", "3"], ["3", "8"]),
        (["--trials", "0"], ["from 1 to 1,000,000", "--trials 50"]),
        (["--validation-share", "1.5"], ["1.5", "between 0 and 1"]),
        (["--devices", "cuda:99"], ["cuda:99", "cpu"]),
        (["--workers", "0"], ["from 1 to 1,024"]),
        (["--executor", "pigeon"], ["pigeon", "local"]),
        (["--config", "nowhere.toml"], ["nowhere.toml"]),
        (["--trials", "many"], ["--trials", "whole number"]),
        (["--colour", "blue"], ["--colour"]),
        (["--stop-early"], ["seconds", "--budget 60s"]),
        (["--objective", "beauty"], ["beauty", "accuracy"]),
        (["--cost-target", "5M"], ["cost-target", "--objective compound"]),
        (["--objective", "compound", "--cost", "params"], ["target", "--cost-target 5M"]),
        (["--objective", "scaling", "--scaling-resolution", "16"], ["above the search's 16"]),
        (["--objective", "pareto", "--cost", "params", "--strategy", "tpe"], ["tpe", "gpei"]),
        (
            ["--objective", "compound", "--cost", "macs", "--cost-target", "9M", "--stop-early", "--budget", "2s"],
            ["best by"],
        ),
    ],
)
def test_search_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: list[str]
) -> None:
    assert run(search(tmp_path, *arguments)) == 2
    printed = capsys.readouterr()
    for words in says:
        assert words in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_data_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    for name, made, says in (
        ("missing", str(data / "missing"), "missing"),
        ("empty", image_folder(data / "empty"), "empty"),
        ("one class", image_folder(data / "one", cats=5), "one"),
        ("empty class", image_folder(data / "none", cats=5, dogs=0), "dogs"),
        ("single image", image_folder(data / "single", cats=5, dogs=1), "dogs"),
        ("unknown name", "digitz", "digits"),
    ):
        assert run(search(tmp_path, data=made)) == 2, name
        printed = capsys.readouterr()
        assert says in printed.err, name
        assert "Traceback" not in printed.err
        assert not (tmp_path / "runs").exists(), name


def test_a_study_inside_the_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = Path(image_folder(tmp_path / "photos", cats=5, dogs=5))
    before = sorted(photos.rglob("*"))
    for place in (photos, photos / "study"):
        assert run(["search", "--data", str(photos), "--study", str(place), "--budget", "1steps"]) == 2
        assert "must lie outside the images' folder" in capsys.readouterr().err
    assert sorted(photos.rglob("*")) == before


def test_search_needs_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = search(tmp_path)
    place = arguments.index("--data")
    assert run(arguments[:place] + arguments[place + 2 :]) == 2
    assert "Type, for example, --data" in capsys.readouterr().err
    with pytest.raises(StudyError, match="needs the setting study"):
        bn.search(data="digits")


@pytest.mark.parametrize("command", ["status", "best", "resume"])
def test_a_study_that_does_not_exist(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, str(tmp_path / "nothing")]) == 2
    assert "betanas search" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = search(tmp_path, "--trials", "1", "--strategy", "sobol", "--executor", "inline")
    assert run(arguments) == 0
    capsys.readouterr()
    before = (tmp_path / "runs" / "study" / "study.sqlite").read_bytes()
    assert run(arguments) == 2
    assert "betanas resume" in capsys.readouterr().err
    assert (tmp_path / "runs" / "study" / "study.sqlite").read_bytes() == before


def test_config_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "search.toml"
    config.write_text("budget = \n")
    assert run(search(tmp_path, "--config", str(config))) == 2
    assert "must be TOML" in capsys.readouterr().err
    config.write_text('colour = "blue"\n')
    assert run(search(tmp_path, "--config", str(config))) == 2
    assert "colour" in capsys.readouterr().err
    config.write_text('trials = "many"\n')
    assert run(search(tmp_path, "--config", str(config))) == 2
    assert "trials" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["describe", "betanet9", "--published"], "betanet9"),
        (["describe", "betanet3", "--published", "--resolution", "5000"], "4096"),
        (["describe", "betanet3", "--published", "--classes", "0"], "classes"),
        (["describe", "betanet3", "--published", "--batch-size", "0"], "batch"),
        (["describe", "betanet3", "--vector", "nowhere.json"], "nowhere.json"),
        (["describe", "betanet3", "--preset", "wide"], "wide"),
        (["nonsense"], "nonsense"),
    ],
)
def test_describe_refuses(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("vector", ["[1, 2]", "{", '{"k": 3}', '{"vector": {"k": "wide"}}'])
def test_bad_vectors(vector: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "vector.json"
    file.write_text(vector)
    assert run(["describe", "betanet3", "--vector", str(file)]) == 2
    assert capsys.readouterr().err.startswith("betanas: ")


def test_describe_both_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "vector.json"
    file.write_text(json.dumps({}))
    assert run(["describe", "betanet3", "--vector", str(file), "--published"]) == 2
    assert "not both" in capsys.readouterr().err


def test_nothing_is_written_into_the_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written there would become part of the data, and spoil the next search."""
    photos = Path(image_folder(tmp_path / "photos", cats=20, dogs=20))
    link = tmp_path / "link"
    link.symlink_to(photos)
    before = sorted(photos.rglob("*"))
    quick = ["--data", str(photos), "--resolution", "16", "--budget", "1steps"]
    for place in (photos, photos / "new", photos / "cats" / "new", link / "new"):
        for words in (
            ["train", "plain4", *quick, "--device", "cpu", "--folder", str(place)],
            ["compare", "plain4", *quick, "--devices", "cpu", "--folder", str(place)],
            ["find", str(photos), "--time", "1h", "--to", str(place)],
        ):
            assert run(words) == 2
            assert "must lie outside the images' folder" in capsys.readouterr().err
    assert run(["train", "plain4", *quick, "--device", "cpu", "--folder", str(tmp_path / "trained")]) == 0
    capsys.readouterr()
    assert run(["export", str(tmp_path / "trained"), "--format", "safetensors", "--to", str(photos / "model")]) == 2
    assert "must lie outside the images' folder" in capsys.readouterr().err
    assert sorted(photos.rglob("*")) == before


def test_a_pipe_and_a_device_among_the_images_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one would be waited for without a word, the other read until memory ends."""
    photos = Path(image_folder(tmp_path / "photos", cats=20, dogs=20))
    os.mkfifo(photos / "cats" / "pipe.png")
    (photos / "dogs" / "endless.png").symlink_to("/dev/zero")
    assert run(search(tmp_path, data=str(photos))) == 2
    said = capsys.readouterr().err
    assert "cats/pipe.png (It is not a regular file)" in said
    assert "dogs/endless.png (It is not a regular file)" in said
    assert not (tmp_path / "runs").exists()
