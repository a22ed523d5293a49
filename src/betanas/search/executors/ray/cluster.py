"""Which cluster a search runs on, and what a trial takes of it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from betanas.errors import DeviceError
from betanas.extras import require
from betanas.search.executors.slots import Slot, available_cores
from betanas.search.settings import MachineSettings

# Ray itself tries an address that does not answer for minutes.
_KNOCK_SECONDS = 10.0

# A cluster of hundreds of nodes answers within seconds.
_PROBE_SECONDS = 60.0

# So often is a Ray of the search's own started: it gives its processes 30 seconds, which a busy machine may not have.
_STARTS = 3

# What a Ray that the search starts itself is told.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}

# Results are small; Ray would set aside a third of the machine's memory.
_OBJECT_STORE_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is there.

    Attributes:
        address: its address in the cluster.
        resources: what it has in all, by Ray's name (`CPU`, `GPU`, a cluster's own).
    """

    address: str
    resources: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Share:
    """What one trial takes of a node.

    Attributes:
        cpus: processor cores.
        gpus: GPUs; below one, trials share one.
        resources: resources of the cluster's own.
        processes: processes that train the trial together.
        threads: of each process at most; None for its part of the cores.
    """

    cpus: int
    gpus: float
    resources: Mapping[str, float] = field(default_factory=dict)
    processes: int = 1
    threads: int | None = None

    @property
    def needs(self) -> dict[str, float]:
        """By Ray's names, nothing that is zero."""
        return {name: value for name, value in {"CPU": self.cpus, "GPU": self.gpus, **self.resources}.items() if value}

    def fits(self, node: Node) -> int:
        """How many of them a node holds."""
        # Ray counts in ten-thousandths.
        return min(
            round(node.resources.get(name, 0.0) * 10_000) // round(value * 10_000) for name, value in self.needs.items()
        )

    def slot(self) -> Slot:
        """Where its worker runs, seen from the node."""
        if self.gpus:
            # Ray has narrowed what the actor and its children see to the trial's GPUs.
            return Slot("cuda", (), None, {}, self.processes)
        threads = max(1, self.cpus // self.processes)
        threads = threads if self.threads is None else min(threads, self.threads)
        environment = {
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": str(threads),
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # see the local executor's slots
        }
        return Slot("cpu", (), threads, environment, self.processes)


def plan_share(settings: MachineSettings, nodes: Sequence[Node]) -> Share:
    """What a trial takes, by the settings and the cluster's nodes.

    A GPU for each of its devices where a node has any, otherwise a core.

    Raises:
        DeviceError: the numbers make no sense, or no node has so much.
    """
    together = settings.per_trial_devices
    if settings.devices not in (("auto",), ("cpu",), ("cuda",)):
        raise DeviceError(
            "With Ray, devices are auto, cpu or cuda: Ray chooses which.",
            value=",".join(settings.devices),
            hint="Say how many a trial trains on together with --per-trial-devices.",
        )
    wanted = settings.devices[0]
    on_gpus = wanted == "cuda" or (wanted == "auto" and any(node.resources.get("GPU") for node in nodes))
    gpus = settings.trial_gpus
    if gpus is not None and (not on_gpus or together != 1):
        raise DeviceError(
            "--trial-gpus is the part of a GPU that a trial on one of them takes, where several trials share it.",
            value=gpus,
            hint="For several GPUs a trial, type --per-trial-devices.",
        )
    for name, amount in settings.trial_resources.items():
        if amount <= 0 or name in ("CPU", "GPU"):
            raise DeviceError(
                "A trial's resource must be one of the cluster's own, above 0.",
                value=f"{name}={amount:g}",
                hint="Processors and GPUs have --trial-cpus, --trial-gpus and --per-trial-devices.",
            )
    share = Share(
        cpus=settings.trial_cpus or together,
        gpus=(gpus or together) if on_gpus else 0.0,
        resources=settings.trial_resources,
        processes=together,
        threads=settings.threads,
    )
    if not any(share.fits(node) for node in nodes):
        needs = _listed(share.needs)
        raise DeviceError(
            f"A trial takes {needs}, and a node must have all of it.",
            value="; ".join(f"{node.address}: {_listed(_shown(node.resources))}" for node in nodes) or "no nodes",
            hint="Ask for less (--trial-cpus, --trial-gpus, --per-trial-devices, --trial-resource), or add a node.",
        )
    return share


def find_nodes(address: str | None, devices: tuple[str, ...]) -> list[Node]:
    """The nodes of a cluster, without staying connected to it.

    Args:
        address: `auto` for the cluster that this machine belongs to, or its head's HOST:PORT; None or `local` for a Ray
            of the search's own on this machine.
        devices: as in `MachineSettings`; for this machine, whether GPUs count.

    Raises:
        MissingExtraError: Ray is not installed.
        DeviceError: there is no such cluster.
    """
    require(("ray",), extra="ray", purpose="The Ray executor")
    if address is not None and address not in ("auto", "local") and not _is_host_and_port(address):
        raise DeviceError(
            "A Ray cluster's address must be auto, local, or its head's HOST:PORT.",
            value=address,
            hint="Start the search on a node of the cluster, and type --address auto.",
        )
    import ray

    if ray.is_initialized():
        connected = ray.get_runtime_context().gcs_address
        if address not in (None, "local", "auto", connected):
            raise DeviceError("This process is connected to another Ray cluster already.", value=connected)
        return alive(ray.nodes())
    if address is None or address == "local":
        return [_this_machine(devices)]
    return alive(_ask(address))


def alive(nodes: Sequence[Mapping[str, Any]]) -> list[Node]:
    """The nodes that live, of what `ray.nodes()` says."""
    return [Node(node["NodeManagerAddress"], node["Resources"]) for node in nodes if node["Alive"]]


def connect(address: str | None, here: Node) -> bool:
    """Connect this process to the cluster, or start one on this machine for the search.

    A process that is connected already (a notebook) stays as it is.

    Returns:
        Whether the connection is the search's own, to be ended with it.

    Raises:
        DeviceError: Ray does not want to.
    """
    import ray

    if ray.is_initialized():
        return False
    told: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None or address == "local":
        told["address"] = "local"
        told["num_cpus"], told["num_gpus"] = int(here.resources["CPU"]), int(here.resources["GPU"])
        told["object_store_memory"], told["include_dashboard"] = _OBJECT_STORE_BYTES, False
    else:
        told["address"] = address
    tries = _STARTS if told["address"] == "local" else 1
    for left in reversed(range(tries)):
        try:
            with _undisturbed():
                ray.init(**told)
            break
        except Exception as failure:  # Ray raises bare ones
            ray.shutdown()
            if not left:
                raise DeviceError("Ray must be able to start.", value=told["address"], hint=str(failure)) from failure
    # Ray tells of lost nodes on standard output, where --json promises one document; so do Ray's debugger's sessions
    # without these lines. The search records what it lost itself.
    ray._private.worker._worker_logs_enabled = False
    return True


def _ask(address: str) -> list[dict[str, Any]]:
    """What `ray.nodes()` says in a process that connects to a cluster."""
    answer: dict[str, Any]
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
        found = subprocess.run(  # noqa: S603 - our own module with an address that was checked
            [sys.executable, "-m", "betanas.search.executors.ray.probe", address],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
        answer = json.loads(found.stdout.splitlines()[-1]) if found.stdout.strip() else {"error": found.stderr[-500:]}
    except OSError as failure:
        answer = {"error": str(failure)}
    except subprocess.TimeoutExpired:
        answer = {"error": f"no answer within {_PROBE_SECONDS:g} seconds"}
    if "error" in answer:
        raise DeviceError(
            "There must be a Ray cluster to connect to.",
            value=address,
            hint=f"Start one with: ray start --head. What went wrong: {answer['error']}.",
        )
    nodes: list[dict[str, Any]] = answer["nodes"]
    return nodes


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Connect without what Ray does beside it.

    It takes over SIGTERM, on which the search ends in order. A Ray that it starts would report its use to the world and
    have its workers give way to every other process of the machine, which costs trials their budget.
    """
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM) if main else None
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if before[name] is None})
    try:
        yield
    finally:
        for name in (name for name, value in before.items() if value is None):
            del os.environ[name]
        if main and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _this_machine(devices: tuple[str, ...]) -> Node:
    gpus = 0
    if devices != ("cpu",):
        import torch

        gpus = torch.cuda.device_count()
    return Node("this machine", {"CPU": float(len(available_cores())), "GPU": float(gpus)})


def _is_host_and_port(address: str) -> bool:
    host, colon, port = address.rpartition(":")
    return bool(host) and bool(colon) and port.isdigit() and "/" not in host


def _shown(resources: Mapping[str, float]) -> dict[str, float]:
    """What a person asks a node for; Ray's own bookkeeping is left out."""
    hidden = ("node:", "memory", "object_store_memory")
    return {name: value for name, value in resources.items() if not name.startswith(hidden)}


def _listed(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{value:g} {name}" for name, value in resources.items()) or "nothing"
