"""Several processes that train one network together: DistributedDataParallel through Hugging Face Accelerate.

Started from Python or a notebook by `launch_trial`, or by torchrun, in which case `join_processes` gives each process
its place. The report trained every trial so, on six GPUs, with gradients cast to 16 bits (section 4.4.3).
"""

from __future__ import annotations

import os
import pickle
import socket
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from accelerate import Accelerator
from accelerate.utils import DDPCommunicationHookType, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from betanas.blueprint import Blueprint
from betanas.data.images import Splits
from betanas.errors import DeviceError
from betanas.training.batches import Share
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.recipe import Recipe
from betanas.training.result import TrialResult

Compression = Literal["none", "fp16", "bf16", "powersgd"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

_HOOKS: dict[Compression, DDPCommunicationHookType] = {
    "none": DDPCommunicationHookType.NO,
    "fp16": DDPCommunicationHookType.FP16,
    "bf16": DDPCommunicationHookType.BF16,
    "powersgd": DDPCommunicationHookType.POWER_SGD,
}

# PowerSGD (Vogels et al., 2019) with rank 4. torch starts it after 1,000 steps by default, more than a short trial
# has; the first gradients, when the weights change the most, still go uncompressed.
_POWER_SGD = {"matrix_approximation_rank": 4, "start_powerSGD_iter": 10}


class AcceleratedProcesses:
    """This process's view of those that train together.

    Args:
        compression: of the gradients on their way between processes.
        device: `auto`, `cpu`, `cuda` or `mps`; `cpu` keeps GPUs out of it.
    """

    def __init__(self, compression: Compression = "none", *, device: str = "auto") -> None:
        handler = DistributedDataParallelKwargs(
            # Norm statistics are averaged where they are used, at evaluations, instead of sent at every step.
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
            comm_hook=_HOOKS[compression],
            comm_state_option=_POWER_SGD if compression == "powersgd" else {},
        )
        self._accelerator = Accelerator(cpu=device == "cpu", kwargs_handlers=[handler])
        self.share = Share(self._accelerator.process_index, self._accelerator.num_processes)

    @property
    def device(self) -> torch.device:
        """This process's device."""
        device: torch.device = self._accelerator.device
        # Accelerate numbers even the processor: `cpu:0`.
        return torch.device("cpu") if device.type == "cpu" else device

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network in DistributedDataParallel, with the compression as its communication hook."""
        # Accelerate keeps what it prepared; networks of earlier trials must be let go.
        self._accelerator.free_memory()
        # The network is in its place. Moving it "to" `cpu:0`, as Accelerate would, gives it new tensors, and what holds
        # the old ones (the weight average) would be left behind.
        wrapped: nn.Module = self._accelerator.prepare_model(network, device_placement=False)
        return wrapped

    def maximum(self, value: float) -> float:
        """The largest of all processes' values."""
        own = torch.tensor([value], dtype=torch.float32 if self.device.type == "mps" else torch.float64)
        values: Tensor = self._accelerator.gather(own.to(self.device))
        return float(values.max())

    def total(self, sums: Tensor) -> Tensor:
        """The sum of all processes' tensors."""
        added: Tensor = self._accelerator.reduce(sums.clone(), reduction="sum")
        return added

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor, in place, by its mean over all processes; all travel as one."""
        if not tensors or self.share.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        mean: Tensor = self._accelerator.reduce(flat, reduction="mean")
        parts = mean.split([tensor.numel() for tensor in tensors])  # type: ignore[no-untyped-call]
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def under_torchrun() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join_processes(compression: Compression = "none", *, device: str = "auto") -> AcceleratedProcesses:
    """Take this process's place among those that torchrun, or `launch_trial`, started."""
    return AcceleratedProcesses(compression, device=device)


@dataclass(frozen=True)
class TrialJob:
    """A trial that several processes train together.

    Attributes:
        splits: what to train and judge on.
        blueprint: of the network.
        resolution: side of the network's input, in pixels.
        recipe: how to train; its batch size counts for each process.
        budget: how long.
        seed: as of `TrialEngine.run`.
        compression: of the gradients.
        device: `auto`, `cpu` or `cuda`.
        threads: of torch in each process; None divides the machine's cores among them.
    """

    splits: Splits
    blueprint: Blueprint
    resolution: int
    recipe: Recipe
    budget: Budget
    seed: int = 0
    compression: Compression = "none"
    device: str = "auto"
    threads: int | None = None

    def run(self) -> TrialResult:
        """Train, in a process that torchrun or `launch_trial` started."""
        processes = join_processes(self.compression, device=self.device)
        cores = os.cpu_count() or 1
        engine = TrialEngine(
            self.splits,
            resolution=self.resolution,
            recipe=self.recipe,
            device=str(processes.device),
            threads=self.threads or max(1, cores // processes.share.size),
            processes=processes,
        )
        return engine.run(self.blueprint, budget=self.budget, seed=self.seed)


def launch_trial(job: TrialJob, *, processes: int) -> TrialResult:
    """Train a network in several new processes of this machine; works from a script and from a notebook cell.

    Args:
        job: the trial.
        processes: how many; on GPUs, one for each.

    Returns:
        The outcome, as the first process saw it, or as the first one that failed did.

    Raises:
        DeviceError: there are fewer GPUs than processes.
    """
    gpus = torch.cuda.device_count()
    if processes < 1:
        raise DeviceError("There must be at least one process.", value=processes)
    if job.device.startswith("cuda") and gpus < processes:
        raise DeviceError(
            f"Each process needs a GPU of its own, and there are {gpus}.",
            value=processes,
            hint=f"Type --processes {gpus}." if gpus else "Type --device cpu.",
        )
    if job.device == "auto" and gpus < processes:
        job = TrialJob(**{**vars(job), "device": "cpu"})
    with tempfile.TemporaryDirectory(prefix="betanas-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=f"localhost:{_free_port()}",
            max_restarts=0,
        )
        try:
            results: dict[int, TrialResult] = elastic_launch(config, _run_or_exit)(job, folder)
        except ChildFailedError as error:
            return _first_failure(Path(folder), error)
    return results[0]


def _run_or_exit(job: TrialJob, folder: str) -> TrialResult:
    """Train; where the trial failed, leave its result in the folder and end the process.

    The others wait for this one's gradients and would do so for ever; the launcher ends them once one has failed.
    """
    result = job.run()
    if result.outcome in ("completed", "stopped"):
        return result
    rank = int(os.environ["RANK"])
    Path(folder, f"{rank}.pickle").write_bytes(pickle.dumps(result))
    raise SystemExit(1)


def _first_failure(folder: Path, error: ChildFailedError) -> TrialResult:
    files = sorted(folder.glob("*.pickle"), key=lambda path: path.stat().st_mtime_ns)
    for path in files:
        result: TrialResult = pickle.loads(path.read_bytes())  # noqa: S301 - written by our own child process
        return result
    rank, failure = error.get_first_failure()
    return TrialResult(
        outcome="failed",
        cause="worker_lost",
        reason=f"Process {rank} ended with exit code {failure.exitcode} before it had a result.",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
