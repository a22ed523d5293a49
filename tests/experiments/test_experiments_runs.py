"""The experiments end to end on digits: planned, run, killed, gone on with, refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer

import betanas as bn
from betanas.cli.experiment import experiment
from betanas.errors import UserError
from betanas.experiments.errors import ExperimentError
from betanas.experiments.objective import ObjectiveSettings, plan_objective, run_objective
from betanas.experiments.scaling import ScalingSettings, plan_scaling, run_scaling
from betanas.experiments.search import StrategySettings, plan_strategies, run_strategies
from betanas.search.feasibility import Problem
from betanas.search.propose import get_strategy
from betanas.search.records import TrialRecord
from betanas.search.simulation.recording import Recording, write_recordings
from betanas.search.study import Study

SMALL = ScalingSettings(
    resolutions=(8, 16), vectors=2, seeds=1, seconds="0.05s", epochs="1steps", max_macs=1_000_000, device="cpu",
    executor="inline",
)  # fmt: skip
SMALL_TYPED = ["--resolutions", "8,16", "--vectors", "2", "--budget", "0.05s", "--epochs", "1steps"]
SMALL_TYPED += ["--max-macs", "1M", "--device", "cpu", "--executor", "inline"]
OBJECTIVE = ObjectiveSettings(
    budget="0.05s", epochs="1steps", total="0.6s", pairs=1, final="0.05s", seeds=1, strategy="random",
    max_macs=1_000_000, executor="inline", device="cpu",
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def betanas(*arguments: object) -> None:
    typer.main.get_command(experiment).main([str(each) for each in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty vectors whose accuracy is a bowl, five of them twice."""
    space = bn.get_space("betanet3")
    problem = Problem(space, resolution=32, num_classes=100, in_channels=3, batch_size=100)
    noise, found = np.random.default_rng(0), []
    for place, each in enumerate(get_strategy("sobol")(problem, seed=5).ask(30)):
        unit = space.to_unit(space.to_array([each.vector]))[0]
        for seed in range(2 if place < 5 else 1):
            top1 = 0.4 - 0.2 * float(((unit - 0.5) ** 2).sum()) / len(unit) + 0.004 * float(noise.standard_normal())
            curve = tuple((2.0 * i, top1 * i / 10) for i in range(1, 11))
            found.append(Recording(dict(each.vector), top1, curve, 20.0, 22.0, 10**6, seed))
    place = tmp_path_factory.mktemp("recorded") / "trials.jsonl"
    write_recordings(place, found)
    return place


