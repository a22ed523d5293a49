"""How many trials share a GPU: the choice, its measurement, and NVIDIA's service by which they share it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from test_gpu_planning import GIB, gpus, planned  # noqa: F401 - a fixture

from betanas.blueprint import Blueprint
from betanas.errors import DeviceError
from betanas.search import planning
from betanas.search.executors import mps
from betanas.search.executors.base import ExecutorSettings, WorkerSetup
from betanas.search.executors.local import LocalExecutor
from betanas.search.executors.sharing import Sharing, choose_sharing, measure_sharing
from betanas.search.executors.slots import shared_gpus
from betanas.search.planning import plan_search, resumed
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.run import sharing_warning
from betanas.search.settings import MachineSettings, ResumeSettings, SearchSettings
from betanas.training.budget import Budget
from betanas.training.device import describe_device


@pytest.mark.parametrize(
    ("speeds", "most", "together", "tried"),
    [
        # As a step that leaves the GPU idle nine tenths of its time, one whose graph fills it, and between them.
        ({1: 5800, 2: 11000, 4: 20000, 8: 21000}, 8, 4, [1, 2, 4, 8]),
        ({1: 54000, 2: 60000}, 8, 1, [1, 2]),
        ({1: 54000, 2: 88000, 4: 95000}, 8, 2, [1, 2, 4]),
        ({1: 100, 2: 200, 4: 400}, 4, 4, [1, 2, 4]),
        ({1: 100, 2: 200}, 3, 2, [1, 2]),  # four would not fit
        ({1: 100, 2: None}, 8, 1, [1]),  # two ran out of memory
        ({1: 100, 2: 125}, 2, 2, [1, 2]),  # a quarter is enough
        ({1: None}, 8, 1, []),
        ({}, 0, 1, []),
    ],
)
def test_trials_are_doubled_while_that_gains_a_quarter(
    speeds: Mapping[int, float | None], most: int, together: int, tried: list[int]
) -> None:
    found = choose_sharing(lambda count: speeds[count], most=most)
    assert (found.together, list(found.speeds)) == (together, tried)


def test_it_is_said_by_what_the_number_was_chosen() -> None:
    assert Sharing(2, {1: 54000.0, 2: 88000.4}).words == (
        "Each device trains 2 trials at a time. Images a second, by trials together: 54,000 by 1, 88,000 by 2."
    )


def test_workers_are_measured_at_the_same_time_in_processes(
    digits_setup: WorkerSetup, digits_blueprint: Blueprint
) -> None:
    """On a processor, whose cores they share out: what is chosen means nothing here, that they train does."""
    settings = ExecutorSettings(devices=("cpu",))
    network = digits_blueprint.to_dict()
    found = measure_sharing(digits_setup, settings, network, most=2, budget=Budget(4, "steps"))
    assert list(found.speeds) == [1, 2]
    assert all(speed > 0 for speed in found.speeds.values())


class Measured:
    """Stands in for a GPU's speeds, and notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], int]] = []

    def __call__(
        self, setup: WorkerSetup, settings: ExecutorSettings, network: Mapping[str, Any], *, most: int
    ) -> Sharing:
        self.asked.append((settings.devices, most))
        assert network["layers"]
        assert setup.first.budget.amount == 60
        return Sharing(4, {1: 100.0, 2: 190.0, 4: 360.0, 8: 370.0})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    made = Measured()
    monkeypatch.setattr(planning, "measure_sharing", made)
    monkeypatch.setattr(planning, "available_cores", lambda: tuple(range(16)))
    return made


@pytest.mark.usefixtures("gpus")
class TestInAPlan:
    def test_the_number_is_chosen_once_for_all_gpus_and_memory_is_divided(
        self, tmp_path: Path, measured: Measured
    ) -> None:
        plan = planned(tmp_path, workers="auto")
        assert measured.asked == [(("cuda:0",), 8)]
        assert plan.machine.workers == 8
        assert plan.limits.memory == int(0.65 * 40 * GIB / 4)
        assert plan.shared_speeds == ((1, 100.0), (2, 190.0), (4, 360.0), (8, 370.0))
        assert StudyPlan.from_document(plan.to_document()) == plan

    def test_no_more_are_tried_than_have_the_memory_that_a_candidate_may_take(
        self, tmp_path: Path, measured: Measured
    ) -> None:
        assert planned(tmp_path, workers="auto", max_memory="10GiB").limits.memory == 10 * GIB
        assert measured.asked == [(("cuda:0",), 2)]

    def test_a_person_is_told(self, tmp_path: Path, measured: Measured) -> None:
        said: list[str] = []

        class Notes(SearchListener):
            def on_note(self, text: str) -> None:
                said.append(text)

        asked = SearchSettings(
            data="digits", study=str(tmp_path / "study"), resolution=16, strategy="sobol", workers="auto"
        )
        plan_search(asked, Notes())
        assert any("Each device trains 4 trials at a time" in text for text in said)

    def test_a_study_that_goes_on_keeps_its_number(self, tmp_path: Path, measured: Measured) -> None:
        plan = planned(tmp_path, workers="auto")
        for changes, workers in ((ResumeSettings(workers="auto"), 8), (ResumeSettings(workers=2), 2)):
            assert resumed(plan, changes, options=()).machine.workers == workers
        assert len(measured.asked) == 1

    def test_trials_that_share_a_gpu_with_others_than_before_are_pointed_out(self, tmp_path: Path, make_record) -> None:
        plan = planned(tmp_path, workers=4)
        alone, together = (
            make_record(0, state="completed", device="cuda:0 NVIDIA H100", shared_by=count) for count in (1, 2)
        )
        assert "So far a GPU had 1 of the study's trials at a time, and has 2 from now on" in sharing_warning(
            plan, [alone]
        )
        assert sharing_warning(plan, [together]) == ""
        assert sharing_warning(plan, []) == ""

    def test_trials_on_several_devices_are_not_shared(self, tmp_path: Path, measured: Measured) -> None:
        plan = planned(tmp_path, workers="auto", per_trial_devices=2)
        assert (plan.machine.workers, measured.asked) == (None, [])


