from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from betanas.analysis.errors import AnalysisError
from betanas.cli.report import report
from betanas.errors import StudyError


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(report)
    return app


def test_a_report_is_written_where_it_is_wanted(app: typer.Typer, stored_study: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    answer = CliRunner().invoke(app, [str(stored_study), "--output", str(target)])
    assert answer.exit_code == 0, answer.output
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_without_output_the_file_is_named_after_the_study(
    app: typer.Typer, stored_study: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, name in (
        (["--format", "csv", "--only", "trials"], "digits-trials.csv"),
        (["--format", "latex", "--only", "layers"], "digits-layers.tex"),
        (["--format", "json", "--only", "history"], "digits-history.json"),
    ):
        answer = CliRunner().invoke(app, [str(stored_study), *arguments])
        assert answer.exit_code == 0, answer.output
        assert name in answer.output
        assert (tmp_path / name).stat().st_size > 100
    json.loads((tmp_path / "digits-history.json").read_text())


def test_the_files_ending_says_what_is_written(app: typer.Typer, stored_study: Path, tmp_path: Path) -> None:
    read = {}
    for name, only in (("trials.csv", "trials"), ("layers.tex", "layers"), ("history.JSON", "history")):
        answer = CliRunner().invoke(app, [str(stored_study), "--only", only, "--output", str(tmp_path / name)])
        assert answer.exit_code == 0, answer.output
        read[name] = (tmp_path / name).read_text(encoding="utf-8")
    assert len(read["trials.csv"].partition("\n")[0].split(",")) > 3
    assert r"\begin{tabular}" in read["layers.tex"]
    assert json.loads(read["history.JSON"])
    whole = CliRunner().invoke(app, [str(stored_study), "--output", str(tmp_path / "all.svg")])
    assert isinstance(whole.exception, AnalysisError), "a picture is of one figure"
    assert not (tmp_path / "all.svg").exists()


def test_the_pieces_are_listed_without_opening_the_study(app: typer.Typer) -> None:
    answer = CliRunner().invoke(app, ["nowhere", "--list"])
    assert answer.exit_code == 0
    assert "history" in answer.output
    assert "Figures 18 and 22" in answer.output


def test_wrong_input_ends_in_a_users_error(app: typer.Typer, stored_study: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert isinstance(run(app, [str(tmp_path / "none")]).exception, StudyError)
    assert isinstance(run(app, [str(stored_study), "--format", "png"]).exception, AnalysisError)
    assert isinstance(run(app, [str(stored_study), "--only", "nothing"]).exception, AnalysisError)
    blocked = tmp_path / "file"
    blocked.write_text("")
    failure = run(app, [str(stored_study), "--only", "trials", "--format", "csv", "-o", str(blocked / "x.csv")])
    assert isinstance(failure.exception, AnalysisError)
    assert "--output" in str(failure.exception)


def test_a_picture_is_of_the_kind_that_its_name_ends_in(app: typer.Typer, stored_study: Path, tmp_path: Path) -> None:
    for ending, begins in (("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("HTML", b"<!doctype html>")):
        target = tmp_path / f"history.{ending}"
        answer = CliRunner().invoke(app, [str(stored_study), "--only", "history", "--output", str(target)])
        assert answer.exit_code == 0, answer.exception
        assert target.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--only", "history", "--output", "p.jpg"], "--output p.svg"),
        (["--only", "history", "--format", "svg", "--output", "p.png"], "a name that ends in .svg"),
        (["--output", "p.svg"], "Type --only"),
    ],
)
def test_a_name_that_promises_something_else_is_refused(
    app: typer.Typer, stored_study: Path, tmp_path: Path, monkeypatch, arguments: list[str], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    failure = CliRunner().invoke(app, [str(stored_study), *arguments]).exception
    assert isinstance(failure, AnalysisError)
    assert hint in str(failure)
    assert not list(tmp_path.iterdir())