class TestScaling:
    def test_from_a_plan_to_a_page_and_on_to_another_seed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "h1"
        betanas("scaling", "--folder", folder, *SMALL_TYPED, "--only-plan", "--json")
        planned = json.loads(capsys.readouterr().out)
        assert planned["estimated_seconds"] > 0
        assert not folder.exists(), "a plan writes nothing"
        betanas("scaling", "--folder", folder, *SMALL_TYPED, "--seeds", "1", "--json")
        printed = capsys.readouterr()
        answer = json.loads(printed.out)
        assert "8 of 8: " in printed.err
        assert [each["answer"] for each in answer["verdicts"]] == ["undecided", "undecided"]
        whole = json.loads((folder / "results.json").read_text())
        assert len(whole["trainings"]) == 2 * 2 * 2
        assert {each["resolution"] for each in whole["trainings"]} == {8, 16}
        assert all(each["accuracy"] is not None and each["curve"] for each in whole["trainings"])
        assert (folder / "figure.html").stat().st_size > 10**6
        assert "Undecided" in (folder / "README.md").read_text()
        before = done(folder)
        more = run_scaling(plan_scaling(replace(SMALL, seeds=2), folder))
        assert len(more["trainings"]) == 2 * len(whole["trainings"])
        assert done(folder)[: len(before)] == before, "nothing is repeated"

    def test_kill_9_loses_no_finished_training(self, tmp_path: Path) -> None:
        folder = tmp_path / "h1"
        arguments = ["experiment", "scaling", "--folder", str(folder), *SMALL_TYPED, "--seeds", "40"]
        running = subprocess.Popen([sys.executable, "-m", "betanas", *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 600
        while len(done(folder)) < 3:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.wait()
        before = done(folder)
        assert len(before) < 2 * 2 * 2 * 40
        seeds = 1 + max(each.seed for each in before)
        document = run_scaling(plan_scaling(replace(SMALL, seeds=seeds), folder))
        assert len(document["trainings"]) == 8 * seeds
        assert [each for each in done(folder) if each.index in {one.index for one in before}] == before

    def test_vectors_of_a_study_are_spread_over_its_ranks(self, tmp_path: Path) -> None:
        place = tmp_path / "study"
        bn.search(
            data="digits", study=str(place), resolution=16, budget="1steps", trials=5, strategy="sobol",
            executor="inline", max_macs=1_000_000,
        ).close()  # fmt: skip
        settings = replace(SMALL, resolutions=(16, 24), study=str(place), vectors=3, max_macs=None)
        plan = plan_scaling(settings, tmp_path / "h1")
        with Study.open(place) as study:
            order = sorted(study.trials(), key=lambda each: (-(each.objective or 0.0), each.index))
        assert [each.name for each, _ in plan.vectors] == [f"trial {order[i].index}" for i in (0, 2, 4)]
        for named, (small, large) in plan.vectors:
            assert small.key == order[[f"trial {each.index}" for each in order].index(named.name)].blueprint_key
            assert (small.resolution, large.resolution) == (16, 24)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"resolutions": (16,)}, "two resolutions"),
            ({"resolutions": (24, 16)}, "small to large"),
            ({"resolutions": (2, 16)}, "from 8"),
            ({"vectors": 1}, "--vectors must be a whole number from 2"),
            ({"seeds": 0}, "--seeds must be"),
            ({"epochs": "3s"}, "--epochs 3epochs"),
            ({"seconds": "3steps"}, "--budget 30s"),
            ({"max_macs": 10}, "different vectors within the limits"),
            ({"rule": "fractal"}, "fractal"),
            ({"recipe": "slow"}, "slow"),
            ({"study": "nowhere"}, "must exist"),
            ({"space": "betanet9"}, "betanet9"),
            ({"data": "nowhere"}, "nowhere"),
            ({"device": "cuda:99"}, "cuda:99"),
        ],
    )
    def test_what_cannot_work_is_refused_before_anything_is_written(
        self, tmp_path: Path, change: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(UserError, match=says):
            plan_scaling(replace(SMALL, **change), tmp_path / "h1")
        assert not (tmp_path / "h1").exists()

    def test_resolutions_on_the_command_line(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="32,64"):
            betanas("scaling", "--folder", tmp_path / "h1", "--resolutions", "small,large")


class TestSearch:
    def test_simulated_stored_and_gone_on_with(self, tmp_path: Path, recordings: Path) -> None:
        folder = tmp_path / "h2"
        settings = StrategySettings(str(recordings), "evolution", ("random",), seeds=2, trials=6)
        plan = plan_strategies(settings, folder)
        assert plan.estimated_seconds > 0
        document = run_strategies(plan)
        assert [(each["strategy"], each["seed"]) for each in document["searches"]] == [
            ("evolution", 0), ("evolution", 1), ("random", 0), ("random", 1),
        ]  # fmt: skip
        assert all(len(each["held"]) == len(each["wall"]) == 6 for each in document["searches"])
        assert document["settings"]["recordings"] == "trials.jsonl", "no path of this machine"
        stored = sorted((folder / "searches").iterdir())
        assert len(stored) == 4
        stored[-1].unlink()
        times = [path.stat().st_mtime_ns for path in stored[:-1]]
        again = run_strategies(replace(plan, settings=replace(settings, jobs=2)))
        assert [path.stat().st_mtime_ns for path in stored[:-1]] == times
        assert [each["held"] for each in again["searches"]] == [each["held"] for each in document["searches"]]
        with pytest.raises(ExperimentError, match="another trials"):
            plan_strategies(replace(settings, trials=7), folder)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"against": ()}, "--against must be"),
            ({"against": ("evolution",)}, "one or more others"),
            ({"against": ("guessing",)}, "guessing"),
            ({"seeds": 0}, "--seeds must be"),
            ({"jobs": 0}, "--jobs must be"),
            ({"recordings": "nowhere.jsonl"}, "must exist"),
            ({"max_params": 10}, "10 parameters"),
        ],
    )
    def test_what_cannot_work_is_refused(
        self, tmp_path: Path, recordings: Path, change: dict[str, Any], says: str
    ) -> None:
        settings = StrategySettings(str(recordings), "evolution", ("random",))
        with pytest.raises(UserError, match=says):
            plan_strategies(replace(settings, **change), tmp_path / "h2")
        assert not (tmp_path / "h2").exists()


