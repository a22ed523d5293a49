"""Several processes that train one network together: DistributedDataParallel through Hugging Face Accelerate.

Started from Python or a notebook by `launch_trial`, or by torchrun, in which case `join_processes` gives each process
its place; the processes of a search's worker find one another by `meet_processes`. The report trained every trial so,
on six GPUs, with gradients cast to 16 bits (section 4.4.3).
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DDPCommunicationHookType, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented, but missing in its stubs
from torch.multiprocessing.spawn import ProcessException, spawn

from betanas.blueprint import Blueprint
from betanas.data.images import Splits
from betanas.files import read_json
from betanas.training.batches import Share
from betanas.training.budget import Budget
from betanas.training.compression import Compression
from betanas.training.engine import TrialEngine
from betanas.training.files import write_json
from betanas.training.launch import WITHOUT_END, begin_group, died, enter_group, usable_device
from betanas.training.recipe import Recipe
from betanas.training.result import TrialResult

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
        with warnings.catch_warnings():
            # What torch offers in its place sends the norm statistics once all the same.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
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

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """All processes' tensors, of one shape, in the order of their numbers."""
        gathered: Tensor = self._accelerator.gather(tensor[None].to(self.device))
        return list(gathered.to(tensor.device))


def join_processes(compression: Compression = "none", *, device: str = "auto") -> AcceleratedProcesses:
    """Take this process's place among those that torchrun, or `launch_trial`, started."""
    return AcceleratedProcesses(compression, device=device)


def meet_processes(
    rank: int,
    size: int,
    *,
    port: int,
    listening: int | None = None,
    compression: Compression = "none",
    device: str = "auto",
) -> AcceleratedProcesses:
    """Take a place among processes of this machine that were started one by one, each with torchrun's variables set.

    Returns once all of them are there. They wait for each other without end: whoever started them is to watch them.

    Args:
        rank: this process's number.
        size: how many there are.
        port: where they meet, on the loopback interface.
        listening: the file descriptor of a socket that listens there; for the first process.
        compression: as in `AcceleratedProcesses`.
        device: as in `AcceleratedProcesses`.
    """
    store = TCPStore(
        "127.0.0.1",
        port,
        size,
        is_master=rank == 0,
        timeout=WITHOUT_END,
        wait_for_workers=False,
        master_listen_fd=listening,
    )
    begin_group(store, rank, size, device)
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
    job = replace(job, device=usable_device(job.device, processes=processes))
    with tempfile.TemporaryDirectory(prefix="betanas-") as folder:
        try:
            spawn(_run_or_exit, (processes, job, folder), nprocs=processes)  # type: ignore[no-untyped-call]
        except ProcessException as error:
            return _first_failure(Path(folder), error)
        return TrialResult.from_dict(read_json(_result_file(Path(folder), 0)))


def _run_or_exit(rank: int, size: int, job: TrialJob, folder: str) -> None:
    """Train, and leave the result in the folder; where the trial failed, end the process.

    The others wait for this one's gradients and would do so for ever; the launcher ends them once one has failed.
    """
    enter_group(rank, size, folder, job.device)
    result = job.run()
    write_json(_result_file(Path(folder), rank), result.to_dict())
    if result.outcome not in ("completed", "stopped"):
        raise SystemExit(1)


def _result_file(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.json"


def _first_failure(folder: Path, error: ProcessException) -> TrialResult:
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        result = TrialResult.from_dict(read_json(path))
        if result.outcome not in ("completed", "stopped"):
            return result
    return TrialResult("failed", "worker_lost", f"{died(error)} before it had a result.")
