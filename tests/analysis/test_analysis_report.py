from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from betanas.analysis.catalogue import FIGURES, FigurePiece
from betanas.analysis.figures import of_study
from betanas.analysis.report import StudyReport, build_report, script_safe_json
from betanas.analysis.snapshot import StudySnapshot


class Outline(HTMLParser):
    """Tags, headings and the contents of JSON scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[int, str]] = []
        self.text: list[str] = []
        self.scripts: dict[str, str] = {}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id", "") if tag == "script" else tag
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self.headings and re.fullmatch("h[1-6]", self._inside):
            level, text = self.headings[-1]
            self.headings[-1] = (level, text + data)
        if self.tags and self.tags[-1][0] == "script" and self._inside:
            self.scripts[self._inside] = self.scripts.get(self._inside, "") + data
        else:
            self.text.append(data)


@pytest.fixture(scope="module")
def made(snapshot: StudySnapshot) -> StudyReport:
    return build_report(snapshot, now=datetime(2026, 3, 2, tzinfo=UTC))


@pytest.fixture(scope="module")
def html(made: StudyReport) -> str:
    return made.html


def test_the_report_is_whole(made: StudyReport, html: str) -> None:
    assert made.failed == {}
    assert set(made.missing) == {"scaling-rules"}
    outline = Outline(html)
    drawn = {attrs["data-figure"] for _, attrs in outline.tags if "data-figure" in attrs}
    assert drawn == {piece.name for piece in FIGURES if piece.section} - {"scaling-rules"}
    for name in drawn:
        document = json.loads(outline.scripts[f"data-{name}"])
        assert document["data"]
        assert "template" not in document["layout"]
    assert set(json.loads(outline.scripts["themes"])) == {"light", "dark"}


def test_it_says_what_was_found_and_how(html: str) -> None:
    text = re.sub(r"\s+", " ", " ".join(Outline(html).text))
    assert "Of 120 trials (120 planned), 86 gave a result, 31 were infeasible, 3 failed" in text
    assert "In the search the best is trial 115, suggested by gpei: validation top-1 accuracy 62.56%" in text
    assert "betanas resume runs/digits" in text
    assert "The loss became NaN after 37 steps." in text
    assert "Two cores" in text
    assert "Seed" in text
    assert "2026-03-02 00:00 UTC" in text


def test_it_needs_nothing_from_elsewhere(html: str) -> None:
    outline = Outline(html)
    for tag, attrs in outline.tags:
        assert "src" not in attrs, tag
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        assert attrs.get("href", "#").startswith("#")


def test_headings_follow_one_another_and_tables_have_captions(html: str) -> None:
    outline = Outline(html)
    levels = [level for level, _ in outline.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(text.strip() for _, text in outline.headings)
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("table") == tags.count("caption") > 5
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in outline.tags:
        if attrs.get("href", "").startswith("#"):
            assert attrs["href"][1:] in ids
        if attrs.get("role") == "region":
            assert attrs["aria-label"]


def test_a_strangers_study_stays_words(hostile_snapshot: StudySnapshot) -> None:
    made = build_report(hostile_snapshot)
    assert made.failed == {}
    outline = Outline(made.html)
    assert not any(tag == "img" or any(name.startswith("on") for name in attrs) for tag, attrs in outline.tags)
    scripts = [attrs for tag, attrs in outline.tags if tag == "script"]
    assert sum("id" not in attrs for attrs in scripts) == 1  # the report's own
    assert "window.hacked=1" in " ".join(outline.text)  # shown, not run
    parameters = {"<b onclick=x>": (0.0, 1.0), **dict(list(hostile_snapshot.plan.search.ranges.items())[1:])}
    trials = tuple(
        replace(t, vector={"<b onclick=x>": 0.5, **{k: v for k, v in t.vector.items() if k != "k"}})
        for t in hostile_snapshot.trials
    )
    odd = replace(
        hostile_snapshot,
        plan=replace(hostile_snapshot.plan, search=replace(hostile_snapshot.plan.search, ranges=parameters)),
        trials=trials,
        attachments=(),
    )
    assert "<b onclick" not in build_report(odd).html


def test_script_safe_json_cannot_end_its_script() -> None:
    text = script_safe_json({"a": "</script><!-- \u2028 &"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!-- \u2028 &"}


def test_one_failing_figure_does_not_sink_the_report(snapshot: StudySnapshot, monkeypatch) -> None:
    def broken(_: StudySnapshot):
        raise ZeroDivisionError("<i>the reason</i>")

    monkeypatch.setitem(of_study.DRAWN, "history", broken)
    made = build_report(snapshot)
    assert made.failed == {"history": "ZeroDivisionError: <i>the reason</i>"}
    assert "This figure could not be drawn. ZeroDivisionError: &lt;i&gt;the reason" in made.html
    assert 'data-figure="time"' in made.html


def test_damaged_documents_are_named_in_their_place(snapshot: StudySnapshot) -> None:
    broken = tuple(replace(one, document={"format": 1}) for one in snapshot.attachments)
    made = build_report(replace(snapshot, attachments=broken))
    assert {"slices", "comparison", "processes"} <= set(made.failed)
    assert "damaged" in made.failed["slices"]
    assert 'data-figure="history"' in made.html


def test_a_study_that_has_only_begun_has_a_report(empty_snapshot: StudySnapshot) -> None:
    made = build_report(empty_snapshot)
    assert made.failed == {}
    assert "there is no winner yet" in made.html
    assert "slices" in made.missing


def test_a_python_file_that_a_study_names_is_not_run(snapshot: StudySnapshot, tmp_path: Path) -> None:
    trap = tmp_path / "space.py"
    trap.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    made = build_report(replace(snapshot, plan=snapshot.plan.changed(space=str(trap))))
    assert not (tmp_path / "ran").exists()
    assert "runs none that a study names" in made.missing["scaling"]
    assert 'data-figure="schematic"' in made.html  # the stored network needs no code


def test_a_thousand_trials_stay_under_eight_megabytes(snapshot: StudySnapshot) -> None:
    copies = 1000 // len(snapshot.trials) + 1
    trials = tuple(
        replace(t, index=t.index + 120 * copy, blueprint_key=f"{t.blueprint_key}-{copy}")
        for copy in range(copies)
        for t in snapshot.trials
    )
    made = build_report(replace(snapshot, trials=trials, blueprints={115: snapshot.blueprints[115]}))
    assert len(trials) >= 1000
    assert len(made.html.encode()) < 8 * 2**20


def test_a_report_loads_neither_torch_nor_ax_nor_pandas(stored_study: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from betanas.cli.report import report\n"
        f"report({str(stored_study)!r}, output=__import__('pathlib').Path({str(tmp_path / 'r.html')!r}))\n"
        "print(sorted({'torch', 'ax', 'pandas', 'sklearn', 'botorch', 'optuna'} & set(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "r.html").stat().st_size > 10**6


def test_what_few_look_for_is_folded_and_the_source_is_named_once(html: str) -> None:
    folded = re.findall(r"<details><summary>More: ([^<]+)</summary>", html)
    assert "The surrogate over two parameters" in folded
    assert "Trial history" not in folded
    assert html.count("University of Sydney") == 1
    assert "Trial history is its Figures 18 and 22" in html
    assert "Counterpart" not in html


def test_every_piece_has_a_name_of_its_own() -> None:
    names = [piece.name for piece in FIGURES]
    assert len(names) == len(set(names))
    assert all(isinstance(piece, FigurePiece) for piece in FIGURES)


def test_without_plotly_tables_work_and_the_extra_is_named(stored_study: Path) -> None:
    code = (
        "import sys, importlib, pkgutil\n"
        "sys.modules['plotly'] = sys.modules['pandas'] = None\n"
        "import betanas.analysis.tables as tables, betanas.notebook\n"
        "for found in pkgutil.iter_modules(tables.__path__): "
        "importlib.import_module(f'betanas.analysis.tables.{found.name}')\n"
        "from betanas.search.study import Study\n"
        "from betanas.analysis.snapshot import StudySnapshot\n"
        "from betanas.analysis.singles import single_piece\n"
        "from betanas.analysis.report import build_report\n"
        "from betanas.errors import MissingExtraError\n"
        f"snapshot = StudySnapshot.of(Study.open({str(stored_study)!r}))\n"
        "print(single_piece(snapshot, 'clusters', 'csv').decode().splitlines()[0])\n"
        "print(betanas.notebook.study_html(snapshot)[:4])\n"
        "for fails in (lambda: build_report(snapshot), lambda: single_piece(snapshot, 'history', 'png')):\n"
        "    try: fails()\n"
        "    except MissingExtraError as error: print(error.hint)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == [
        "Cluster,Best,Cluster 0,Cluster 1,Cluster 2,Cluster 3",
        "<div",
        *["Install it with: pip install 'betanas[plot]'"] * 2,
    ]