class TestObjective:
    def test_two_searches_of_equal_cost_and_their_leaders(self, tmp_path: Path) -> None:
        folder, told = tmp_path / "h3", list[str]()

        def interrupt(line: str) -> None:
            raise KeyboardInterrupt(line)

        with pytest.raises(KeyboardInterrupt, match="seconds search 0, trial 0"):
            run_objective(plan_objective(OBJECTIVE, folder), interrupt)
        with Study.open(folder / "searches" / "pair0-seconds") as study:
            first = study.trials()[0]
        document = run_objective(plan_objective(OBJECTIVE, folder), told.append)
        with Study.open(folder / "searches" / "pair0-seconds") as study:
            assert [each.ending for each in study.sessions()] == ["interrupted", "out_of_time"]
            assert study.trials()[0] == first
        assert [(each["arm"], each["pair"]) for each in document["searches"]] == [("seconds", 0), ("macs", 0)]
        for each in document["searches"]:
            assert each["trials"] >= 1
            assert len(each["leaders"]) == 1
        assert len(document["trainings"]) == 2
        assert document["verdicts"][0]["answer"] == "undecided", "a single pair"
        with Study.open(folder / "searches" / "pair0-macs") as study:
            assert str(study.plan.training.budget) == "1steps"
            assert study.state == "finished"
            judged = [each for each in study.trials() if each.objective]
            target = document["derived"]["target_macs"]
            assert judged[0].objective == pytest.approx(judged[0].top1 * (judged[0].macs / target) ** -0.07)
        assert any("macs search 0, trial 0" in line for line in told)
        more = run_objective(plan_objective(replace(OBJECTIVE, seeds=2), folder))
        assert more["searches"] == document["searches"], "searches are not repeated"
        assert more["trainings"][:2] == document["trainings"]
        assert len(more["trainings"]) == 4

    def test_epochs_follow_from_what_a_typical_network_trains_in_the_budget(self, tmp_path: Path) -> None:
        plan = plan_objective(replace(OBJECTIVE, epochs=None), tmp_path / "h3")
        amount = float(plan.derived["epochs"].removesuffix("epochs"))
        assert 0 < amount < 100
        assert plan.budget("macs") == plan.derived["epochs"]
        assert plan.budget("seconds") == "0.05s"

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"budget": "3steps"}, "in seconds"),
            ({"total": "0.06s"}, "two trials"),
            ({"epochs": "3s"}, "--epochs 3epochs"),
            ({"pairs": 0}, "--pairs must be"),
            ({"exponent": 0.0}, "zero"),
            ({"strategy": "guessing"}, "guessing"),
            ({"max_params": 10}, "10 parameters"),
            ({"resolution": 2}, "from 8"),
        ],
    )
    def test_what_cannot_work_is_refused(self, tmp_path: Path, change: dict[str, Any], says: str) -> None:
        with pytest.raises(UserError, match=says):
            plan_objective(replace(OBJECTIVE, **change), tmp_path / "h3")
        assert not (tmp_path / "h3").exists()


class TestFolder:
    def test_a_folder_holds_one_experiment(self, tmp_path: Path) -> None:
        folder = tmp_path / "h1"
        plan = plan_scaling(SMALL, folder)
        with plan.folder.held():
            plan.folder.begin(asdict(SMALL), plan.derived)
            with pytest.raises(ExperimentError, match="one process at a time"):
                run_scaling(plan)
        with pytest.raises(ExperimentError, match="another seed and vectors"):
            plan_scaling(replace(SMALL, vectors=3, seed=1), folder)
        with pytest.raises(ExperimentError, match="another experiment"):
            plan_objective(OBJECTIVE, folder)

    def test_somebody_elses_folder_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("chapter")
        with pytest.raises(ExperimentError, match="new folder"):
            plan_scaling(SMALL, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def done(folder: Path) -> list[TrialRecord]:
    """The trainings that have finished."""
    if not (folder / "trainings" / "study.sqlite").exists():
        return []
    with Study.open(folder / "trainings") as study:
        return [record for record in study.trials(curves=True) if record.ended is not None]


def test_the_documents_commands_are_commands() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")
    lines = page.replace("\\\n", " ").splitlines()
    typed = [line.split()[2:] for line in lines if line.startswith("betanas experiment")]
    assert len(typed) >= 6
    group = typer.main.get_command(experiment)
    for name, *arguments in typed:
        command = group.get_command(None, name)  # type: ignore[attr-defined]
        assert command is not None, name
        command.make_context(name, list(arguments))
