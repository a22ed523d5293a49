"""What every executor must do, and what those with processes of their own must survive: real crashes, real floods."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from assignments import assignment

from betanas import host_memory
from betanas.blueprint import Blueprint
from betanas.errors import DeviceError
from betanas.search.executors.base import (
    Assignment,
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    Patience,
    TrialEnded,
    WorkerSetup,
)
from betanas.search.executors.local import LocalExecutor
from betanas.search.executors.registry import available_executors, make_executor
from betanas.search.executors.slots import plan_slots
from betanas.testing import check_executor
from betanas.training.result import TrialResult


def settings(tmp_path: Path, **values: object) -> ExecutorSettings:
    return replace(ExecutorSettings(devices=("cpu",), log_folder=tmp_path / "logs"), **values)  # type: ignore[arg-type]


def submit_when_idle(executor: Executor, wanted: Assignment) -> None:
    deadline = time.monotonic() + 600
    while not executor.idle:
        executor.poll(0.5)
        assert time.monotonic() < deadline, "no worker became idle"
    executor.submit(wanted)


def until_ended(executor: Executor, index: int, seconds: float = 600.0) -> list[ExecutorEvent]:
    events: list[ExecutorEvent] = []
    deadline = time.monotonic() + seconds
    while not any(isinstance(event, TrialEnded) and event.index == index for event in events):
        events += executor.poll(0.5)
        assert time.monotonic() < deadline, "the trial did not end"
    return events


def start_and_poll(executor: Executor) -> None:
    deadline = time.monotonic() + 600
    with executor:
        while time.monotonic() < deadline:
            executor.poll(0.5)
    raise AssertionError("it went on for ten minutes")


def train(executor: Executor, wanted: Assignment) -> TrialResult:
    submit_when_idle(executor, wanted)
    ended = [event for event in until_ended(executor, wanted.index) if isinstance(event, TrialEnded)]
    assert len(ended) == 1
    return ended[0].result


# That of Ray is checked on the cluster of its own tests (test_executors_ray.py).
@pytest.mark.parametrize("name", [name for name in available_executors() if name != "ray"])
def test_every_executor_keeps_its_promises(name: str, tmp_path: Path) -> None:
    check_executor(name, settings=settings(tmp_path, workers=1))


@pytest.fixture(scope="module")
def local(digits_setup: WorkerSetup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    place = tmp_path_factory.mktemp("local")
    with LocalExecutor(
        digits_setup, settings(place, patience=Patience(preparation=300.0, grace=2.0), log_bytes=200_000)
    ) as made:
        yield made


class TestExecutorsWithProcesses:
    def test_a_process_that_dies_is_recorded_and_replaced(
        self, local: LocalExecutor, digits_blueprint: Blueprint
    ) -> None:
        for index, (kind, words) in enumerate({"segfault": "SIGSEGV", "exit": "exit code 3"}.items()):
            result = train(local, assignment(digits_blueprint, index, kind=kind))
            assert (result.outcome, result.cause) == ("failed", "worker_lost")
            assert words in result.reason
        assert train(local, assignment(digits_blueprint, 9)).outcome == "completed"

    def test_workers_that_came_up_once_may_die_often_before_they_do_again(
        self, local: LocalExecutor, digits_blueprint: Blueprint
    ) -> None:
        assert train(local, assignment(digits_blueprint, 0)).outcome == "completed"
        for _ in range(5):
            group = local._workers[0].group
            assert group is not None
            (worker,) = group.processes
            psutil.Process(worker.pid).kill()
            while local._workers[0].group is group:
                local.poll(0.1)
        assert train(local, assignment(digits_blueprint, 1)).outcome == "completed"

    def test_a_trial_that_hangs_is_ended_with_everything_it_started(
        self, local: LocalExecutor, digits_blueprint: Blueprint
    ) -> None:
        submit_when_idle(local, assignment(digits_blueprint, 0, kind="hang", budget="1s"))
        group = local._workers[0].group
        assert group is not None
        (worker,) = group.processes
        began = time.monotonic()
        ended = [event for event in until_ended(local, 0) if isinstance(event, TrialEnded)]
        assert ended[0].result.cause == "timeout"
        assert "outlived its budget of 1s" in ended[0].result.reason
        assert time.monotonic() - began >= 3.0, "budget and grace; how much later a busy machine decides"
        assert not psutil.pid_exists(worker.pid)

    def test_a_trial_that_never_comes_to_its_clock_has_a_limit_and_a_cause_of_its_own(
        self, digits_setup: WorkerSetup, digits_blueprint: Blueprint, tmp_path: Path
    ) -> None:
        patience = Patience(preparation=2.0, grace=10_000.0)
        with LocalExecutor(digits_setup, settings(tmp_path, patience=patience)) as executor:
            for index, budget in enumerate(("1s", "4steps")):
                result = train(executor, assignment(digits_blueprint, index, kind="hang_first", budget=budget))
                assert (result.outcome, result.cause) == ("failed", "preparation")
                assert "within 2 seconds" in result.reason

    def test_grace_counts_from_the_first_step_that_counts(
        self, digits_setup: WorkerSetup, digits_blueprint: Blueprint, tmp_path: Path
    ) -> None:
        """Images of another job take longer to open than budget and grace together: no trial's fault."""
        slow = tmp_path / "slow.py"
        slow.write_text(
            "import time\nfrom betanas.training import engine\nreal = engine.TrialEngine._new_run\n"
            "def late(*given, **named):\n    time.sleep(4)\n    return real(*given, **named)\n"
            "engine.TrialEngine._new_run = late\n"
        )
        patience = Patience(preparation=600.0, grace=3.0)
        setup = replace(digits_setup, plugins=(*digits_setup.plugins, str(slow)))
        with LocalExecutor(setup, settings(tmp_path, patience=patience)) as executor:
            result = train(executor, assignment(digits_blueprint, 0, budget="0.2s"))
        assert result.outcome == "completed", result.reason
        assert result.preparation_seconds > 4.0

    def test_a_trial_that_eats_the_memory_is_ended(
        self, local: LocalExecutor, digits_blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        submit_when_idle(local, assignment(digits_blueprint, 0, kind="allocate", budget="60s"))
        # The machine is shared: pretend that it is nearly full, so that the trial is stopped a gigabyte from here.
        ceiling = host_memory.available() - 2**30
        monkeypatch.setattr(host_memory, "reserve", lambda: ceiling)
        ended = [event for event in until_ended(local, 0) if isinstance(event, TrialEnded)]
        assert ended[0].result.cause == "host_memory"
        assert "ran out of memory" in ended[0].result.reason

    def test_a_flood_of_output_is_cut(self, local: LocalExecutor, digits_blueprint: Blueprint) -> None:
        result = train(local, assignment(digits_blueprint, 4, kind="flood", budget="1steps"))
        assert result.outcome == "completed"
        assert local.settings.log_folder is not None
        log = local.settings.log_folder / "trial-00004.log"
        assert 200_000 <= log.stat().st_size <= 201_000
        assert b"left out" in log.read_bytes()[-60:]

    def test_workers_die_with_the_search_however_it_dies(self, tmp_path: Path) -> None:
        script = Path(__file__).with_name("executor_that_waits.py")
        search = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        assert search.stdout is not None
        workers = [int(word) for word in search.stdout.readline().split()]
        assert len(workers) == 2
        assert all(psutil.pid_exists(worker) for worker in workers)
        search.send_signal(signal.SIGKILL)
        search.wait()
        deadline = time.monotonic() + 120
        for worker in workers:
            while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, "an orphan holds its device"
                time.sleep(0.05)

    def test_a_search_that_was_stopped_reads_what_arrived_before_it_judges_who_is_late(self) -> None:
        """Ctrl-Z for longer than budget and grace: the good result lies in the pipe."""
        script = Path(__file__).with_name("executor_that_is_stopped.py")
        search = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        assert search.stdout is not None
        assert search.stdout.readline() == "started\n"
        search.send_signal(signal.SIGSTOP)
        time.sleep(6.0)
        search.send_signal(signal.SIGCONT)
        assert search.stdout.readline() == "completed \n"
        assert search.wait() == 0

    def test_a_worker_that_cannot_start_says_why(self, digits_setup: WorkerSetup, tmp_path: Path) -> None:
        plugin = tmp_path / "plugin.py"
        plugin.write_text("import os; os._exit(7)")
        broken = replace(digits_setup, plugins=(str(plugin),))
        with pytest.raises(DeviceError, match="exit code 7"):
            start_and_poll(LocalExecutor(broken, settings(tmp_path)))

    def test_the_proposer_keeps_off_the_cores_of_running_trials(
        self, request: pytest.FixtureRequest, digits_setup: WorkerSetup, digits_blueprint: Blueprint, tmp_path: Path
    ) -> None:
        if (os.cpu_count() or 1) < 2:
            pytest.skip("needs two cores")
        # The test process may be kept to one core (tests/conftest.py); this test is about having several.
        kept = os.sched_getaffinity(0)
        request.addfinalizer(lambda: os.sched_setaffinity(0, kept))
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        cores = os.sched_getaffinity(0)
        with LocalExecutor(digits_setup, settings(tmp_path, workers=2)) as two:
            assert [slot.threads for slot in two._slots] == [len(slot.cores) for slot in two._slots]
            submit_when_idle(two, assignment(digits_blueprint, 0, kind="hang", budget="60s"))
            while not two.idle:
                two.poll(0.5)
            (busy,) = (worker for worker in two._workers if worker.stage == "busy")
            with two.proposing() as threads:
                assert threads == 1
                assert not os.sched_getaffinity(0) & set(busy.slot.cores)
            assert os.sched_getaffinity(0) == cores


def test_bad_devices_are_refused(digits_setup: WorkerSetup) -> None:
    with pytest.raises(DeviceError, match="Type one of: cpu"):
        plan_slots(ExecutorSettings(devices=("cuda:17",)))
    with pytest.raises(DeviceError, match="--workers must be"):
        plan_slots(ExecutorSettings(devices=("cpu",), workers=0))
    with pytest.raises(DeviceError, match="executors are"):
        make_executor("carrier pigeon", digits_setup, ExecutorSettings())


def test_more_workers_than_cores_share_them() -> None:
    slots = plan_slots(ExecutorSettings(devices=("cpu",), workers=5))
    assert len(slots) == 5
    assert all(slot.threads == 1 for slot in slots)
    assert [slot.shared_by for slot in slots] == [sum(slot.cores == other.cores for other in slots) for slot in slots]


def test_threads_of_workers_sleep_while_they_wait_unless_the_user_wants_otherwise(
    digits_setup: WorkerSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    for wanted in (None, "ACTIVE"):
        if wanted:
            monkeypatch.setenv("OMP_WAIT_POLICY", wanted)
        with LocalExecutor(digits_setup, settings(tmp_path)) as made:
            group = made._workers[0].group
            assert group is not None
            (worker,) = group.processes
            # For a moment after a process has begun the system does not show its environment.
            deadline = time.monotonic() + 600
            while "OMP_WAIT_POLICY" not in (environment := psutil.Process(worker.pid).environ()):
                assert time.monotonic() < deadline, "the worker was started without it"
            assert environment["OMP_WAIT_POLICY"] == (wanted or "PASSIVE")
