"""The Ray executor on Ray's own cluster of several nodes in one machine: nodes come, go and die under their trials."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil
import pytest
from assignments import assignment
from misbehaviour import MISBEHAVIOUR_FILE

import betanas as bn
from betanas.blueprint import Blueprint
from betanas.errors import DeviceError
from betanas.search.executors.base import (
    Executor,
    ExecutorEvent,
    ExecutorSettings,
    Patience,
    TrialEnded,
    TrialPoint,
    WorkerSetup,
)
from betanas.search.executors.ray import executor as executor_module
from betanas.search.executors.ray.cluster import Node, connect, find_nodes
from betanas.search.executors.ray.executor import RayExecutor
from betanas.search.progress import SearchListener
from betanas.search.records import TrialRecord
from betanas.search.settings import SearchSettings
from betanas.testing import check_executor
from betanas.training.result import CurvePoint, TrialResult

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

T = TypeVar("T")

RAY_NODE = {"num_cpus": 2, "object_store_memory": 80_000_000}

CPU = ExecutorSettings(devices=("cpu",))


def wait_for(executor: Executor, wanted: object, seconds: float = 600.0) -> list[ExecutorEvent]:
    """What happens until `wanted(events so far)` holds."""
    events: list[ExecutorEvent] = []
    deadline = time.monotonic() + seconds
    while not wanted(events):  # type: ignore[operator]
        events += executor.poll(0.5)
        assert time.monotonic() < deadline, events
    return events


def ended(events: list[ExecutorEvent]) -> dict[int, list[TrialResult]]:
    found: dict[int, list[TrialResult]] = {}
    for event in events:
        if isinstance(event, TrialEnded):
            found.setdefault(event.index, []).append(event.result)
    return found


def begun(make: Callable[[], T], tries: int = 5) -> T:
    """A Ray that is started: to its own processes it gives 30 seconds, which a busy machine may not have."""
    for _ in range(tries - 1):
        with suppress(Exception):
            return make()
    return make()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Cluster]:
    """A Ray cluster of one small node, to which this process is connected. It ends here: idle it costs too."""
    import ray
    from ray.cluster_utils import Cluster

    # Ray's processors are counted, not real. Its workers are not to give way to whatever else runs here.
    head = {**RAY_NODE, "include_dashboard": False, "_system_config": {"worker_niceness": 0}}
    cluster = begun(lambda: Cluster(initialize_head=True, head_node_args=head))
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    ray._private.worker._worker_logs_enabled = False
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def stoppable(digits_setup: WorkerSetup) -> WorkerSetup:
    return replace(digits_setup, stoppable=True)


@pytest.fixture
def extra_nodes(ray_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster; what a test adds to it is gone again afterwards."""
    before = set(ray_cluster.list_all_nodes())
    yield ray_cluster
    for node in set(ray_cluster.list_all_nodes()) - before:
        ray_cluster.remove_node(node)


def lose_a_node(cluster: Cluster) -> None:
    """Take a node away, not the head."""
    cluster.remove_node(next(node for node in cluster.list_all_nodes() if not node.is_head()))


