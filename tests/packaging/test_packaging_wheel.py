"""The wheel: what it holds, that it works without the source tree, and that the other files agree with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import betanas

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (found,) = target.glob("*.whl")
    return found


def test_it_holds_what_the_package_reads_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packaged = {name for name in names if name.startswith("betanas/")}
    kept = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "betanas").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == kept
    assert {
        "betanas/py.typed",
        "betanas/training/recipes/fast.toml",
        "betanas/analysis/templates/report.css",
    } <= packaged


def test_it_works_apart_from_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(target)
    program = "import betanas, runpy; print(betanas.__file__); runpy.run_module('betanas', run_name='__main__')"
    environment = {**os.environ, "PYTHONPATH": str(target)}
    command = [sys.executable, "-c", program, "describe", "betanet3", "--published", "--json"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    home, _, document = answer.stdout.partition("\n")
    assert Path(home).is_relative_to(target)
    assert json.loads(document)["num_params"] == 5_110_124


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_it_installs_and_searches_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    binaries = place / "bin"
    subprocess.run([binaries / "pip", "install", "--quiet", str(wheel)], check=True)
    command = [binaries / "betanas", "search", "--data", "digits", "--space", "betanet3", "--study", "first"]
    sizes = ["--resolution", "16", "--budget", "5steps", "--trials", "3", "--json"]
    answer = subprocess.run([*command, *sizes], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["trials"]["completed"] == 3


def test_the_citation_and_the_changelog_know_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(betanas.__version__)}$", citation, re.MULTILINE)
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_core_is_slim(wheel: Path) -> None:
    """Neither Ax nor anything that draws, serves, exports or trains on several devices."""
    with zipfile.ZipFile(wheel) as opened:
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        described = message_from_bytes(opened.read(metadata))
    core = {re.split(r"[^\w.-]", each)[0] for each in described.get_all("Requires-Dist", []) if "extra ==" not in each}
    assert core == {
        *("filelock", "numpy", "pillow", "psutil", "pydantic", "rich", "safetensors", "sqlalchemy", "typer"),
        *("botorch", "gpytorch", "linear-operator", "scikit-learn", "scipy", "torch", "torchvision"),
        "typing-extensions",
    }


def test_extras_and_what_names_them_agree() -> None:
    declared = extras()
    own = {name for needed in declared.values() for each in needed for name in named_in(each)}
    assert own <= set(declared)
    said = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'\bextra="([\w-]+)"', path.read_text(encoding="utf-8"))
    } - {"forbid"}  # of pydantic, which calls a setting that it does not know one
    assert said
    assert said <= set(declared)
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    typed = {
        name
        for page in pages
        for found in re.findall(r"(?:betanas|\.)\[([\w,-]+)\]", page.read_text(encoding="utf-8"))
        for name in found.split(",")
    }
    assert typed <= set(declared)


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(project["optional-dependencies"])


def named_in(requirement: str) -> list[str]:
    found = re.fullmatch(r"betanas\[([\w,-]+)\]", requirement)
    return found[1].split(",") if found else []


def test_the_container_installs_extras_that_exist() -> None:
    declared = extras()
    found = re.search(r'^ARG EXTRAS="([\w,-]+)"$', (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert set(found[1].split(",")) <= set(declared)
