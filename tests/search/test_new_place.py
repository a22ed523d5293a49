"""A study that begins: what is made, what is taken back where it fails, and two that begin at once."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

import betanas as bn
from betanas.errors import StoreError, StudyError
from betanas.search.records import StudyPlan
from betanas.search.settings import ResumeSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.lock import StudyLock, is_locked
from betanas.search.store.place import new_place
from betanas.search.store.store import Store
from betanas.search.study import Study


def begin(directory: Path, plan: StudyPlan) -> None:
    location = StudyLocation.parse(directory)
    with ExitStack() as held, new_place(location, held):
        Store.create(location, plan).close()


def test_a_search_that_fails_while_it_begins_takes_nothing_along(tmp_path: Path, plan: StudyPlan) -> None:
    """It made `runs/`; others have put a study and notes there meanwhile."""
    runs = tmp_path / "deep" / "runs"

    def fail(location: StudyLocation) -> None:
        with ExitStack() as held, new_place(location, held):
            begin(runs / "b", plan)
            (runs / "notes.txt").write_text("mine")
            raise StoreError("The disk is full.")

    with pytest.raises(StoreError, match="full"):
        fail(StudyLocation.parse(runs / "a"))
    assert sorted(path.name for path in runs.iterdir()) == ["b", "notes.txt"]
    with Study.open(runs / "b") as study:
        assert study.plan == plan


def test_files_in_the_studys_own_directory_stay(tmp_path: Path) -> None:
    def fail(location: StudyLocation) -> None:
        with ExitStack() as held, new_place(location, held):
            (tmp_path / "a" / "notes.txt").write_text("mine")
            raise StoreError("The disk is full.")

    with pytest.raises(StoreError):
        fail(StudyLocation.parse(tmp_path / "a"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["notes.txt"]


def test_nothing_is_left_of_a_search_that_could_not_begin(tmp_path: Path) -> None:
    def fail(location: StudyLocation) -> None:
        with ExitStack() as held, new_place(location, held):
            raise StoreError("The disk is full.")

    with pytest.raises(StoreError):
        fail(StudyLocation.parse(tmp_path / "runs" / "a"))
    (tmp_path / "kept").mkdir()
    with pytest.raises(StoreError):
        fail(StudyLocation.parse(tmp_path / "kept"))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"], "a folder that was there before is not removed"


def test_a_file_in_the_way_is_refused_and_stays(tmp_path: Path, plan: StudyPlan) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StoreError, match="cannot be made"):
        begin(tmp_path / "runs" / "a", plan)
    assert (tmp_path / "runs").read_text() == "a file"


@pytest.mark.parametrize("folder", ["study", "new/folder/study"])
def test_of_many_that_begin_at_once_one_has_the_study(tmp_path: Path, plan: StudyPlan, folder: str) -> None:
    """The refused ones leave the winner's study whole; before, one in ten such pairs deleted it."""
    context = multiprocessing.get_context("fork")
    for attempt in range(10):
        directory = tmp_path / str(attempt) / folder
        at_once = context.Barrier(4)

        def run(directory: Path = directory, at_once: object = at_once) -> None:
            at_once.wait()  # type: ignore[attr-defined]
            try:
                begin(directory, plan)
            except StudyError:
                os._exit(2)
            except StoreError:
                os._exit(3)
            os._exit(0)

        processes = [context.Process(target=run) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert sorted(process.exitcode for process in processes) == [0, 2, 2, 2]  # type: ignore[type-var]
        assert not list(directory.glob("*.unfinished*"))
        with Study.open(directory) as study:
            assert study.plan == plan


def test_a_refused_resume_changes_nothing(tmp_path: Path, plan: StudyPlan) -> None:
    """Neither for want of trust, nor for an option that cannot be, nor for a search that has the study."""
    directory = tmp_path / "study"
    begin(directory, plan)
    with StudyLock(directory), pytest.raises(StudyError, match="one process at a time"):
        bn.resume(directory, ResumeSettings(trials=1000))
    with pytest.raises(StudyError, match="--executor ray"):
        bn.resume(directory, ResumeSettings(trials=1000, trial_cpus=2))
    with pytest.raises(StudyError, match="--trials must be"):
        bn.resume(directory, ResumeSettings(trials=0))
    with Study.open(directory) as study:
        assert study.plan.search.trials == plan.search.trials
        assert study.sessions() == ()
    assert not is_locked(directory)
