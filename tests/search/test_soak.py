"""Whole searches under fire: the shorter versions of benchmarks/soak_kills.py and soak_misbehaviour.py."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

import betanas as bn
from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def test_a_worker_that_is_killed_costs_no_trial(tmp_path: Path) -> None:
    """Killed under a trial, which another worker then trains to the result it would have had."""

    class Killer(SearchListener):
        killed = 0

        def on_trial_started(self, record: TrialRecord) -> None:
            if record.index == 1 and not self.killed:
                for child in psutil.Process().children():
                    if "betanas.search.executors.worker" in child.cmdline():
                        self.killed = child.pid
                        child.kill()

    settings: dict[str, Any] = {"data": "digits", "resolution": 16, "trials": 2, "strategy": "sobol", "workers": 1}
    settings |= {"max_params": 500_000, "devices": ("cpu",)}
    killer = Killer()
    with bn.search(**settings, budget="40steps", study=str(tmp_path / "study"), listener=killer) as study:
        assert killer.killed
        first, second = study.trials()
        assert (first.state, second.state) == ("completed", "completed")
        assert (first.attempts, second.attempts) == (1, 2)
        assert [attempt["cause"] for attempt in study.attempts(1)] == ["worker_lost", ""]
        assert "SIGKILL" in study.attempts(1)[0]["reason"]
        assert not psutil.pid_exists(killer.killed) or psutil.Process(killer.killed).status() == psutil.STATUS_ZOMBIE


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("strategy", "budget", "workers"), [("sobol", "1s", 2), ("gpei", "20steps", 1)])
def test_kills_at_random_moments(tmp_path: Path, strategy: str, budget: str, workers: int) -> None:
    killing = benchmark("_killing")
    core = max(os.sched_getaffinity(0)) if workers == 1 else None
    settings = killing.Settings(tmp_path / strategy, strategy, budget, workers, core=core)
    campaign = killing.Campaign(settings)
    victims = ["search"] * 6 + ["worker"] * 12
    random.Random(0).shuffle(victims)
    campaign.run(victims)  # raises where a trial is lost or changed, or a process outlives its search
    assert campaign.findings.kills == {"search": 6, "worker": 12}
    assert not campaign.findings.endings
    books = killing.audit(settings.study)
    assert not books.counted_twice
    assert books.compared == sum(books.trials.values())
    assert not books.differing


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_search_among_misbehaving_trials(tmp_path: Path) -> None:
    soak = benchmark("soak_misbehaviour")
    kinds = list(soak.EXPECTED)
    found = soak.search_among(kinds, tmp_path, budget="1s", grace=5.0)
    assert found["ending"] == "finished"
    assert found["healthy"] == ["completed"] * len(kinds)
    assert soak.as_expected(found) == dict.fromkeys(kinds, True)
    assert found["misbehaving"]["flood"]["log bytes"] < 1_100_000
    assert 0.0 <= soak.beyond_grace(found, budget="1s", grace=5.0) <= soak.MOST_BEYOND_GRACE


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_comparison_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Its process and its workers in turn, fifteen times; every completed training stays what it was."""
    draws, typed = random.Random(0), ["compare", "betanet3", "mobilenet_v2", "--data", "digits", "--resolution", "16"]
    typed += ["--budget", "40steps", "--seeds", "4", "--devices", "cpu"]
    folder = tmp_path / "killed"

    def completed() -> dict[int, TrialRecord]:
        if not (folder / "study.sqlite").exists():
            return {}
        with bn.Study.open(folder) as study:
            return {each.index: each for each in study.trials(curves=True) if each.state == "completed"}

    known: dict[int, TrialRecord] = {}
    for kill in range(15):
        command = [sys.executable, "-m", "betanas", *typed, "--folder", str(folder)]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(draws.uniform(2.0, 20.0))
        victims = [psutil.Process(running.pid)] if running.poll() is None else []
        if victims and kill % 2:
            victims = victims[0].children() or victims
        for victim in victims[:1]:
            with contextlib.suppress(psutil.Error):
                victim.kill()
        if running.poll() is None:
            running.wait(600)
        found = completed()
        assert {index: found[index] for index in known} == known
        known = found
    subprocess.run([sys.executable, "-m", "betanas", *typed, "--folder", str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "betanas", *typed, "--folder", str(tmp_path / "whole")], check=True)
    with bn.Study.open(tmp_path / "whole") as study:
        whole = {(each.name, each.seed): (each.top1, each.test_top1, each.steps) for each in study.trials()}
    assert {(each.name, each.seed): (each.top1, each.test_top1, each.steps) for each in completed().values()} == whole
