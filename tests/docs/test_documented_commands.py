"""Every command and program that README.md and docs/ tell a reader to type, typed: page by page, in order.

Commands stand in fenced `bash` blocks. They run as they are written but for sizes: budgets become steps, trials a few,
seeds one. What they work on is made up: photographs of unequal sizes, in class folders. A block with a title is a file.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from betanas.cli.main import run

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(?P<language>\w*)(?P<title>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)

# What a command is asked for here instead of what the page says, where the page says more.
_SMALL = {
    "--budget": "3steps",
    "--trials": "3",
    "--time": "10s",
    "--seeds": "1",
    "--top": "1",
    "--resolution": "16",
    "--batch-size": "8",
}

# Commands that wait for another machine, or train for long by their nature: run by the test that is named.
ELSEWHERE = {
    "betanas find": "tests/finding/test_find.py",
    "betanas profile --calibrate --from": "tests/profile/test_calibration.py",
    # For runtimes that are not installed everywhere.
    "betanas export model/training --to phone --with-preprocessing": "tests/export/test_export_preprocessing.py",
    "betanas export model/training --to android --with-preprocessing": "tests/export/test_export_on_device.py",
    "betanas export model/training --to apple --with-preprocessing": "tests/export/test_export_on_device.py",
    "betanas export model/training --to arm --with-preprocessing": "tests/export/test_export_on_device.py",
    # Asks what one of these has written.
    "betanas predict phone": "tests/export/test_export_preprocessing.py",
    "betanas export runs/photos --to photos-phone --format executorch": "tests/export/test_export_on_device.py",
    "betanas join": "tests/search/test_shared_store.py",
}


def commands(block: str) -> list[str]:
    lines = [line.strip() for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def smaller(words: Sequence[str], sizes: Mapping[str, str] = _SMALL) -> list[str]:
    """A command's words with small sizes; `--option value` and `--option=value` alike."""
    # There is no network to download a named data set from.
    found = ["photos" if word == "cifar100" else word for word in words]
    for place, word in enumerate(found):
        option, _, value = word.partition("=")
        if option in sizes and value:
            found[place] = f"{option}={sizes[option]}"
        elif option in sizes and place + 1 < len(found):
            found[place + 1] = sizes[option]
    if "--stop-early" in found:
        # Curves are compared at equal seconds, and training waits for the verdict.
        found[found.index("--budget") + 1] = "0.3s"
    elif found[0] in ("search", "resume", "compare") and not {"--executor", "--per-trial-devices"} & set(found):
        # Worker processes take seconds to start, and have tests of their own.
        found += ["--executor", "inline"]
    return found


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with everything that a page may take for granted: photographs, the examples, the recorded trials."""
    folder = tmp_path_factory.mktemp("workshop")
    generator = np.random.default_rng(0)
    for part, images in (("train", 12), ("test", 4)):
        for number, name in enumerate(("bird", "cat", "dog")):
            place = folder / "photos" / part / name
            place.mkdir(parents=True)
            for index in range(images):
                height, width = generator.integers(24, 60, size=2)
                pixels = generator.integers(0, 120, size=(height, width, 3)) + 60 * number
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{index}.jpg")
    shutil.copy(folder / "photos" / "test" / "cat" / "0.jpg", folder / "picture.jpg")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(ROOT / "benchmarks" / "data", folder / "benchmarks" / "data")
    return folder


# Of the pages, `make test` follows the first that a newcomer does; the tutorial types the same commands again.
AT_ONCE = ("README",)


def followed(page: Path) -> object:
    return pytest.param(page, id=page.stem, marks=() if page.stem in AT_ONCE else pytest.mark.nightly)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [followed(page) for page in PAGES])
def test_a_page_can_be_followed(page: Path, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(workshop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in _FENCE.finditer(page.read_text(encoding="utf-8")):
        title = re.search(r'title="(?P<name>[^"]+)"', block["title"])
        if title:
            # The text of an example is that of its file, which lies here already.
            if "--8<--" not in block["body"]:
                Path(title["name"]).write_text(block["body"], encoding="utf-8")
        elif block["language"] == "bash":
            for command in commands(block["body"]):
                follow(command)
        elif block["language"] == "python":
            exec(compile(shrunk(block["body"]), str(page), "exec"), names)


def follow(command: str) -> None:
    """Do what a line says, or check what it says where doing it would change the machine.

    Raises:
        AssertionError: it fails, or nobody knows how to check it.
    """
    words = shlex.split(command, comments=True)
    if any(command.startswith(prefix) for prefix in ELSEWHERE):
        return
    if words[0] == "betanas" and words[1] == "dashboard":
        serves(words)
    elif words[:2] == ["betanas", "experiment"]:
        # The plan is made and checked, and the networks are timed; tests/experiments goes on from there.
        assert run([*smaller(words[1:], {"--vectors": "2"}), "--only-plan"]) == 0, command
    elif words[0] == "betanas":
        assert run(smaller(words[1:])) == 0, command
    elif words[:2] == ["pip", "install"]:
        assert extras(words) <= declared_extras(), command
    elif words[0] == "make":
        assert set(words[1:]) <= make_targets(), command
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), command
    else:
        raise AssertionError(f"Say in this test how {command!r} is checked, or put it into a text block.")


def serves(words: list[str]) -> None:
    """The dashboard answers, until Ctrl-C."""
    pytest.importorskip("dash")
    command = [sys.executable, "-u", "-m", *words, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "http://" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=600)
    # 130 where Ctrl-C comes before the page is served.
    assert process.returncode in (0, 130), complaints


def extras(words: Sequence[str]) -> set[str]:
    return {name for word in words for found in re.findall(r"\[([\w,]+)\]", word) for name in found.split(",")}


def declared_extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_command_hides_in_another_kind_of_block(page: Path) -> None:
    others = [block for block in _FENCE.finditer(page.read_text(encoding="utf-8")) if block["language"] != "bash"]
    hidden = [line for block in others for line in block["body"].splitlines() if line.startswith(("betanas ", "pip "))]
    assert not hidden


def shrunk(program: str) -> str:
    """A program with small sizes."""
    program = re.sub(r'(budget|seconds)="\d+[sm]"', r'\1="0.2s"', program)
    return re.sub(r"trials=\d+", "trials=3", program)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def test_the_site_builds_without_a_broken_link_and_documents_its_reference(site: Path) -> None:
    assert "betanas.calls.search" in (site / "reference" / "everyday" / "index.html").read_text(encoding="utf-8")
    assert (site / "tutorial" / "index.html").is_file()


def test_what_is_run_elsewhere_is() -> None:
    for command, test in ELSEWHERE.items():
        assert command.split()[-1] in (ROOT / test).read_text(encoding="utf-8"), command