def test_on_a_processor_auto_is_one_trial_on_all_cores(tmp_path: Path, measured: Measured) -> None:
    plan = planned(tmp_path, workers="auto", devices="cpu")
    assert (plan.machine.workers, plan.shared_speeds, measured.asked) == (None, (), [])
    assert shared_gpus(plan.machine) == ()
    assert sharing_warning(plan, ()) == ""


def test_a_plan_of_before_was_not_measured(tmp_path: Path) -> None:
    plan = planned(tmp_path, devices="cpu")
    document = plan.to_document()
    del document["shared_speeds"]
    assert StudyPlan.from_document(document) == plan


@pytest.mark.parametrize("workers", ["many", 0, "0", -1, True, 1.5])
def test_other_words_than_auto_are_refused(workers: object) -> None:
    with pytest.raises(DeviceError, match="--workers must be a whole number from 1 to 1,024, or auto"):
        MachineSettings(workers=workers)  # type: ignore[arg-type]


# NVIDIA's service -----------------------------------------------------------------------------------------------------

# As NVIDIA's program does: -f serves, with a server of its own, until a second process says quit.
STAND_IN = """#!/bin/bash
if [ "$1" = "-f" ]; then
  [ -n "$STAND_IN_REFUSES" ] && exit 1
  sleep 1000 &
  echo "$$ $!" >> "$STAND_IN_LOG"
  echo "${CUDA_VISIBLE_DEVICES-none}" > "$STAND_IN_LOG.devices"
  touch "$CUDA_MPS_PIPE_DIRECTORY/control"
  until [ -e "$CUDA_MPS_PIPE_DIRECTORY/quit" ]; do sleep 0.05; done
  exit 0
fi
read request
[ -e "$CUDA_MPS_PIPE_DIRECTORY/control" ] || exit 1
[ "$request" = quit ] && touch "$CUDA_MPS_PIPE_DIRECTORY/quit"
exit 0
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The program, and the file to which it writes its processes' numbers."""
    program, log = tmp_path / "bin" / "nvidia-cuda-mps-control", tmp_path / "log"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    log.touch()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(log))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(mps.tempfile, "tempdir", None)
    monkeypatch.delenv(mps.MPS_PIPES, raising=False)
    monkeypatch.setattr(mps, "_USUAL_PIPES", tmp_path / "usual")
    yield log
    assert not running(log)
    assert not list(tmp_path.glob("betanas-mps-*"))
    mps.tempfile.tempdir = None


def running(log: Path) -> list[int]:
    """Of the processes that a stand-in has started, those that live."""
    return [
        pid
        for pid in map(int, log.read_text().split())
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def test_a_service_runs_until_it_is_closed(stand_in: Path) -> None:
    service = mps.start_service(("true",))
    assert service is not None
    assert len(running(stand_in)) == 2
    assert Path(service.environment[mps.MPS_PIPES], "control").exists()
    assert Path(f"{stand_in}.devices").read_text() == "none\n", "which devices a process sees is its own business"
    service.close()
    assert not running(stand_in)


def test_it_does_not_outlive_a_search_that_is_killed(stand_in: Path) -> None:
    code = (
        "from betanas.search.executors import mps; s = mps.start_service(['true']); print(bool(s), flush=True); input()"
    )
    search = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert search.stdout is not None
    assert search.stdout.readline() == b"True\n"
    assert len(running(stand_in)) == 2
    search.send_signal(signal.SIGKILL)
    search.wait()
    deadline = time.monotonic() + 60
    while (running(stand_in) or list(stand_in.parent.glob("betanas-mps-*"))) and time.monotonic() < deadline:
        time.sleep(0.1)


def test_one_that_serves_nobody_is_not_used(stand_in: Path) -> None:
    assert mps.start_service(("false",)) is None
    assert len(stand_in.read_text().split()) == 2


def test_one_that_may_not_start_is_done_without(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_REFUSES", "1")
    assert mps.start_service(("true",)) is None


def test_somebody_else_s_service_is_left_alone(stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / "control").touch()
    assert mps.start_service(("true",)) is None
    (tmp_path / "usual" / "control").unlink()
    monkeypatch.setenv(mps.MPS_PIPES, "/run/mps")
    assert mps.start_service(("true",)) is None
    assert stand_in.read_text() == ""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100")
    assert describe_device(torch.device("cuda:0")) == "cuda:0 NVIDIA H100, MPS"


def test_without_the_program_there_is_no_service(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mps, "_PROGRAM", "no-such-program")
    assert mps.start_service(("true",)) is None


@pytest.mark.usefixtures("gpus")
def test_workers_that_share_a_gpu_are_told_where_the_service_is(
    stand_in: Path, digits_setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers find no GPU and end; what they were started with can be seen before."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(mps.start_service, "__defaults__", (("true",),))
    shown = []
    for workers in (4, 2):
        with LocalExecutor(digits_setup, replace(ExecutorSettings(), workers=workers)) as executor:
            shown.append([worker.slot.environment.get(mps.MPS_PIPES) for worker in executor._workers])
            assert bool(running(stand_in)) == (workers == 4)
        assert not running(stand_in)
    assert len(set(shown[0])) == 1
    assert shown[0][0] is not None
    assert shown[1] == [None, None], "each has a GPU of its own"