def plugin_that_tells(folder: Path) -> tuple[Path, Path]:
    """A file that will hold the worker's process id, and the plugin that writes it."""
    told, plugin = folder / "worker", folder / "plugin.py"
    plugin.write_text(f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(str(os.getpid()))")
    return told, plugin


def test_it_keeps_the_promises_of_every_executor(ray_cluster: Cluster, tmp_path: Path) -> None:
    # The cluster has room for this worker and one more.
    check_executor("ray", settings=replace(CPU, workers=1, log_folder=tmp_path / "logs"))


class TestTrials:
    def test_nodes_that_go_and_come(
        self, extra_nodes: Cluster, stoppable: WorkerSetup, digits_blueprint: Blueprint, tmp_path: Path
    ) -> None:
        begun(lambda: extra_nodes.add_node(**RAY_NODE))
        plugin = tmp_path / "plugin.py"
        plugin.write_text(MISBEHAVIOUR_FILE.read_text(encoding="utf-8"), encoding="utf-8")
        setup = replace(stoppable, plugins=(str(plugin),))
        settings = replace(CPU, trial_cpus=2, log_folder=tmp_path / "logs")
        made = RayExecutor(setup, settings)
        plugin.unlink()  # its text has to do: nodes share no files with the search
        with made as executor:
            assert executor.capacity == 2
            assert not executor.proposes_ahead
            wait_for(executor, lambda _: executor.idle == 2)

            # A curve is seen while its trial trains: the verdict on its first point ends the trial.
            executor.submit(assignment(digits_blueprint, 1, budget="30s"))
            executor.submit(assignment(digits_blueprint, 2, budget="30s"))
            with executor.proposing() as threads:
                assert threads == 1
            points: dict[int, CurvePoint] = {}

            def first_points(events: list[ExecutorEvent]) -> bool:
                points.update({event.index: event.point for event in events if isinstance(event, TrialPoint)})
                return len(points) == 2

            wait_for(executor, first_points)
            added = next(node.node_id for node in extra_nodes.list_all_nodes() if not node.is_head())
            by_node = {
                worker.node: worker.running.assignment.index
                for worker in executor._workers
                if worker.running is not None
            }
            lost = by_node.pop(added)
            (kept,) = by_node.values()
            executor.answer(kept, points[kept].step, go_on=False)
            executor.answer(lost, points[lost].step, go_on=True)
            (stopped,) = ended(wait_for(executor, ended))[kept]
            assert stopped.outcome == "stopped"
            assert stopped.curve[0] == points[kept]
            log = tmp_path / "logs" / f"trial-{kept:05d}.log"
            assert log.read_text(encoding="utf-8").startswith("[attempt 1]")

            # The other trial's node goes. What is left is one result.
            lose_a_node(extra_nodes)
            events = wait_for(executor, ended)
            events += executor.poll(1.0)
            assert set(ended(events)) == {lost}
            (result,) = ended(events)[lost]
            assert (result.outcome, result.cause) == ("failed", "worker_lost")
            assert result.reason.startswith("The node ")
            assert "lost" in result.reason

            # Another node joins, and the trial is trained there at the second attempt.
            begun(lambda: extra_nodes.add_node(**RAY_NODE))
            wait_for(executor, lambda _: executor.idle >= 1)
            executor.submit(assignment(digits_blueprint, lost, budget="2steps", attempt=2))
            events = wait_for(executor, ended)
            assert [result.outcome for result in ended(events)[lost]] == ["completed"]
            assert all(getattr(event, "attempt", 2) == 2 for event in events if getattr(event, "index", None) == lost)

    def test_a_trial_that_hangs_or_dies_is_ended_on_its_node(
        self, ray_cluster: Cluster, digits_setup: WorkerSetup, digits_blueprint: Blueprint
    ) -> None:
        with RayExecutor(digits_setup, replace(CPU, workers=1, patience=Patience(grace=3.0))) as executor:
            wait_for(executor, lambda _: executor.idle)
            executor.submit(assignment(digits_blueprint, 0, budget="2steps", kind="segfault"))
            (died,) = ended(wait_for(executor, ended))[0]
            assert (died.outcome, died.cause) == ("failed", "worker_lost")
            assert "SIGSEGV" in died.reason
            wait_for(executor, lambda _: executor.idle)
            executor.submit(assignment(digits_blueprint, 1, budget="1s", kind="hang"))
            (hung,) = ended(wait_for(executor, ended))[1]
            assert hung.cause == "timeout"
            assert "outlived its budget of 1s" in hung.reason

    @pytest.mark.soak
    def test_an_actor_that_no_longer_answers_is_replaced(
        self,
        ray_cluster: Cluster,
        digits_setup: WorkerSetup,
        digits_blueprint: Blueprint,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        told, plugin = plugin_that_tells(tmp_path)
        setup = replace(digits_setup, plugins=(str(plugin),))
        monkeypatch.setattr(executor_module, "_LISTEN_SECONDS", 0.5)
        monkeypatch.setattr(executor_module, "_SILENCE_SECONDS", 10.0)
        with RayExecutor(setup, replace(CPU, workers=1)) as executor:
            wait_for(executor, lambda _: executor.idle)
            executor.submit(assignment(digits_blueprint, 0, budget="30s"))
            wait_for(executor, lambda events: any(isinstance(event, TrialPoint) for event in events))
            actor = psutil.Process(int(told.read_text())).parent()
            assert actor is not None
            actor.suspend()
            (result,) = ended(wait_for(executor, ended))[0]
            assert result.cause == "worker_lost"
            assert "has not answered" in result.reason
            wait_for(executor, lambda _: executor.idle)


TRAINING_NODE = {**RAY_NODE, "resources": {"trainer": 1}}


class NodeTaker(SearchListener):
    """Takes the node that trains away as soon as its trial has shown a point, and adds another."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.taken = False
        self.retried: list[tuple[int, str]] = []

    def on_point(self, record: TrialRecord, point: CurvePoint) -> None:
        if not self.taken:
            self.taken = True
            lose_a_node(self.cluster)
            begun(lambda: self.cluster.add_node(**TRAINING_NODE))

    def on_trial_retried(self, record: TrialRecord, result: TrialResult) -> None:
        self.retried.append((record.index, result.cause))


def test_a_search_that_loses_a_node_completes_every_trial(extra_nodes: Cluster, tmp_path: Path) -> None:
    begun(lambda: extra_nodes.add_node(**TRAINING_NODE))
    listener = NodeTaker(extra_nodes)
    settings = SearchSettings(
        data="digits",
        study=str(tmp_path / "study"),
        resolution=16,
        budget="4s",
        trials=2,
        strategy="sobol",
        executor="ray",
        devices=("cpu",),
        address=extra_nodes.address,
        trial_resources={"trainer": 1},
        grace=600,
        max_memory=2**30,
        max_params=500_000,
    )
    with bn.search(settings, listener=listener) as study:
        trials = study.trials()
    assert listener.retried == [(0, "worker_lost")]
    assert [(record.state, record.attempts) for record in trials] == [("completed", 2), ("completed", 1)]
    assert all(record.top1 is not None for record in trials)


@pytest.mark.parametrize("address", ["cluster", pytest.param("local", marks=pytest.mark.soak)])
def test_workers_die_with_the_search_however_it_dies(ray_cluster: Cluster, tmp_path: Path, address: str) -> None:
    """On a cluster Ray ends the actors of a search that has died; a Ray of the search's own dies with it."""
    told, plugin = plugin_that_tells(tmp_path)
    script = Path(__file__).with_name("ray_search_that_waits.py")
    where = ray_cluster.address if address == "cluster" else "local"
    search = subprocess.Popen([sys.executable, str(script), where, str(plugin)], stdout=subprocess.PIPE, text=True)
    assert search.stdout is not None
    assert search.stdout.readline() == "ready\n"
    worker = psutil.Process(int(told.read_text()))
    started = psutil.Process(search.pid).children(recursive=True)
    search.kill()
    search.wait()
    # Helpers of a Ray that has lost its head take a minute to notice.
    _, living = psutil.wait_procs([worker], timeout=300)
    living += psutil.wait_procs(started, timeout=300)[1]
    assert not [process for process in living if process.status() != psutil.STATUS_ZOMBIE]


def test_a_ray_of_its_own_for_one_search(tmp_path: Path) -> None:
    study = tmp_path / "study"
    command = f"search --data digits --study {study} --resolution 16 --budget 2steps --trials 1 --strategy sobol"
    done = subprocess.run(
        [sys.executable, "-m", "betanas", *command.split(), "--executor", "ray", "--devices", "cpu", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]["completed"] == 1
    assert not [words for words in ("(raylet)", "(pid=", "worker.py", "Ray instance") if words in done.stderr]


def test_more_than_any_node_has(ray_cluster: Cluster, digits_setup: WorkerSetup) -> None:
    with pytest.raises(DeviceError, match=r"takes 64 CPU, and a node must .* 2 CPU"):
        RayExecutor(digits_setup, replace(CPU, trial_cpus=64))


def test_another_cluster_than_the_one_connected_to(ray_cluster: Cluster) -> None:
    with pytest.raises(DeviceError, match="another Ray cluster"):
        find_nodes("10.0.0.1:6379", ("cpu",))


def test_a_ray_of_its_own_that_did_not_come_up_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own limit for its processes cannot be provoked: what it raises then is made up."""
    import ray

    begun_with: list[str] = []

    def init(**told: object) -> None:
        begun_with.append(str(told["address"]))
        if len(begun_with) != 3:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", init)
    here = Node("this machine", {"CPU": 1.0, "GPU": 0.0})
    assert connect(None, here)
    assert begun_with == ["local"] * 3
    with pytest.raises(DeviceError, match="timed out during startup"):
        connect(None, here)
    assert len(begun_with) == 6
    with pytest.raises(DeviceError, match="timed out during startup"):
        connect("auto", here)
    assert begun_with[6:] == ["auto"]
