"""What a result was made on: hardware and versions, for the records of studies and benchmarks."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

# Where processes find NVIDIA's Multi-Process Service; set where they use one.
MPS_PIPES = "CUDA_MPS_PIPE_DIRECTORY"

PACKAGES = (
    "betanas", "torch", "torchvision", "accelerate", "ax-platform", "botorch", "gpytorch", "numpy", "scipy",
    "scikit-learn", "sqlalchemy", "optuna", "smac", "cmaes", "plotly", "dash", "ray", "timm", "onnx", "onnxruntime",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Python's version and those of the installed packages that decide results."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """Processor, cores, memory and system; the accelerators where torch is loaded already and sees some."""
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count() or 1),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": platform.platform(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        found["accelerators"] = ", ".join(names)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
