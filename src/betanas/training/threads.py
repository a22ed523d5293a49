"""Whether a training step gains anything from more than one processor thread, measured on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from betanas.training.budget import Budget

# Pairs of steps, one with one thread and one with all: their ratio is of one moment, so that what else the machine does
# meets both. Three are enough for a median that one disturbed pair does not decide.
_PAIRS, _LEAST_PAIRS, _SECONDS = 9, 3, 3.0

# The measurement takes three seconds or so: trainings of less than this, together, would not win them back.
WORTH_MEASURING = 120.0

# More threads that make a step less than this many times as fast are worth more to other work, such as another trial.
WORTHWHILE = 1.1


def threads_for(build: Callable[[], nn.Module], budget: Budget, **measured: Any) -> int | None:
    """How many threads a training on the processor is to compute with; None for as many as torch has.

    Only a training in seconds learns more where steps are quicker; one in steps or epochs gives the same numbers again
    only with the same number of threads, which no measurement should decide.

    Args:
        build: gives the network.
        budget: of the training.
        measured: what `gain_of_threads` needs beside the network and the threads.
    """
    threads = torch.get_num_threads()
    if budget.unit != "seconds" or budget.amount < WORTH_MEASURING or threads == 1:
        return None
    return threads if gain_of_threads(build(), threads=threads, **measured) >= WORTHWHILE else 1


def gain_of_threads(network: nn.Module, *, shape: tuple[int, int, int, int], classes: int, threads: int) -> float:
    """How many times as fast a training step is with a number of threads as with one.

    The median over pairs of steps that take turns. Torch's number of threads is afterwards what it was before.

    Args:
        network: with its initial weights; it is not trained, only its gradients are computed.
        shape: of a batch of images: [n, channels, side, side].
        classes: that the network tells apart.
        threads: to compare with one.
    """
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )
    labels = torch.arange(shape[0]) % classes
    network = network.to(memory_format=torch.channels_last).train()

    def step() -> None:
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(functional.cross_entropy(network(images), labels))

    before = torch.get_num_threads()
    try:
        _seconds(step, threads)  # memory and kernels, which the first step pays for
        return _median_ratio(step, threads)
    finally:
        torch.set_num_threads(before)


def _median_ratio(step: Callable[[], None], threads: int) -> float:
    ratios: list[float] = []
    begun = time.perf_counter()
    while len(ratios) < _PAIRS and (len(ratios) < _LEAST_PAIRS or time.perf_counter() - begun < _SECONDS):
        ratios.append(_seconds(step, 1) / _seconds(step, threads))
    return statistics.median(ratios)


def _seconds(step: Callable[[], None], threads: int) -> float:
    torch.set_num_threads(threads)
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun
