"""Folders of trainings that are not as we wrote them: damaged by a disk, or made by somebody to do harm.

Whatever they hold, a command answers, or refuses with one message and exit code 2: no traceback, no escape sequence, no
memory for a network that nobody trained.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

import betanas as bn
from betanas.cli.main import run
from betanas.errors import BetanasError
from betanas.files import open_regular, read_bytes, read_document, read_json

# `make soak` tries many more.
FUZZED = 1500 if os.environ.get("BETANAS_SOAK") else 16

NASTY: tuple[Any, ...] = (
    *("text", "", "x" * 100_000, "\x1b[31mred\x1b[0m", "[/usr]", "../elsewhere", "1e999"),
    *(None, True, -1, 0, 0.5, 2**62, 10**9, -1e300, float("inf"), float("nan")),
    *([], [1], [[[]]], [0] * 1000, {}, {"a": 1}),
)

DOCUMENTS = ("network.json", "plan.json", "result.json", "checkpoint.json")

MEMORY = 2**30


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "small.json"
    vector = bn.published("betanet3") | {"G0": 1.0, "G1": 1.0}
    small = bn.get_space("betanet3").blueprint(vector, resolution=16, num_classes=10, in_channels=1)
    path.write_text(small.to_json())
    return path


@pytest.fixture(scope="module")
def training(blueprint: Path) -> Callable[[Path], list[str]]:
    def words(folder: Path) -> list[str]:
        where = ["--device", "cpu", "--folder", str(folder)]
        return ["train", str(blueprint), "--data", "digits", "--resolution", "16", "--budget", "2epochs", *where]

    return words


@pytest.fixture(scope="module")
def finished(blueprint: Path, training: Callable[[Path], list[str]]) -> Path:
    folder = blueprint.with_name("finished")
    assert run(training(folder)) == 0
    Image.new("L", (16, 16)).save(folder / "photo.png")
    return folder


@pytest.fixture(scope="module")
def cut_off(blueprint: Path, training: Callable[[Path], list[str]]) -> Path:
    """A training that was killed after its first evaluation."""
    folder = blueprint.with_name("cut-off")
    code = (
        "import os, signal, sys\n"
        "from betanas.training import kept\n"
        "save = kept.TrainingFolder.save\n"
        "def save_and_die(*given, **named):\n"
        "    save(*given, **named)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "kept.TrainingFolder.save = save_and_die\n"
        "from betanas.cli.main import run\n"
        "run(sys.argv[1:])\n"
    )
    subprocess.run([sys.executable, "-c", code, *training(folder)], check=False, capture_output=True)
    assert (folder / "checkpoint.json").exists()
    return folder


def places(document: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a JSON document stand, the document's own first; of a list, the first two."""
    yield place
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document[:2] if isinstance(document, list) else ())
    )
    for key, value in inner:
        yield from places(value, (*place, key))


def changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


def damage(folder: Path, chance: random.Random) -> object:
    """Change one file of a training, in a value or in bytes; says how."""
    path = chance.choice(sorted(each for each in folder.iterdir() if each.suffix in (".json", ".safetensors")))
    if path.suffix == ".json" and chance.random() < 0.8:
        document = json.loads(path.read_text())
        place, value = chance.choice(list(places(document))), chance.choice(NASTY)
        path.write_text(json.dumps(changed(document, place, value)))
        return path.name, place, str(value)[:40]
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 4, 64))):  # the beginning decides what the rest is taken for
        content[chance.randrange(chance.choice((8, min(4000, len(content)), len(content))))] = chance.randrange(256)
    path.write_bytes(content[: chance.choice((None, None, chance.randrange(len(content))))])
    return path.name, "bytes"


def answers(words: list[str], capsys: pytest.CaptureFixture[str], *, how: object) -> None:
    before = psutil.Process().memory_info().rss
    try:
        code = run(words)
    except Exception as error:
        pytest.fail(f"{words[0]} on {how}: {type(error).__name__}: {error}")
    said = "".join(capsys.readouterr())
    assert code in (0, 2), (words[0], how, said)
    assert "\x1b" not in said, (words[0], how)
    assert psutil.Process().memory_info().rss - before < MEMORY, (words[0], how)


def test_a_finished_training_that_was_changed_is_answered(
    finished: Path, training: Callable[[Path], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(18)
    for number in range(FUZZED):
        folder = tmp_path / f"changed{number}"
        shutil.copytree(finished, folder)
        how = damage(folder, chance)
        answers(["predict", str(folder), str(folder / "photo.png")], capsys, how=how)
        export = ["export", str(folder), "--format", "safetensors", "--to", str(tmp_path / f"model{number}")]
        answers(export, capsys, how=how)
        answers(training(folder), capsys, how=how)
        shutil.rmtree(folder)


def test_a_cut_off_training_that_was_changed_is_answered(
    cut_off: Path, training: Callable[[Path], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(81)
    for number in range(FUZZED // 2):
        folder = tmp_path / f"changed{number}"
        shutil.copytree(cut_off, folder)
        answers(training(folder), capsys, how=damage(folder, chance))
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("resolution",), 10**6),
        (("stored_side",), 10**6),
        (("architecture", "num_classes"), 10**8),
        (("architecture", "latent"), 10**8),
        (("architecture", "layers", 0, "squeeze"), 10**6),
        (("classes",), "0123456789"),
        (("scale",), [float("nan")]),
        (("top1",), 12),
    ],
)
def test_what_no_training_has_written_takes_no_memory(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[Any, ...], value: Any
) -> None:
    folder = tmp_path / "training"
    shutil.copytree(finished, folder)
    sidecar = folder / "network.json"
    sidecar.write_text(json.dumps(changed(json.loads(sidecar.read_text()), place, value)))
    before = psutil.Process().memory_info().rss
    assert run(["predict", str(folder), str(folder / "photo.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert psutil.Process().memory_info().rss - before < 2**27


@pytest.mark.parametrize("name", ["network.json", "network.safetensors", "plan.json", "result.json"])
def test_a_pipe_in_a_files_place_is_not_waited_for(
    finished: Path,
    training: Callable[[Path], list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    folder = tmp_path / "training"
    shutil.copytree(finished, folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    words = training(folder) if name in ("plan.json", "result.json") else ["predict", str(folder), "photo.png"]
    assert run(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_images_that_are_pipes_devices_or_folders_are_named(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    images = [str(tmp_path / name) for name in ("pipe.png", "endless.png", "missing.png")]
    assert run(["predict", str(finished), *images]) == 2
    said = capsys.readouterr().err
    assert all(image in said for image in images)


def test_a_document_is_a_regular_file_of_a_reasonable_size(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="larger than 16 MiB"):
        read_document(path)
    path.write_bytes(b"12345")
    assert read_bytes(path, limit=5) == b"12345"
    with pytest.raises(OSError, match="larger"):
        read_bytes(path, limit=4)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(Path("/dev/null"))
    for text in ("[" * 100_000, "[1]", "3"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"nested|no JSON object"):
            read_json(path)


def test_an_endless_blueprint_or_recipe_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "endless.toml").symlink_to("/dev/zero")
    with pytest.raises(BetanasError):
        bn.Blueprint.load(tmp_path / "endless.toml")
    for words in (
        ["search", "--data", "digits", "--study", str(tmp_path / "study"), "--config", str(tmp_path / "endless.toml")],
        ["search", "--data", "digits", "--study", str(tmp_path / "study"), "--recipe", str(tmp_path / "endless.toml")],
        ["describe", "betanet3", "--vector", str(tmp_path / "endless.toml")],
    ):
        assert run(words) == 2
        assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
