"""A search made of a user's own parts: by file, by a plug-in's names, in the search's process and in a worker's."""

from __future__ import annotations

from pathlib import Path

import pytest

import betanas as bn
from betanas.cli.main import run
from betanas.data.registry import SOURCES
from betanas.errors import StrategyError, StudyError
from betanas.search.executors.registry import EXECUTORS
from betanas.search.objectives import OBJECTIVES
from betanas.search.propose.registry import STRATEGIES
from betanas.search.settings import ResumeSettings
from betanas.spaces.registry import SPACES

PARTS = {
    "space": """
import betanas as bn
from betanas.spaces import BetaNet3

@bn.register_space
class Narrow(BetaNet3):
    name = "narrow"
""",
    "strategy": """
import betanas as bn
from betanas.search.propose.sequences import Random

@bn.register_strategy
class Dice(Random):
    name = "dice"
""",
    "data": """
import betanas as bn
import numpy as np

@bn.register_source
class Dots(bn.ArraySource):
    name, classes, in_channels, side = "dots", ("one", "two"), 1, 16

    def read(self, part):
        return np.arange(40 * 256, dtype=np.uint8).reshape(40, 1, 16, 16), np.arange(40) % 2
""",
    "objective": """
import betanas as bn

@bn.register_objective
def counted(record, blueprint):
    return record.index + 10.0
""",
    "executor": """
import betanas as bn
from betanas.search.executors.inline import InlineExecutor

@bn.register_executor
class Here(InlineExecutor):
    name = "here"
""",
}
NAMES = {"space": "narrow", "strategy": "dice", "data": "dots", "objective": "counted", "executor": "here"}
SMALL = ["--resolution", "16", "--budget", "1steps", "--trials", "2", "--batch-size", "8"]


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (SPACES, STRATEGIES, SOURCES, OBJECTIVES, EXECUTORS):
        monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A file for each part, named relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    for kind, text in PARTS.items():
        Path(f"my_{kind}.py").write_text(text)
    return {kind: f"my_{kind}.py" for kind in PARTS}


def options(given: dict[str, str]) -> list[str]:
    return [word for kind, value in given.items() for word in (f"--{kind}", value)]


def test_every_part_may_be_a_file(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["search", "--study", "study", *SMALL, *options(files)]) == 0
    monkeypatch.chdir(tmp_path.parent)  # a study may be gone on with from anywhere
    with pytest.raises(StudyError, match=r"my_data\.py.*my_executor\.py.*my_space\.py.*my_strategy\.py.*my_objective"):
        bn.resume(tmp_path / "study", ResumeSettings(trials=3))
    with bn.resume(tmp_path / "study", ResumeSettings(trials=3, trust_files=True)) as study:
        assert [record.objective for record in study.trials()] == [10.0, 11.0, 12.0]
        assert {record.origin for record in study.trials()} == {"dice"}


def test_a_plugin_brings_them_by_name(files: dict[str, str], tmp_path: Path) -> None:
    Path("all.py").write_text("".join(Path(file).read_text() for file in files.values()))
    assert run(["search", "--study", "study", "--plugin", "all.py", *SMALL, *options(NAMES)]) == 0
    with bn.resume("study", ResumeSettings(trials=3, trust_files=True)) as study:
        searched = study.plan.search
        assert (searched.space, study.plan.data.source, searched.strategy) == ("narrow", "dots", "dice")
        assert (str(searched.objective), study.plan.machine.executor) == ("counted", "here")
        assert study.trials()[2].objective == 12.0


def test_a_worker_process_has_the_plugins_data_too(files: dict[str, str]) -> None:
    words = ["--plugin", files["data"], "--data", "dots", "--strategy", "sobol", "--devices", "cpu"]
    assert run(["search", "--study", "study", *SMALL, *words]) == 0
    with bn.Study.open("study") as study:
        assert [record.state for record in study.trials()] == ["completed", "completed"]


@pytest.mark.parametrize("kind", PARTS)
def test_a_name_that_no_plugin_brings_writes_nothing(
    kind: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"data": "digits", kind: NAMES[kind][:-1]}
    words = ["--plugin", files[kind], *options(chosen)]
    assert run(["search", "--study", "study", *SMALL, *words]) == 2
    assert f"Did you mean {NAMES[kind]}?" in capsys.readouterr().err
    assert not Path("study").exists()


def test_a_plugin_that_fails_is_named(files: dict[str, str]) -> None:
    Path("bad.py").write_text("\nbn.register_space\n")
    with pytest.raises(StudyError, match=r"The plug-in must load without errors\. Got 'bad\.py'\. NameError in line 2"):
        bn.search(data="digits", study="study", plugins=("bad.py",))
    with pytest.raises(StudyError, match=r"The plug-in must exist\. Got 'gone\.py'"):
        bn.search(data="digits", study="study", plugins=("gone.py",))
    assert not Path("study").exists()


def test_a_strategy_of_ones_own_has_options_of_its_own(files: dict[str, str]) -> None:
    with pytest.raises(StrategyError, match="has no options"):
        bn.search(data="digits", study="study", strategy=files["strategy"], strategy_options={"sides": 6})
