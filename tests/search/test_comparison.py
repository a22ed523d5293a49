"""Comparisons as studies: trained in worker processes, killed, gone on with, extended, and read from older folders."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from assignments import digits_job
from misbehaviour import LATENT, MISBEHAVIOUR_FILE

import betanas as bn
from betanas.blueprint import Blueprint
from betanas.cli.main import run
from betanas.errors import StudyError
from betanas.intervals import mean_interval
from betanas.search.compared import compared_rows, comparison_document
from betanas.search.propose.listed import Entrant, Listed, listed
from betanas.search.records import TrialRecord
from betanas.search.settings import MachineSettings, ResumeSettings
from betanas.search.studies.comparison import compare
from betanas.search.study import Study
from betanas.training.budget import Budget
from betanas.training.job import Job

GOLDEN = Path(__file__).parents[1] / "golden" / "compared"
INLINE = MachineSettings(executor="inline", devices=("cpu",))


def wanted_of(*entrants: Entrant, seeds: int = 1, steps: int = 4) -> list[Listed]:
    def job_of(entrant: Entrant, seed: int) -> Job:
        job = replace(digits_job(), network=entrant.architecture, budget=Budget(steps, "steps"), seed=seed)
        return replace(job, test=True, keep=True)

    return list(listed(entrants, range(seeds), job_of))


def trained(name: str, seed: int, **values: object) -> TrialRecord:
    now = datetime.now(UTC)
    record = TrialRecord(
        index=seed, vector={}, blueprint_key=name, origin="listed", state="completed", seed=seed, purpose="comparison",
        name=name, job_key=f"{name} {seed} {sorted(map(str, values.items()))}", resolution=16,
        budget=Budget(60, "seconds"), recipe="a", top1=0.6, test_top1=0.5, training_seconds=60.0, ended=now,
    )  # fmt: skip
    return replace(record, **values)  # type: ignore[arg-type]


class TestRows:
    def test_another_budget_or_recipe_is_another_row(self) -> None:
        longer = {"budget": Budget(600, "seconds"), "test_top1": 0.9}
        records = [
            trained("net", 0),
            trained("net", 1),
            trained("net", 0, **longer),
            trained("net", 0, recipe="b", test_top1=0.7),
        ]
        rows = compared_rows(records, {"a": bn.load_recipe("fast"), "b": bn.load_recipe("paper")})
        assert [(row.budget, row.recipe, row.top1 and row.top1.mean, row.top1 and row.top1.n) for row in rows] == [
            ("10m", "fast", 0.9, 1),
            ("1m", "paper", 0.7, 1),
            ("1m", "fast", 0.5, 2),
        ]

    def test_means_over_seeds_and_what_failed(self) -> None:
        records = [trained("net", 0, test_top1=0.4), trained("net", 1, test_top1=0.6)]
        records += [trained("net", 2, state="failed", test_top1=None), trained("net", 3, state="waiting", ended=None)]
        (row,) = compared_rows(records, {})
        assert row.top1 == mean_interval([0.4, 0.6])
        assert (row.failed, row.judged_on) == (1, "test")

    def test_without_test_images_it_is_validation_accuracy_and_says_so(self) -> None:
        (row,) = compared_rows([trained("net", 0, test_top1=None, test_top5=None)], {})
        assert (row.judged_on, row.top1 and row.top1.mean) == ("validation", 0.6)

    def test_the_document_is_json_with_margins_and_curves(self) -> None:
        document = json.loads(json.dumps(comparison_document([trained("net", 0)], {})))
        assert document["table"][0]["top1"] == {"mean": 0.5, "margin": None, "n": 1}
        assert document["table"][0]["judged_on"] == "test"
        assert [each["seed"] for each in document["histories"]] == [0]


def test_networks_side_by_side_and_extended(tmp_path: Path, digits_blueprint: Blueprint) -> None:
    small = Entrant.of("small", digits_blueprint)
    narrow = Entrant.of("narrow", replace(digits_blueprint, latent=digits_blueprint.latent // 2))
    found = compare(tmp_path / "c", wanted_of(small, narrow, seeds=2), title="two", machine=INLINE)
    assert [(each.name, each.seed, each.state) for each in found] == [
        ("small", 0, "completed"), ("narrow", 0, "completed"), ("small", 1, "completed"), ("narrow", 1, "completed"),
    ]  # fmt: skip
    assert all(each.test_top1 is not None and each.curve and each.budget == Budget(4, "steps") for each in found)
    more = compare(tmp_path / "c", wanted_of(small, seeds=3), title="two", machine=INLINE)
    assert more[:2] == (found[0], found[2]), "nothing is repeated"
    with Study.open(tmp_path / "c") as study:
        assert len(study.trials()) == 5
        assert (study.state, study.status()["kind"]) == ("finished", "comparison")
        assert {row.name: row.top1.n for row in study.compared() if row.top1} == {"small": 3, "narrow": 2}
        assert not list((tmp_path / "c").glob("running/*"))
        with pytest.raises(StudyError, match="is a comparison"):
            study.plan  # noqa: B018


def test_a_network_that_fails_is_a_row_with_a_reason_and_tried_again(
    tmp_path: Path, digits_blueprint: Blueprint
) -> None:
    """In worker processes: one dies in each of its attempts, one does not fit, and the third is none the worse."""
    kinds = {name: replace(digits_blueprint, latent=LATENT[name]) for name in ("exit", "out_of_memory")}
    entrants = [Entrant.of(name, each) for name, each in kinds.items()] + [Entrant.of("good", digits_blueprint)]
    machine = MachineSettings(devices=("cpu",))
    plugins = (str(MISBEHAVIOUR_FILE),)
    found = compare(tmp_path / "c", wanted_of(*entrants), title="three", machine=machine, plugins=plugins)
    assert [(each.state, each.cause, each.attempts) for each in found] == [
        ("failed", "worker_lost", 2), ("infeasible", "out_of_memory", 1), ("completed", "", 1),
    ]  # fmt: skip
    assert "exit code 3" in found[0].reason
    again = compare(tmp_path / "c", wanted_of(*entrants), title="three", machine=machine, plugins=plugins)
    assert again[1:] == found[1:]
    assert again[0].index == 3, "bad luck is tried again, as another trial"
    with Study.open(tmp_path / "c") as study:
        assert [row.failed for row in study.compared() if row.name == "exit"] == [1]
    with pytest.raises(StudyError, match="--trust-files"):
        bn.resume(tmp_path / "c")


def test_kill_9_costs_nothing_that_was_trained(tmp_path: Path, digits_blueprint: Blueprint) -> None:
    file, folder = tmp_path / "small.json", tmp_path / "killed"
    file.write_text(digits_blueprint.to_json(), encoding="utf-8")
    typed = ["compare", str(file), "--data", "digits", "--resolution", "16", "--budget", "60steps", "--seeds", "2"]
    typed += ["--devices", "cpu"]
    command = [sys.executable, "-m", "betanas", *typed, "--folder", str(folder)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (folder / "running" / "trial-00001" / "checkpoint.json").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    with Study.open(folder) as study:
        before = study.trials(curves=True)
        assert [each.state for each in before] == ["completed", "running"]
        assert study.status()["trials"]["cut_off"] == 1
        assert study.state == "interrupted"
    kept = json.loads((folder / "running" / "trial-00001" / "checkpoint.json").read_text())
    assert kept["step"] > 0
    with bn.resume(folder, ResumeSettings(devices=("cpu",))) as study:
        after = study.trials(curves=True)
        assert after[0] == before[0]
        assert (after[1].state, after[1].attempts) == ("completed", 2)
    assert run([*typed, "--folder", str(tmp_path / "whole")]) == 0
    with Study.open(tmp_path / "whole") as study:
        whole = study.trials(curves=True)
    losses = [[(point.step, point.loss, point.accuracy) for point in each.curve] for each in (whole[1], after[1])]
    assert losses[0] == losses[1], "exactly what it would have been"
    assert (whole[1].top1, whole[1].test_top1) == (after[1].top1, after[1].test_top1)


def test_an_older_folder_is_read_into_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "compared"
    shutil.copytree(GOLDEN, folder)
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    typed = ["compare", "mobilenet_v2", "--data", "digits", "--resolution", "16", "--folder", str(folder)]
    assert run([*typed, "--budget", "3steps", "--seeds", "2", "--executor", "inline", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    with Study.open(folder) as study:
        trials = study.trials()
    assert [each.test_top1 for each in trials] == [line["result"]["test_top1"] for line in lines], "nothing is lost"
    assert len(trials) == len(lines), "and nothing is trained again"
    found = {(row["name"], row["budget"], row["recipe"]): row["top1"]["n"] for row in document["table"]}
    assert found == {("study_3", "", ""): 2, ("mobilenet_v2", "3steps", "fast"): 2, ("mobilenet_v2", "", ""): 1}
    assert run([*typed, "--budget", "3steps", "--seeds", "2", "--executor", "inline"]) == 0
    with Study.open(folder) as study:
        assert len(study.trials()) == len(lines)
    assert run(["report", str(folder), "--output", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Comparison of networks" in page
    assert "Judged on" in page
    assert run(["status", str(folder)]) == 0
    assert "comparison of study_3, mobilenet_v2" in capsys.readouterr().out


def test_a_folder_with_a_search_is_refused(tmp_path: Path, digits_blueprint: Blueprint) -> None:
    shutil.copytree(GOLDEN.with_name("study_3"), tmp_path / "study")
    with pytest.raises(StudyError, match="must be a comparison"):
        compare(tmp_path / "study", wanted_of(Entrant.of("small", digits_blueprint)), title="no", machine=INLINE)


def test_more_trials_are_asked_for_with_its_own_command(tmp_path: Path, digits_blueprint: Blueprint) -> None:
    compare(tmp_path / "c", wanted_of(Entrant.of("small", digits_blueprint)), title="one", machine=INLINE)
    with pytest.raises(StudyError, match="betanas compare command"):
        bn.resume(tmp_path / "c", ResumeSettings(trials=3))
