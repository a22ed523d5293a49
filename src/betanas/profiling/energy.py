"""Energy by the hardware's own counters: NVIDIA's NVML for a GPU, Linux's powercap (RAPL) for a processor.

Both count what the whole package or board has drawn since it was switched on, idle parts and other programs included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from betanas.training.device import synchronise

POWERCAP = Path("/sys/class/powercap")

NO_COUNTER = "not measurable here: "


@dataclass(frozen=True)
class EnergyCounter:
    """A counter that only grows.

    Attributes:
        name: what it is and whose energy it counts.
        read: joules so far, as far as each part's register has not wrapped.
        wraps_at: joules at which each part's register starts again from 0; empty for one that does not.
    """

    name: str
    read: Callable[[], tuple[float, ...]]
    wraps_at: tuple[float, ...] = ()

    def between(self, before: tuple[float, ...], after: tuple[float, ...]) -> float:
        """Joules between two readings, less than one turn of a register apart."""
        parts = [late - early for early, late in zip(before, after, strict=True)]
        if self.wraps_at:
            parts = [part + turn if part < 0 else part for part, turn in zip(parts, self.wraps_at, strict=True)]
        return sum(parts)


def find_counter(device: torch.device, *, powercap: Path = POWERCAP) -> EnergyCounter | str:
    """The counter of a device's energy, or why there is none, in words.

    Args:
        device: a GPU or the processor.
        powercap: Linux's folder of power domains.
    """
    if device.type == "cuda":
        return _nvml(device)
    if device.type == "cpu":
        return _rapl(powercap)
    return f"{NO_COUNTER}no energy counter is known for {device.type}"


def joules_a_call(call: Callable[[], object], counter: EnergyCounter, device: torch.device, seconds: float) -> float:
    """Joules that a call takes, the machine's idling meanwhile included.

    Args:
        call: is made again and again.
        counter: of the device.
        device: that makes the call.
        seconds: for at least so long.
    """
    calls, started, before = 0, time.perf_counter(), counter.read()
    while time.perf_counter() - started < seconds:
        call()
        synchronise(device)
        calls += 1
    return counter.between(before, counter.read()) / calls


def _nvml(device: torch.device) -> EnergyCounter | str:
    try:
        import pynvml
    except ImportError:
        return f"{NO_COUNTER}NVML needs the package nvidia-ml-py"
    try:
        pynvml.nvmlInit()
        # torch may see fewer GPUs than NVML, in another order: the identifier is the same in both.
        handle: Any = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError as error:
        return f"{NO_COUNTER}NVML says {error}"
    return EnergyCounter(
        f"NVML, {device}", lambda: (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,)
    )  # counted in mJ


def _rapl(powercap: Path) -> EnergyCounter | str:
    # intel-rapl:0 is a processor's package (AMD's too); intel-rapl:0:1 is a part of it, and psys holds the package.
    zones = [zone for zone in sorted(powercap.glob("intel-rapl:[0-9]*")) if zone.name.count(":") == 1]
    packages = []
    for zone in zones:
        with suppress(OSError):
            if (zone / "name").read_text(encoding="ascii").startswith("package"):
                packages.append(zone)
    if not packages:
        return f"{NO_COUNTER}the system shows no power domain of the processor (powercap)"
    try:
        wraps = tuple(_joules(zone / "max_energy_range_uj") for zone in packages)
        for zone in packages:
            _joules(zone / "energy_uj")
    except (OSError, ValueError):
        return f"{NO_COUNTER}the processor's energy counter can be read by the system's administrator alone"
    return EnergyCounter(
        f"RAPL, {len(packages)} package{'s' if len(packages) > 1 else ''}",
        lambda: tuple(_joules(zone / "energy_uj") for zone in packages),
        wraps,
    )


def _joules(path: Path) -> float:
    return int(path.read_text(encoding="ascii")) / 1e6
