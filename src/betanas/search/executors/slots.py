"""Where the workers of this machine run: which devices and cores each one has."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import pairwise

from betanas.errors import DeviceError
from betanas.search.settings import MachineSettings


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one worker runs: a process, or several that train every trial together.

    Attributes:
        device: what the engine is told (`cpu`, `cuda`, `mps`).
        cores: processor cores it may use, all its processes together; empty for all.
        threads: threads that each of its processes computes with on the processor; None where it trains elsewhere.
        environment: variables that show it its devices alone.
        processes: how many train a trial together, on accelerators one for each.
        shared_by: workers that are on its devices, or its cores, this one included.
    """

    device: str
    cores: tuple[int, ...]
    threads: int | None
    environment: dict[str, str]
    processes: int = 1
    shared_by: int = 1

    def cores_of(self, rank: int) -> tuple[int, ...]:
        """The cores of one of its processes; empty for all."""
        return _share_out(self.cores, self.processes)[rank] if self.cores else ()


def plan_slots(settings: MachineSettings) -> list[Slot]:
    """Where the workers go: one for each accelerator or group of them, or the processor's cores shared out.

    A trial on several devices trains with a process on each of them. The processor is one device for as many processes
    as are wanted: they share the worker's cores.

    Raises:
        DeviceError: a device is not there, or the numbers do not fit.
    """
    together = settings.per_trial_devices
    devices = _find_devices(settings.devices)
    if devices == ["cpu"]:
        return _processor_slots(settings.worker_count or 1, together, settings.threads)
    if len(devices) % together:
        raise DeviceError(
            "The devices must divide evenly among the trials.",
            value=f"{len(devices)} devices, {together} for each trial",
        )
    groups = [devices[i : i + together] for i in range(0, len(devices), together)]
    slots = [
        Slot(
            device="cuda" if group[0].startswith("cuda") else group[0],
            cores=(),
            threads=None,
            environment=_visible(group),
            processes=together,
        )
        for group in groups
    ]
    # More workers than devices share them in turn: small networks do not fill an accelerator.
    count = settings.worker_count or len(slots)
    return [
        replace(slots[place % len(slots)], shared_by=len(range(place % len(slots), count, len(slots))))
        for place in range(count)
    ]


def trains_on_processor(settings: MachineSettings) -> bool:
    """Whether trials train on this machine's processor."""
    return settings.executor in ("local", "inline") and _find_devices(settings.devices) == ["cpu"]


def shared_gpus(settings: MachineSettings) -> tuple[str, ...]:
    """GPUs of this machine that several trials of a study could share, by name; empty where it trains elsewhere.

    Raises:
        DeviceError: a device is not there.
    """
    if settings.executor != "local" or settings.per_trial_devices != 1:
        return ()
    return tuple(name for name in _find_devices(settings.devices) if name.startswith("cuda"))


def available_cores() -> tuple[int, ...]:
    """The processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _processor_slots(workers: int, processes: int, most: int | None) -> list[Slot]:
    slots = []
    shares = _share_out(available_cores(), workers)
    for share in shares:
        threads = max(1, len(share) // processes)
        threads = threads if most is None else min(threads, most)
        environment = {
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": str(threads),
            # Huge pages for activations: with freed memory kept, 1.15 times the steps a second, and 1.12 times
            # without them (benchmarks/training_allocator.py).
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        }
        slots.append(Slot("cpu", share, threads, environment, processes, shares.count(share)))
    return slots


def _share_out(cores: tuple[int, ...], parts: int) -> list[tuple[int, ...]]:
    """Cores for each part; where there are fewer cores than parts, some share one."""
    if parts >= len(cores):
        return [(cores[place % len(cores)],) for place in range(parts)]
    bounds = [round(place * len(cores) / parts) for place in range(parts + 1)]
    return [cores[low:high] for low, high in pairwise(bounds)]


def _find_devices(wanted: tuple[str, ...]) -> list[str]:
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    if wanted == ("auto",):
        return cuda or mps or ["cpu"]
    known = ["cpu", *cuda, *mps]
    found = []
    for name in wanted:
        if name == "cuda" and cuda:
            found += cuda
        elif name in known:
            found.append(name)
        else:
            raise DeviceError("A device must be on this machine.", value=name, hint=f"Type one of: {', '.join(known)}.")
    if "cpu" in found and set(found) != {"cpu"}:
        raise DeviceError("A search uses the processor or accelerators, not both.", value=", ".join(found))
    return list(dict.fromkeys(found))


def _visible(group: list[str]) -> dict[str, str]:
    if not group[0].startswith("cuda"):
        return {}
    places = [int(name.removeprefix("cuda:")) for name in group]
    # Where the user has hidden some devices, torch's numbers are places in the list of the others.
    shown = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return {"CUDA_VISIBLE_DEVICES": ",".join(shown[place].strip() if shown else str(place) for place in places)}
