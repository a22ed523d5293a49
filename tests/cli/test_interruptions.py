"""A search that is killed, interrupted or started twice: real processes, real signals."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from betanas.cli.main import run
from betanas.search.records import TrialRecord
from betanas.search.study import Study


def betanas(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "betanas", *arguments]


def completed(place: Path) -> tuple[TrialRecord, ...]:
    if not (place / "study.sqlite").exists():
        return ()
    with Study.open(place) as study:
        return tuple(record for record in study.trials() if record.state == "completed")


@pytest.fixture
def searching(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A search in a process of its own that has completed at least two of sixty trials."""
    place = tmp_path / "study"
    arguments = betanas("search", "--data", "digits", "--study", str(place), "--resolution", "16", "--trials", "60")
    arguments += ["--budget", "15steps", "--strategy", "sobol"]
    search = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 600
    while len(completed(place)) < 2:
        assert search.poll() is None, search.stdout.read() if search.stdout else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield search, place
    search.kill()
    search.wait()


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until_gone(processes: list[psutil.Process]) -> None:
    gone, alive = psutil.wait_procs(processes, timeout=300)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE], "orphans"
    assert len(gone) + len(alive) == len(processes)


def test_kill_9_loses_no_completed_trial(
    searching: tuple[subprocess.Popen[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    search, place = searching
    workers = descendants(search)
    assert workers
    # A second search is refused, and readers are not.
    assert run(["resume", str(place)]) == 2
    assert f"in use by process {search.pid}" in capsys.readouterr().err
    assert run(["status", str(place)]) == 0
    status = capsys.readouterr().out
    assert "running" in status or "finished" in status
    search.send_signal(signal.SIGKILL)
    search.wait()
    wait_until_gone(workers)
    before = completed(place)
    assert len(before) >= 2
    with Study.open(place) as study:
        assert study.state == "interrupted"
        assert study.status()["trials"]["running"] == 0
    planned = len(before) + 3
    assert run(["resume", str(place), "--trials", str(planned)]) == 0
    assert f"{planned} of {planned} trials completed" in capsys.readouterr().out
    after = completed(place)
    assert after[: len(before)] == before, "completed trials are untouched"
    assert [record.index for record in after] == list(range(planned))
    with Study.open(place) as study:
        assert study.state == "finished"
        assert [session.ending for session in study.sessions()] == ["", "finished"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_with_130_and_can_be_resumed(
    searching: tuple[subprocess.Popen[str], Path], number: signal.Signals
) -> None:
    search, place = searching
    workers = descendants(search)
    search.send_signal(number)
    output, _ = search.communicate(timeout=600)
    assert search.returncode == 130, output
    assert f"betanas resume {place}" in output
    assert "Traceback" not in output
    wait_until_gone(workers)
    with Study.open(place) as study:
        assert study.state == "interrupted"
        assert study.sessions()[0].ending == "interrupted"


@pytest.mark.parametrize("command", ["train", "compare", "search"])
def test_ctrl_c_says_how_to_go_on(command: str, tmp_path: Path) -> None:
    """In a folder whose name needs quotes."""
    place, recipe = tmp_path / "my runs [1]", tmp_path / "often.toml"
    recipe.write_text('extends = "fast"\nevaluations = "epoch"\n')
    words = ["--data", "digits", "--resolution", "16", "--recipe", str(recipe), "--budget", "100000epochs"]
    words += {
        "train": ["plain4", "--device", "cpu", "--folder", str(place)],
        "compare": ["plain4", "--devices", "cpu", "--folder", str(place)],
        "search": ["--strategy", "sobol", "--baselines", "none", "--devices", "cpu", "--study", str(place)],
    }[command]
    process = subprocess.Popen(betanas(command, *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    while not at_work(place, command):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    hint = f"go on with: betanas resume {shlex.quote(str(place))}" if command == "search" else "same command goes on"
    assert hint in said
    assert said.startswith("betanas: Interrupted.")
    assert said.count("\n") == 1, said


def at_work(place: Path, command: str) -> bool:
    """Whether a command has trained something."""
    if command == "search":
        return (place / "study.sqlite").exists() and bool(Study.open(place).trials())
    return any(place.rglob("checkpoint.json"))
