from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from betanas.errors import StoreError, StudyError
from betanas.finding.place import Place, Plan, command, refuse_other
from betanas.finding.timetable import Timetable

TABLE = Timetable(100.0, 50.0, 70.0, 2.0, 10, 2, 1, 20.0, 60.0)
ASKED = {"data": "digits", "time": "3m"}


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    place, plan = Place(tmp_path / "m"), Plan(ASKED, {"resolution": 16}, TABLE, "abc")
    with place.held():
        place.write_plan(plan)
    assert place.plan() == plan
    place.check("digits")


def test_what_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    place = Place(tmp_path / "a" / "b")
    with pytest.raises(ZeroDivisionError), place.held():
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()
    (tmp_path / "there").mkdir()
    with Place(tmp_path / "there").held():
        pass
    assert list((tmp_path / "there").iterdir()) == []


def test_a_folder_inside_the_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="must lie outside the images' folder"):
        Place(tmp_path / "photos" / "model").check(str(make(tmp_path / "photos")))
    with pytest.raises(StudyError, match="must lie outside the images' folder"):
        Place(tmp_path / "photos").check(str(tmp_path / "photos"))


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (make(tmp_path / "m") / "thesis.txt").write_text("precious")
    with pytest.raises(StudyError, match="must be a new folder"):
        Place(tmp_path / "m").check("digits")
    with pytest.raises(StudyError, match="--to must be a folder"):
        Place(tmp_path / "m" / "thesis.txt").check("digits")
    assert [each.name for each in (tmp_path / "m").iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"), Place(tmp_path / "file" / "m").held():
        pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    script = f"""
import sys
from betanas.finding.place import Place
with Place({str(tmp_path / "m")!r}).held():
    print("held", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(StudyError, match="One process at a time"), Place(tmp_path / "m").held():
        pass
    other.communicate("")


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', '{"format": 1, "asked": {}}'])
def test_a_damaged_plan(tmp_path: Path, content: str) -> None:
    (make(tmp_path / "m" / ".find") / "plan.json").write_text(content)
    with pytest.raises(StudyError, match="must be whole"):
        Place(tmp_path / "m").plan()


def test_a_damaged_result(tmp_path: Path) -> None:
    (make(tmp_path / "m") / "find.json").write_text("{")
    with pytest.raises(StudyError, match="must be whole"):
        Place(tmp_path / "m").result()


def test_another_find_is_refused_with_what_to_type(tmp_path: Path) -> None:
    place = Place(tmp_path / "my model")
    asked = {**ASKED, "max_params": 30_000, "flip": False, "ranges": {"k": [2.0, 3.0]}, "fixed": {"K": 2.0}, "top": 3}
    plan = Plan(asked, {}, TABLE, "abc")
    refuse_other(asked, plan, place)
    with pytest.raises(StudyError, match="another data") as refused:
        refuse_other({**asked, "data": "fashion-mnist"}, plan, place)
    assert command(asked, place) in refused.value.hint
    with pytest.raises(StudyError, match="another seed"):
        refuse_other({**asked, "seed": 1}, plan, place)
    assert shlex.split(command(asked, place)) == [
        *("betanas", "find", "digits", "--time", "3m", "--to", str(place.folder)),
        *("--max-params", "30000", "--no-flip", "--range", "k=2.0:3.0", "--fix", "K=2.0", "--top", "3"),
    ]


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
