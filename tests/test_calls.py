"""What a person calls from Python: what it prints, and what a notebook's cell does that is run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import betanas as bn
from betanas.cli.main import run
from betanas.errors import StudyError
from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord

CELL: dict[str, Any] = {
    "data": "digits", "resolution": 16, "budget": "1steps", "trials": 3, "strategy": "sobol", "executor": "inline",
}  # fmt: skip


class Interrupting(SearchListener):
    def on_trial_ended(self, record: TrialRecord) -> None:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("calls") / "study"
    bn.search(**CELL, study=place).close()
    return place


def test_nothing_is_printed_where_nobody_watches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bn.search(**CELL, study=tmp_path / "silent").close()
    assert capsys.readouterr().out == ""


def test_progress_is_printed_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bn.search(**CELL, study=tmp_path / "told", progress=True).close()
    said = capsys.readouterr().out
    assert "[3/3] trial 2 (sobol," in said
    bn.resume(tmp_path / "told", trials=4, progress=True).close()
    assert "[4/4] trial 3" in capsys.readouterr().out
    bn.resume(tmp_path / "told", trials=5, progress=False).close()
    assert capsys.readouterr().out == ""


def test_progress_is_printed_in_a_terminal_and_can_be_silenced(tmp_path: Path) -> None:
    """In a real one: `script` gives the process a pseudo-terminal."""
    for progress, told in (("None", True), ("False", False)):
        cell = f"bn.search(**{CELL!r}, study={str(tmp_path / progress)!r}, progress={progress}).close()"
        code = f"import betanas as bn; {cell}; print('ended')"
        program = f"import pty, sys; sys.exit(pty.spawn([sys.executable, '-c', {code!r}]))"
        answer = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
        )
        assert ("trial 0" in answer.stdout) is told, answer.stdout
        assert "ended" in answer.stdout


def test_progress_is_printed_in_a_notebook_as_text(tmp_path: Path) -> None:
    """In a real kernel's shell, whose output is no terminal."""
    pytest.importorskip("ipykernel")
    cell = f"bn.search(**{CELL!r}, study={str(tmp_path / 'study')!r}).close()"
    code = (
        "import sys\n"
        "from ipykernel.inprocess.manager import InProcessKernelManager\n"
        "manager = InProcessKernelManager(); manager.start_kernel()\n"
        "manager.kernel.shell.run_cell('import betanas as bn', silent=True)\n"
        f"manager.kernel.shell.run_cell({cell!r}, silent=True)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[3/3] trial 2 (sobol," in answer.stdout, answer.stderr


def test_a_cell_that_is_run_again_opens_what_has_ended(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bn.Study.open(searched) as study:
        before = study.trials(), study.sessions()
    with bn.search(**CELL, study=searched, progress=True) as again:
        assert (again.trials(), again.sessions()) == before
    assert "has been run already, with 3 trials" in capsys.readouterr().out


def test_a_cell_that_is_run_again_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bn.search(**CELL, study=tmp_path / "study", listener=Interrupting())
    with bn.Study.open(tmp_path / "study") as study:
        kept = [each for each in study.trials() if each.state == "completed"]
        assert len(kept) < 3
    with bn.search(**CELL, study=tmp_path / "study") as study:
        assert study.state == "finished"
        assert len(study.trials()) == 3
        assert study.trials()[: len(kept)] == tuple(kept)


def test_a_cell_that_is_run_again_after_the_search_was_extended_opens_it(tmp_path: Path) -> None:
    bn.search(**CELL, study=tmp_path / "study").close()
    bn.resume(tmp_path / "study", trials=5).close()
    with bn.search(**CELL, study=tmp_path / "study") as study:
        assert len(study.trials()) == 5


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"budget": "2steps"}, "budget 2steps, which was 1steps"),
        ({"resolution": 20}, "resolution 20, which was 16"),
        ({"seed": 5}, "seed 5, which was 0"),
        ({"strategy": "random"}, "strategy random, which was sobol"),
        ({"ranges": {"k": (2, 3)}}, "k"),
        ({"max_params": "1M"}, "max_params"),
        ({"data": "fashion-mnist"}, "data fashion-mnist as it is now, which was digits as it was then"),
        ({"trials": 9}, "betanas.resume("),
    ],
    ids=str,
)
def test_other_settings_are_refused_by_name(searched: Path, other: dict[str, Any], named: str) -> None:
    if other.get("data") == "fashion-mnist":
        try:
            bn.open_source("fashion-mnist")
        except bn.BetanasError:
            pytest.skip("fashion-mnist is not installed here")
    with pytest.raises(StudyError) as refused:
        bn.search(**{**CELL, **other}, study=searched)
    assert "was begun with another" in str(refused.value)
    assert named in f"{refused.value}"
    with bn.Study.open(searched) as study:
        assert len(study.trials()) == 3


def test_the_command_line_still_asks_for_a_place_of_its_own(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["--data", "digits", "--space", "betanet3", "--resolution", "16", "--budget", "1steps", "--trials", "3"]
    assert run(["search", *typed, "--study", str(searched)]) == 2
    assert "place of its own" in capsys.readouterr().err


def test_confirm_train_and_compare(searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bn.Study.open(searched) as study:
        confirmed = bn.confirm(study, top=1, seeds=1, progress=True)
        assert [len(one.runs) for one in confirmed] == [1]
        assert "seed" in capsys.readouterr().out
        result = bn.train(study, folder=tmp_path / "trained", budget="2steps", device="cpu")
        rows = bn.compare([study, "plain4"], folder=tmp_path / "c", budget="1steps", seeds=1, latency=False,
                          executor="inline", keep=study)  # fmt: skip
        assert [each.name for each in study.attachments("comparison")] == ["c"]
    assert capsys.readouterr().out == "", "nobody watches"
    assert result.steps == 2
    assert result.test_top1 is not None
    assert {row.name for row in rows} == {"study", "plain4"}
    assert all(row.top1 is not None and row.top1.n == 1 for row in rows)
    again = bn.train(searched, folder=tmp_path / "trained", budget="2steps", device="cpu", progress=True)
    assert again.top1 == result.top1
    bn.compare(["plain4"], folder=tmp_path / "c", data="digits", resolution=16, budget="1steps", seeds=2,
               latency=False, executor="inline", progress=True)  # fmt: skip
    assert "plain4, seed 1: validation" in capsys.readouterr().out


def test_a_setting_of_another_call_is_refused(searched: Path, tmp_path: Path) -> None:
    for call in (bn.train, lambda *given, **named: bn.compare(given, **named)):
        with pytest.raises(StudyError, match="has no such setting"):
            call(searched, folder=tmp_path / "new", max_params="1M")
    assert not (tmp_path / "new").exists()


def test_find_says_how_it_gets_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(bn.UserError):
        bn.find("digits", time="1s", to=tmp_path / "model", progress=True)
    assert "Images" in capsys.readouterr().out
    with pytest.raises(bn.UserError):
        bn.find("digits", time="1s", to=tmp_path / "model")
    assert capsys.readouterr().out == ""
