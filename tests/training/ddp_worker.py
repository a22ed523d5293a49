"""Run by torchrun in the tests: trains the same network under each compression and writes what happened.

Usage: torchrun --nproc-per-node 2 ddp_worker.py JOB.pickle FOLDER
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Self

import torch
import torch.distributed
from torch import nn

from betanas.training.budget import Budget
from betanas.training.compression import COMPRESSIONS
from betanas.training.distributed import AcceleratedProcesses, join_processes
from betanas.training.engine import TrialEngine


class Plain(nn.Module):
    """Without norms: the mean of two half batches' gradients is the whole batch's."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.SiLU(), nn.Flatten(), nn.Linear(72, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images)


class Wire:
    """Counts the bytes that the communication hooks reduce."""

    def __init__(self) -> None:
        self.bytes = 0
        self._all_reduce = torch.distributed.all_reduce

    def __enter__(self) -> Self:
        def counting(tensor, *args, **kwargs):
            if kwargs.get("async_op"):
                self.bytes += tensor.numel() * tensor.element_size()
            return self._all_reduce(tensor, *args, **kwargs)

        torch.distributed.all_reduce = counting
        return self

    def __exit__(self, *_) -> None:
        torch.distributed.all_reduce = self._all_reduce


def main(job_path: str, folder: str) -> None:
    torch.set_num_threads(1)
    job = pickle.loads(Path(job_path).read_bytes())
    found = {}
    for compression in COMPRESSIONS:
        processes: AcceleratedProcesses = join_processes(compression, device="cpu")
        engine = TrialEngine(job["splits"], resolution=8, recipe=job["recipe"], device="cpu", processes=processes)
        with Wire() as wire:
            plain = engine.train(Plain, budget=Budget.parse("20steps"), seed=0)
        found[compression] = {"plain": plain.to_dict(), "bytes": wire.bytes}
        if compression in ("none", "fp16"):
            found[compression]["network"] = engine.run(
                job["blueprint"], budget=Budget.parse("2epochs"), seed=0
            ).to_dict()
    seconds = engine.run(job["blueprint"], budget=Budget.parse("0.3s"), seed=0)
    rank = processes.share.rank
    stopped = engine.run(job["blueprint"], budget=Budget.parse("20steps"), seed=0, on_point=lambda _: rank == 0)
    found |= {"seconds": seconds.to_dict(), "stopped": stopped.to_dict()}
    Path(folder, f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
