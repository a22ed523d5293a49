from __future__ import annotations

import csv
import io
import json
import shutil
import struct

import pytest

from betanas.analysis.catalogue import FIGURES, TABLES
from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.formats import latex_text, to_csv, to_json, to_latex
from betanas.analysis.singles import single_piece
from betanas.analysis.snapshot import StudySnapshot

ROWS = [{"name": "a,b", "x": 1.234567, "n": 3}, {"name": "50% of_it", "x": None, "n": 4}]


def test_csv_reads_back() -> None:
    read = list(csv.DictReader(io.StringIO(to_csv(ROWS))))
    assert read == [{"name": "a,b", "x": "1.234567", "n": "3"}, {"name": "50% of_it", "x": "", "n": "4"}]


def test_csv_holds_no_formula() -> None:
    rows = [{"name": name, "=x": -1.5} for name in ("=1+1", "@x", "-", "-2.5", "+cmd|' /C calc'!A0")]
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [row["name"] for row in read] == ["'=1+1", "'@x", "-", "-2.5", "'+cmd|' /C calc'!A0"]
    assert {row["'=x"] for row in read} == {"-1.5"}


def test_json_has_no_nan() -> None:
    assert json.loads(to_json([{"a": float("nan"), "b": 1.5, "c": None}])) == [{"a": None, "b": 1.5, "c": None}]


def test_latex_escapes_and_aligns() -> None:
    text = to_latex(ROWS, caption="50% & more")
    assert r"\begin{tabular}{lrr}" in text
    assert r"50\% of\_it & -- & 4 \\" in text
    assert "a,b & 1.23 & 3" in text
    assert r"\caption{50\% \& more}" in text
    assert latex_text("\\{}~^<>") == (
        r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
    )


@pytest.mark.parametrize("piece", TABLES, ids=lambda piece: piece.name)
def test_every_table_is_written_in_every_format(piece, snapshot: StudySnapshot) -> None:
    rows = json.loads(single_piece(snapshot, piece.name, "json"))
    assert rows
    read = list(csv.DictReader(io.StringIO(single_piece(snapshot, piece.name, "csv").decode())))
    assert len(read) == len(rows)
    assert list(read[0]) == list(rows[0])
    latex = single_piece(snapshot, piece.name, "latex").decode()
    assert latex.count(r" \\") == len(rows) + 1


def test_a_figure_is_written_as_json_and_as_a_page(snapshot: StudySnapshot) -> None:
    assert json.loads(single_piece(snapshot, "history", "json"))["data"]
    assert b"plotly" in single_piece(snapshot, "history", "html")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (None, "png", "Type --only with clusters, comparison"),
        (None, "csv", "Type --only with"),
        ("nothing", "csv", "The tables of a study are"),
        ("nothing", "svg", "The figures of a study are"),
        ("history", "latex", "The tables of a study are"),
    ],
)
def test_a_wrong_name_gets_the_right_ones(snapshot: StudySnapshot, name: str | None, kind: str, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        single_piece(snapshot, name, kind)


def test_a_piece_without_data_says_what_is_missing(empty_snapshot: StudySnapshot) -> None:
    with pytest.raises(MissingDataError):
        single_piece(empty_snapshot, "clusters", "csv")


needs_chromium = pytest.mark.skipif(
    not any(map(shutil.which, ("chromium", "google-chrome", "chrome"))), reason="needs Chromium"
)


@needs_chromium
def test_a_figure_is_drawn_as_png_at_twice_its_size(snapshot: StudySnapshot) -> None:
    png = single_piece(snapshot, "processes", "png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1600, 840)


@needs_chromium
@pytest.mark.soak
def test_a_figure_is_drawn_as_svg(snapshot: StudySnapshot) -> None:
    svg = single_piece(snapshot, "processes", "svg")
    assert svg.startswith(b"<svg")
    assert b"Epoch time by number of processes" in svg


def test_without_a_browser_the_hint_names_one(snapshot: StudySnapshot, monkeypatch) -> None:
    import kaleido
    from kaleido.errors import ChromeNotFoundError

    from betanas.errors import DeviceError

    def nowhere(*_, **__):
        raise ChromeNotFoundError

    monkeypatch.setattr(kaleido, "calc_fig_sync", nowhere)
    with pytest.raises(DeviceError, match="apt install chromium"):
        single_piece(snapshot, "history", "png")


def test_without_kaleido_the_extra_is_named(snapshot: StudySnapshot, monkeypatch) -> None:
    import sys

    from betanas.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(MissingExtraError, match=r"betanas\[plot\]"):
        single_piece(snapshot, "history", "svg")


def test_figures_and_tables_have_counterparts_in_the_report() -> None:
    found = " ".join(piece.counterpart for piece in (*FIGURES, *TABLES))
    for number in (13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28):
        assert str(number) in found
