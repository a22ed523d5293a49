"""The device a trial trains on: how it is named, what it can do, how much memory it took."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch

from betanas import host_memory
from betanas.environment import MPS_PIPES
from betanas.errors import DeviceError

# malloc.h of glibc; the values are C ints.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGE, _TOP_PAD = 2**31 - 1, 2**28

_TUNING_SECONDS, _TUNING_SHARE = 60.0, 0.02

_NAME = re.compile(r"(cpu|mps|cuda(?::\d+)?)")


def resolve_device(name: str) -> torch.device:
    """The device a name stands for.

    Args:
        name: `cpu`, `cuda`, `cuda:N`, `mps`, or `auto` for the fastest that is there.

    Raises:
        DeviceError: there is no such device.
    """
    if name == "auto":
        name = _fastest()
    if not _NAME.fullmatch(name):
        raise DeviceError("A device must be auto, cpu, cuda, cuda:N or mps.", value=name, hint="Type --device auto.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("The device mps needs an Apple GPU.", value=name, hint="Type --device cpu.")
    if not name.startswith("cuda"):
        return torch.device(name)
    count = torch.cuda.device_count()
    if count == 0:
        raise DeviceError(f"The device {name} needs an NVIDIA GPU, and torch sees none.", hint="Type --device cpu.")
    device = torch.device(name)
    # A bare `cuda` means the current device, as in torch: under torchrun each process has its own.
    index = device.index if ":" in name else torch.cuda.current_device()
    if index >= count:
        raise DeviceError(
            f"The devices here are cuda:0 to cuda:{count - 1}.",
            value=name,
            hint=f"Type --device cuda:{count - 1}.",
        )
    return torch.device("cuda", index)


def _fastest() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def describe_device(device: torch.device, *, processes: int = 1) -> str:
    """The device in words: `cpu (2 threads)`, `cuda:0 NVIDIA H100`, `cpu (1 thread), 2 processes`.

    `cuda:0 NVIDIA H100, MPS` is one that processes use by NVIDIA's Multi-Process Service.
    """
    words = str(device)
    if device.type == "cuda":
        words = f"{device} {torch.cuda.get_device_name(device)}{', MPS' if os.environ.get(MPS_PIPES) else ''}"
    elif device.type == "cpu":
        threads = torch.get_num_threads()
        words = f"cpu ({threads} thread{'s' if threads != 1 else ''})"
    return words if processes == 1 else f"{words}, {processes} processes"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done everything it was given: without this a clock reads what was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def training_dtype(dtype: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """What a recipe's `dtype` means on a device: `auto` is bfloat16 where the device computes it in hardware."""
    wanted = dtype == "bfloat16" or (dtype == "auto" and gains_from_bfloat16(device))
    return "bfloat16" if wanted else "float32"


def priced_dtype(dtype: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """The type that the memory of a training step is predicted in, for a recipe's `dtype`.

    A GPU's own type: predictions in bfloat16 were within 4% of what six networks took on one. Elsewhere float32, which
    is never less, since a study that began on one processor may go on where bfloat16 gains nothing.
    """
    return training_dtype(dtype, device) if device.type == "cuda" else "float32"


def gains_from_bfloat16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware.

    On a processor without AVX512_BF16 or AMX, autocast converts back and forth and loses; so does MPS.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


@contextlib.contextmanager
def cudnn_settings(*, tune: bool = False) -> Iterator[None]:
    """Held wherever a network trains or is timed: cuDNN on, TensorFloat-32 allowed.

    `torch.backends.cudnn.flags` also sets `enabled`, which is False unless it is named; convolutions then run many
    times slower on kernels of torch's own.

    Args:
        tune: whether cuDNN times several kernels for every new convolution: 20 to 60 seconds for a new network on an
            H100, which only long trainings win back.
    """
    with torch.backends.cudnn.flags(enabled=True, benchmark=tune, allow_tf32=True):
        yield


def tuning_pays(training_seconds: float) -> bool:
    """Whether cuDNN may time its kernels in a training of this length: it is to take at most a fiftieth of it.

    On an H100 it took 21 seconds at R=32 and up to 59 at R=224 for a new network.
    """
    return training_seconds >= _TUNING_SECONDS / _TUNING_SHARE


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a GPU; without end where images lie in the machine's memory anyway."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else math.inf


def reset_peak_memory(device: torch.device) -> None:
    """Start a new count of the peak, where the device has a counter."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # Linux alone; elsewhere the peak is that of the process's whole life
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: torch.device) -> int | None:
    """Bytes: the device's allocation peak since the reset, otherwise the process's resident peak."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            return int(found[1]) * 1024
    if platform.system() == "Windows":
        import psutil

        return int(psutil.Process().memory_info()._asdict()["peak_wset"])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def release_memory(device: torch.device) -> None:
    """Give what is no longer used back, so that the next trial, or another process, can have it."""
    host_memory.give_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def keep_freed_memory() -> None:
    """Have the C library keep what a step frees for the next one, instead of giving it back and asking anew.

    Activations are larger than glibc's threshold for mapping memory of its own, so that every step would fault in each
    of its pages again. A trial's end still gives everything back (`release_memory`). benchmarks/training_allocator.py
    measures what it is worth.
    """
    if (libc := host_memory.glibc()) is not None:
        for option, value in ((_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _LARGE), (_M_TOP_PAD, _TOP_PAD)):
            libc.mallopt(option, value)
