"""A plugin that makes networks misbehave: what one does is decided by its blueprint's latent size.

Run inside a real worker process, so that the search sees real crashes, hangs and floods.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

import betanas.models
from betanas.blueprint import Blueprint

MISBEHAVIOUR_FILE = Path(__file__)

KINDS = ("hang", "allocate", "segfault", "raise", "nan", "flood", "exit", "killed", "out_of_memory", "raise_in_second")
KINDS += ("hang_first",)

# Steps before the clock: one that prepares, one that is timed.
_BEFORE_THE_CLOCK = 2
LATENT = {kind: 9001 + place for place, kind in enumerate(KINDS)}

_real_build = betanas.models.build


class Misbehaving(nn.Module):
    def __init__(self, kind: str, network: nn.Module) -> None:
        super().__init__()
        self.kind = kind
        self.calls = 0
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        self.calls += self.training
        if self.training and (self.kind != "hang" or self.calls > _BEFORE_THE_CLOCK):
            act(self.kind)
        answer: Tensor = self.network(images)
        return answer * float("nan") if self.kind == "nan" else answer


def act(kind: str) -> None:
    if kind in ("hang", "hang_first"):
        time.sleep(10_000)
    elif kind == "allocate":
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1) * 50_000_000))
    elif kind == "segfault":
        ctypes.string_at(0)
    elif kind == "raise" or (kind == "raise_in_second" and os.environ.get("RANK") == "1"):
        raise RuntimeError("this network is broken on purpose")
    elif kind == "flood":
        line = b"x" * 999_999 + b"\n"
        for _ in range(100):
            os.write(2, line)
        print("said on standard output, not to the search")
        sys.stdout.flush()
    elif kind == "exit":
        os._exit(3)
    elif kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "out_of_memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def build(blueprint: Blueprint) -> nn.Module:
    network = _real_build(blueprint)
    kind = {latent: kind for kind, latent in LATENT.items()}.get(blueprint.latent)
    return Misbehaving(kind, network) if kind else network


betanas.models.build = build
