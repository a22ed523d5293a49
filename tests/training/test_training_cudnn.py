"""cuDNN is on wherever a network trains or is timed: without it convolutions run many times slower on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from betanas.blueprint import Blueprint
from betanas.profiling.conditions import Conditions
from betanas.profiling.measurement import measure_inference, measure_training
from betanas.profiling.subject import Subject
from betanas.training.budget import Budget
from betanas.training.device import cudnn_settings
from betanas.training.engine import TrialEngine
from betanas.training.job import Job, JobImages
from betanas.training.kept import TrainingFolder

Flags = tuple[bool, bool]


class Witness(nn.Module):
    """Notes the flags under which it is asked for its output."""

    def __init__(self, network: nn.Module, seen: set[Flags]) -> None:
        super().__init__()
        self.network = network
        self._seen = seen

    def forward(self, images: Tensor) -> Tensor:
        """The network's output."""
        self._seen.add((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
        output: Tensor = self.network(images)
        return output


@pytest.fixture
def witnessed(blueprint: Blueprint) -> tuple[Callable[[], nn.Module], set[Flags]]:
    seen: set[Flags] = set()
    return lambda: Witness(blueprint.build(), seen), seen


def test_in_a_trial(digits, quick, witnessed) -> None:
    build, seen = witnessed
    engine = TrialEngine(digits, resolution=8, recipe=quick, device="cpu")
    assert engine.train(build, budget=Budget.parse("2steps"), seed=0).outcome == "completed"
    assert seen == {(True, True)}


def test_in_a_training_that_is_kept(digits, quick, witnessed, tmp_path: Path) -> None:
    build, seen = witnessed
    engine = TrialEngine(digits, resolution=8, recipe=quick, device="cpu")
    job = Job({}, JobImages("digits", "", 8), quick, Budget.parse("2steps"), keep=True)
    folder = TrainingFolder(tmp_path, job, processes=engine.processes)
    assert engine.train(build, budget=job.budget, seed=0, folder=folder).outcome == "completed"
    assert seen == {(True, True)}


def test_in_a_profile(blueprint: Blueprint, witnessed, quick) -> None:
    build, seen = witnessed
    subject = replace(Subject.of_blueprint("witness", blueprint), build=build)
    conditions = Conditions(torch.device("cpu"), threads=1, warm_up=0, repeats=1, energy_seconds=0.0)
    measure_inference(subject, conditions)
    measure_training(subject, conditions, quick, batch_size=2)
    assert seen == {(True, True)}


@pytest.mark.parametrize("tune", [False, True])
def test_kernels_are_timed_only_where_it_is_asked_for(tune: bool) -> None:
    before = (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark)
    with cudnn_settings(tune=tune):
        assert (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark) == (True, tune)
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark) == before
