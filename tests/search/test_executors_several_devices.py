"""Trials that several processes train together: one result, one verdict, and one end when any of them dies."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from assignments import assignment as any_assignment
from test_executors_contract import submit_when_idle

from betanas.blueprint import Blueprint
from betanas.cli.main import run
from betanas.errors import DeviceError
from betanas.search.executors.base import (
    Assignment,
    ExecutorEvent,
    ExecutorSettings,
    TrialEnded,
    TrialPoint,
    TrialStarted,
    WorkerSetup,
)
from betanas.search.executors.local import LocalExecutor
from betanas.search.executors.registry import make_executor
from betanas.search.executors.slots import plan_slots
from betanas.search.study import Study
from betanas.training.result import TrialResult

LONG = "100000steps"

assignment = partial(any_assignment, processes=2)


@pytest.fixture(scope="module")
def pair(digits_setup: WorkerSetup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    """One worker of two processes whose trials can be stopped."""
    setup = replace(digits_setup, stoppable=True, compression="fp16")
    logs = tmp_path_factory.mktemp("pair")
    with LocalExecutor(setup, ExecutorSettings(devices=("cpu",), per_trial_devices=2, log_folder=logs)) as made:
        yield made


def pids(executor: LocalExecutor) -> list[int]:
    group = executor._workers[0].group
    assert group is not None
    return [process.pid for process in group.processes]


def follow(executor: LocalExecutor, wanted: Assignment, *, go_on: bool = True) -> Iterator[ExecutorEvent]:
    """The trial's events as they come, every point answered."""
    submit_when_idle(executor, wanted)
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        for event in executor.poll(0.5):
            if isinstance(event, TrialPoint):
                executor.answer(event.index, event.point.step, go_on=go_on)
            yield event
            if isinstance(event, TrialEnded):
                return
    raise AssertionError("the trial did not end")


def train(executor: LocalExecutor, wanted: Assignment, *, go_on: bool = True) -> TrialResult:
    (ended,) = (event for event in follow(executor, wanted, go_on=go_on) if isinstance(event, TrialEnded))
    return ended.result


def numbers(result: TrialResult) -> tuple[object, ...]:
    return result.outcome, result.steps, result.top1, [(point.step, point.loss) for point in result.curve]


def test_two_processes_give_one_trial(pair: LocalExecutor, digits_blueprint: Blueprint) -> None:
    events = list(follow(pair, assignment(digits_blueprint, 3, budget="4steps")))
    kinds = [type(event) for event in events]
    points = [event.point for event in events if isinstance(event, TrialPoint)]
    assert kinds == [TrialStarted, *(TrialPoint for _ in points), TrialEnded]
    ended = events[-1]
    assert isinstance(ended, TrialEnded)
    assert ended.result.outcome == "completed", ended.result.reason
    assert list(ended.result.curve) == points
    assert ended.result.device == "cpu (1 thread), 2 processes"
    # 1437 training images less a fifth: each step takes a batch of 64 in either process.
    assert ended.result.epochs == pytest.approx(4 / (pair_images(pair) // 128))
    assert ended.result.images_per_second == pytest.approx(4 * 128 / ended.result.training_seconds)


def pair_images(executor: LocalExecutor) -> int:
    from betanas.data import load_splits, open_source

    images = executor.setup.first.images
    splits = load_splits(
        open_source(images.source),
        resolution=images.resolution,
        seed=images.split_seed,
        validation_share=images.validation_share,
    )
    return len(splits.train)


def test_a_verdict_stops_both_and_they_train_on(pair: LocalExecutor, digits_blueprint: Blueprint) -> None:
    train(pair, assignment(digits_blueprint, 0))
    before = pids(pair)
    assert train(pair, assignment(digits_blueprint, 1, budget="20steps"), go_on=False).outcome == "stopped"
    assert train(pair, assignment(digits_blueprint, 2)).outcome == "completed"
    assert pids(pair) == before


def test_a_killed_process_ends_its_trial_and_both_are_replaced(
    pair: LocalExecutor, digits_blueprint: Blueprint
) -> None:
    expected = numbers(train(pair, assignment(digits_blueprint, 5, budget="4steps")))
    before = pids(pair)
    events = follow(pair, assignment(digits_blueprint, 6, budget=LONG))
    assert isinstance(next(events), TrialStarted)
    os.kill(before[1], signal.SIGKILL)
    (ended,) = (event for event in events if isinstance(event, TrialEnded))
    assert (ended.result.outcome, ended.result.cause) == ("failed", "worker_lost")
    assert "Process 1 of the 2 that trained together died: it was killed by SIGKILL" in ended.result.reason
    assert not any(psutil.pid_exists(pid) for pid in before)
    assert numbers(train(pair, assignment(digits_blueprint, 5, budget="4steps"))) == expected
    assert not set(pids(pair)) & set(before)


def test_a_process_killed_between_trials_costs_none(pair: LocalExecutor, digits_blueprint: Blueprint) -> None:
    train(pair, assignment(digits_blueprint, 0))
    before = pids(pair)
    os.kill(before[0], signal.SIGKILL)
    while pids(pair) == before:
        assert not any(isinstance(event, TrialEnded) for event in pair.poll(0.5))
    assert not any(psutil.pid_exists(pid) for pid in before)
    assert train(pair, assignment(digits_blueprint, 1)).outcome == "completed"


def test_a_failure_in_one_process_is_the_trial_s(pair: LocalExecutor, digits_blueprint: Blueprint) -> None:
    """The other waits for its gradients, and would for ever."""
    result = train(pair, assignment(digits_blueprint, 7, kind="raise_in_second"))
    assert (result.outcome, result.cause) == ("failed", "exception")
    assert "broken on purpose" in result.reason
    assert train(pair, assignment(digits_blueprint, 8)).outcome == "completed"


def test_a_search_from_the_command_line_trains_every_trial_on_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"""search --data digits --space betanet3 --study {tmp_path / "study"} --resolution 16 --strategy sobol
        --budget 2steps --trials 2 --batch-size 32 --workers 1 --devices cpu --per-trial-devices 2
        --compression fp16 --max-params 1M --json"""
    assert run(command.split()) == 0
    assert json.loads(capsys.readouterr().out)["trials"]["completed"] == 2
    with Study.open(tmp_path / "study") as study:
        assert {trial.device for trial in study.trials()} == {"cpu (1 thread), 2 processes"}


def test_a_processor_s_cores_are_shared_among_workers_and_their_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for slot in plan_slots(ExecutorSettings(devices=("cpu",), workers=2, per_trial_devices=2)):
        assert slot.threads == 2
        assert slot.cores_of(0) + slot.cores_of(1) == slot.cores
        assert slot.environment["OMP_NUM_THREADS"] == "2"
    (crowded,) = plan_slots(ExecutorSettings(devices=("cpu",), per_trial_devices=16))
    assert crowded.threads == 1
    assert crowded.cores_of(15) == (7,)


def test_what_cannot_be_is_refused(digits_setup: WorkerSetup) -> None:
    with pytest.raises(DeviceError, match="in the search's own process"):
        make_executor("inline", digits_setup, ExecutorSettings(devices=("cpu",), per_trial_devices=2))


def test_hidden_gpus_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    # The one thing that is made up: no machine of ours has four GPUs.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    settings = ExecutorSettings(per_trial_devices=2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    shown = [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in plan_slots(settings)]
    assert shown == ["0,1", "2,3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3,5,GPU-7a")
    shown = [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in plan_slots(settings)]
    assert shown == ["2,3", "5,GPU-7a"]
