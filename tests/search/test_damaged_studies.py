"""Study files that are not as we wrote them: damaged by a disk, or made by somebody to do harm.

Whatever they hold, a command answers with what can be read, or with one message and exit code 2.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import betanas as bn
from betanas.blueprint import Blueprint
from betanas.cli.main import run
from betanas.errors import StudyError
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.store.location import StudyLocation
from betanas.search.store.schema import metadata
from betanas.search.store.store import Store
from betanas.search.study import Study
from betanas.training.result import CurvePoint, TrialResult

# `make soak` tries many more.
FUZZED = 3000 if os.environ.get("BETANAS_SOAK") else 20

NASTY = (
    *("text", "", "null", "[1]", "{", "{}", "[" * 5000, '{"a": 1e999}', '{"k": "x"}', "x" * 100_000),
    *("[/usr]", "\x1b[31mred\x1b[0m", "9999-99-99 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59"),
    *(b"\xff\xfe", 1e999, -1e300, -(2**63), 2**62, 0.5, -1, None),
)


@pytest.fixture
def whole(
    tmp_path: Path, plan: StudyPlan, make_record: Callable[..., TrialRecord], digits_blueprint: Blueprint
) -> Path:
    """A study with a session, four trials with curves, and a document."""
    place = tmp_path / "whole"
    place.mkdir()
    store = Store.create(StudyLocation.parse(place), plan)
    session = store.begin_session(host="here", pid=1, command="betanas search", versions={}, hardware={})
    for index in range(4):
        store.add_trial(make_record(index, started=store.now()), digits_blueprint)
        curve = (CurvePoint(1.0, 10, 0.5, 2.0, 0.3),)
        result = TrialResult("completed", top1=0.5 + index / 10, top5=0.9, curve=curve, training_seconds=1.0)
        store.end_trial(index, 1, result, objective=result.top1)
    store.attach("surrogate", "gpei", {"version": 1})
    store.end_session(session, "finished")
    store.close()
    return place


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the study with a statement run on it."""
    numbers = iter(range(10**6))

    def make(statement: str, *values: object) -> Path:
        place = tmp_path / f"damaged{next(numbers)}"
        shutil.copytree(whole, place)
        with closing(sqlite3.connect(place / "study.sqlite")) as database, database:
            database.execute(statement, values)
        return place

    return make


def answers(place: Path, capsys: pytest.CaptureFixture[str], *, what: object) -> Iterator[tuple[int, str]]:
    for command in (["status", str(place)], ["status", str(place), "--json"], ["best", str(place)]):
        try:
            code = run(command)
        except Exception as error:
            pytest.fail(f"{command[0]} on {what}: {type(error).__name__}: {error}")
        said = "".join(capsys.readouterr())
        assert code in (0, 2), (what, said)
        assert "\x1b" not in said, what
        yield code, said


def test_any_value_in_any_column_is_answered(damaged: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(0)
    columns = [(table.name, column.name) for table in metadata.sorted_tables for column in table.c]
    pairs = [(table, column, value) for table, column in columns for value in NASTY]
    for table, column, value in chance.sample(pairs, min(len(pairs), FUZZED)):
        try:
            place = damaged(f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})", value)
        except sqlite3.Error:
            continue  # the column takes no such value
        for _ in answers(place, capsys, what=(table, column, value)):
            pass


def test_flipped_and_cut_files_are_answered(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(1)
    content = (whole / "study.sqlite").read_bytes()
    for number in range(FUZZED):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 4, 64))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        place = tmp_path / f"flipped{number}"
        place.mkdir()
        (place / "study.sqlite").write_bytes(changed[: chance.choice((None, None, chance.randrange(len(changed))))])
        for _ in answers(place, capsys, what=("flipped", number)):
            pass


def test_one_damaged_trial_does_not_hide_the_others(
    damaged: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    place = damaged("UPDATE trials SET top1 = 'high', started = 'then' WHERE number = 3")
    assert run(["status", str(place), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"]["completed"] == 3
    assert found["best"]["trial"] == 2
    assert found["damaged"] == ["trials 3: top1, started"]
    assert run(["status", str(place)]) == 0
    assert "trials 3: top1, started" in capsys.readouterr().out
    report = place / "report.html"
    assert run(["report", str(place), "--output", str(report)]) == 0
    assert "Damaged and left out: trials 3: top1, started." in report.read_text(encoding="utf-8")
    with pytest.raises(StudyError, match="trials 3: top1, started"):
        bn.resume(place)


def test_a_damaged_curve_is_its_trials(damaged: Callable[..., Path]) -> None:
    with Study.open(damaged("UPDATE curve_points SET loss = 'low' WHERE trial_id = 2")) as study:
        assert [record.index for record in study.trials(curves=True)] == [0, 2, 3]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER more AFTER UPDATE ON studies BEGIN DELETE FROM trials; END",
        "CREATE VIRTUAL TABLE more USING fts5(a)",
        "ALTER TABLE trials DROP COLUMN top5",
        "DROP TABLE attempts",
        "DELETE FROM schema_info",
        "DELETE FROM studies",
        "UPDATE studies SET plan = '[1]'",
    ],
)
def test_what_is_no_study_of_ours_is_refused(
    damaged: Callable[..., Path], capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    place = damaged(statement)
    for code, _ in answers(place, capsys, what=statement):
        assert code == 2


def test_a_view_that_never_ends_is_not_asked(damaged: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    place = damaged("ALTER TABLE sessions RENAME TO others")
    with closing(sqlite3.connect(place / "study.sqlite")) as database, database:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT others.* FROM others, n"
        database.execute(f"CREATE VIEW sessions AS {endless}")
    for code, said in answers(place, capsys, what="endless view"):
        assert code == 2
        assert "view" in said


def test_what_looks_like_markup_or_obeys_a_terminal_is_printed(
    damaged: Callable[..., Path], plan: StudyPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    document = plan.to_document()
    document["search"]["space"] = "[/usr/lib][bold]\x1b[31mred\u202e"
    place = damaged("UPDATE studies SET plan = ?", json.dumps(document))
    assert run(["status", str(place)]) == 0
    said = capsys.readouterr().out
    assert "[/usr/lib][bold]\\x1b[31mred\\u202e" in said.replace("\n", "")


def test_a_network_that_is_damaged_is_named(damaged: Callable[..., Path]) -> None:
    with Study.open(damaged("UPDATE trials SET blueprint = '{}' WHERE number = 3")) as study:
        assert study.blueprint(2)
        with pytest.raises(bn.BetanasError, match="trial 3"):
            study.blueprint(3)
