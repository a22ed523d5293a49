"""Whether a name stands for a Python file: one answer for whoever runs files and whoever decides whether they may."""

from __future__ import annotations

from pathlib import Path

import pytest

from betanas.errors import DataError, UserError
from betanas.userfile import python_file, run_user_file


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python file in the working directory."""
    monkeypatch.chdir(tmp_path)
    file = (tmp_path / "mine.py").resolve()
    file.write_text("answer = 42\n")
    return file


@pytest.mark.parametrize("name", ["mine.py", "./mine.py", "mine.py/", "mine.py/.", "mine.py//", "other/../mine.py"])
def test_however_it_is_spelled_it_is_that_file(mine: Path, name: str) -> None:
    assert python_file(name) == mine
    assert python_file(Path(name)) == mine
    assert python_file(f"{mine.parent}/{name}") == mine


def test_links_lead_to_the_file(mine: Path) -> None:
    Path("link").symlink_to(mine)
    Path("link-to-a-link").symlink_to("link")
    assert python_file("link") == python_file("link-to-a-link/") == mine


def test_a_link_that_is_called_py_is_one_whatever_it_leads_to(mine: Path) -> None:
    Path("words").write_text("")
    Path("link.py").symlink_to("words")
    assert python_file("link.py/") == mine.with_name("link.py")


def test_upper_case_counts(mine: Path) -> None:
    mine.rename("MINE.Py")
    assert python_file("MINE.Py") == mine.with_name("MINE.Py")
    assert run_user_file(Path("MINE.Py"), kind="A file", error=UserError).answer == 42


def test_a_home_is_looked_up(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(mine.parent))
    assert python_file("~/mine.py") == mine


@pytest.mark.parametrize("name", ["missing.py", ".py", "circle.py", "~nobody-of-that-name/mine.py", "zero\0.py"])
def test_a_file_that_cannot_be_there_counts_too(mine: Path, name: str) -> None:
    Path("circle.py").symlink_to("circle.py")
    assert python_file(name) is not None


@pytest.mark.parametrize(
    "name", ["betanet3", "photos", "photos/", "mine.pyc", "mine.py.txt", "", ".", "folder.py", "a\0"]
)
def test_other_names_stand_for_something_else(mine: Path, name: str) -> None:
    Path("folder.py").mkdir()
    assert python_file(name) is None


def test_a_circle_of_links_is_refused_like_a_missing_file(mine: Path) -> None:
    Path("circle.py").symlink_to("circle.py")
    with pytest.raises(DataError, match="must exist"):
        run_user_file(Path("circle.py"), kind="A file", error=DataError)
