"""An optimiser step's work on the device: run eagerly, or recorded once for each training size and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from typing_extensions import override

from betanas.training.graphs import GraphRefusedError, Graphs, Work

# What a step is given from outside: indices of images on the device, or the images and their labels.
Inputs = tuple[Tensor, ...]
StepWork = Callable[[Inputs, int], None]


class Step(Protocol):
    """Runs optimiser steps.

    Attributes:
        words: how, for the record.
    """

    words: str

    def prepare(self, inputs: Inputs, size: int) -> None:
        """Run a step for the first time at a training size, for what it allocates, chooses and records."""
        ...

    def __call__(self, inputs: Inputs, size: int) -> None:
        """Run a step at a training size that has been prepared."""
        ...


class EagerStep(Step):
    """Runs every operation as Python comes to it.

    Args:
        work: of a step.
        reason: why it is not a graph.
    """

    def __init__(self, work: StepWork, reason: str) -> None:
        self.words = f"eager: {reason}"
        self._work = work

    @override
    def prepare(self, inputs: Inputs, size: int) -> None:
        self._work(inputs, size)

    @override
    def __call__(self, inputs: Inputs, size: int) -> None:
        self._work(inputs, size)


class GraphedStep(Step):
    """Replays one graph for each training size. A step's inputs are copied to where the graph reads them.

    Args:
        work: of a step.
        graphs: of the device.
        generators: random numbers that the work draws from, beside torch's global ones.
    """

    words = "graph"

    def __init__(self, work: StepWork, graphs: Graphs, generators: Sequence[torch.Generator]) -> None:
        self._work = work
        self._graphs = graphs
        self._generators = generators
        self._inputs: Inputs = ()
        self._replays: dict[int, Work] = {}

    def prepare(self, inputs: Inputs, size: int) -> None:
        """See `Step.prepare`.

        Raises:
            GraphRefusedError: the work cannot be recorded.
        """
        if not self._inputs:
            self._inputs = tuple(each.clone() for each in inputs)

        def work() -> None:
            self._work(self._inputs, size)

        self._replays.pop(size, None)
        self._graphs.rehearse(work)
        self._replays[size] = self._graphs.capture(work, self._generators)

    @override
    def __call__(self, inputs: Inputs, size: int) -> None:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self._replays[size]()


def prepared_step(
    work: StepWork,
    *,
    graphs: Graphs | None,
    refusal: str,
    generators: Sequence[torch.Generator],
    sizes: Sequence[int],
    inputs: Inputs,
) -> Step:
    """A step that is ready for every training size: as a graph where that can be, otherwise eager.

    Args:
        work: of a step.
        graphs: of the device; None where it has none, or must not use them.
        refusal: why it must not; empty where it may.
        generators: random numbers that the work draws from, beside torch's global ones.
        sizes: training sizes, in pixels.
        inputs: of a step.
    """
    if graphs is not None and not refusal:
        graphed = GraphedStep(work, graphs, generators)
        try:
            for size in sizes:
                graphed.prepare(inputs, size)
        except GraphRefusedError as error:
            refusal = str(error)
        else:
            return graphed
    eager = EagerStep(work, refusal or "the device has no graphs")
    for size in sizes:
        eager.prepare(inputs, size)
    return eager
