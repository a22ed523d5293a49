"""One row of a profile: a network, a way to run it, and what that took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from betanas.errors import MissingExtraError
from betanas.profiling.conditions import Conditions
from betanas.profiling.energy import find_counter, joules_a_call
from betanas.profiling.runtimes import NotMeasurableError, prepare_call
from betanas.profiling.subject import Subject
from betanas.profiling.timing import Timing, time_calls
from betanas.training.device import (
    cudnn_settings,
    describe_device,
    peak_memory,
    release_memory,
    reset_peak_memory,
    training_dtype,
)
from betanas.training.failure import describe_failure
from betanas.training.optimisation import build_optimizer
from betanas.training.recipe import Recipe

What = Literal["inference", "training step"]


@dataclass(frozen=True)
class Measurement:
    """A row of a profile.

    Attributes:
        network: its name.
        what: `inference`: a batch's forward pass in evaluation mode; `training step`: forward, backward, optimiser.
        runtime: `eager`, `compiled` or `onnxruntime`.
        device: what ran it, in words.
        batch_size: images a call.
        threads: of the processor, for torch or onnxruntime.
        dtype: of the activations.
        resolution: side of the images, in pixels.
        params, macs: of the network; MACs for one image.
        timing: of a call; None where it could not be measured.
        joules: of a call; None where there is no counter.
        memory: bytes a training step held at most: allocated on a GPU, on a processor the growth of the process; None
            for inference.
        reason: why the time could not be measured; empty where it could.
        energy_from: the counter's name, or why there is none.
    """

    network: str
    what: What
    runtime: str
    device: str
    batch_size: int
    threads: int
    dtype: str
    resolution: int
    params: int
    macs: int
    timing: Timing | None = None
    joules: float | None = None
    memory: int | None = None
    reason: str = ""
    energy_from: str = ""

    @property
    def images_per_second(self) -> float | None:
        """By the median; None where it could not be measured."""
        return self.batch_size / self.timing.median if self.timing else None


def measure_inference(
    subject: Subject, conditions: Conditions, *, runtime: str = "eager", batch_size: int = 1
) -> Measurement:
    """How long a network takes for a batch of random images in float32.

    Args:
        subject: the network.
        conditions: device, threads and repeats.
        runtime: `eager`, `compiled` or `onnxruntime`.
        batch_size: images a call.
    """
    device = conditions.device

    def prepare(threads: int) -> Callable[[], object]:
        return prepare_call(runtime, subject, _images(subject, batch_size, device), threads)

    return _measured(_row(subject, "inference", runtime, "float32", batch_size), prepare, conditions)


def measure_training(subject: Subject, conditions: Conditions, recipe: Recipe, *, batch_size: int) -> Measurement:
    """How long a training step takes, and how much memory, on random images: a trial's less its data work.

    Args:
        subject: the network.
        conditions: device, threads and repeats.
        recipe: decides the optimiser, the data type and the layout in memory.
        batch_size: images a step.
    """
    device = conditions.device
    base: list[int] = []

    def prepare(_: int) -> Callable[[], object]:
        release_memory(device)
        reset_peak_memory(device)
        base.append(0 if device.type == "cuda" else peak_memory(device) or 0)
        return _training_step(subject, recipe, batch_size, device)

    runtime = "compiled" if recipe.compile else "eager"
    row = _row(subject, "training step", runtime, training_dtype(recipe.dtype, device), batch_size)
    found = _measured(row, prepare, conditions)
    peak = peak_memory(device)
    if found.timing is None or peak is None:
        return found
    return replace(found, memory=max(peak - base[0], 0))


def _measured(row: Measurement, prepare: Callable[[int], Callable[[], object]], conditions: Conditions) -> Measurement:
    device = conditions.device
    cuda = [device] if device.type == "cuda" else []
    with (
        conditions.applied() as threads,
        torch.random.fork_rng(devices=cuda),
        cudnn_settings(),
    ):
        row = replace(row, device=describe_device(device), threads=threads)
        try:
            call = prepare(threads)
            row = replace(row, timing=time_calls(call, conditions))
            if conditions.energy_seconds > 0:
                counter = find_counter(device)
                if isinstance(counter, str):
                    row = replace(row, energy_from=counter)
                else:
                    joules = joules_a_call(call, counter, device, conditions.energy_seconds)
                    row = replace(row, joules=joules, energy_from=counter.name)
        except (NotMeasurableError, MissingExtraError) as error:
            row = replace(row, reason=str(error))
        except (RuntimeError, MemoryError) as error:
            row = replace(row, timing=None, reason=describe_failure(error, device=device, steps=0).reason)
    # Without the call, which holds the network: the next measurement starts from an empty device.
    call = None  # type: ignore[assignment]
    release_memory(device)
    return row


def _row(subject: Subject, what: What, runtime: str, dtype: str, batch_size: int) -> Measurement:
    return Measurement(
        network=subject.name,
        what=what,
        runtime=runtime,
        device="",
        batch_size=batch_size,
        threads=0,
        dtype=dtype,
        resolution=subject.resolution,
        params=subject.params,
        macs=subject.macs,
    )


def _images(subject: Subject, batch_size: int, device: torch.device) -> torch.Tensor:
    return torch.randn(batch_size, subject.in_channels, subject.resolution, subject.resolution, device=device)


def _training_step(subject: Subject, recipe: Recipe, batch_size: int, device: torch.device) -> Callable[[], object]:
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network = subject.build().to(device).to(memory_format=layout).train()
    if recipe.compile:
        network.compile(dynamic=False)
    optimizer = build_optimizer(network, recipe, device)
    images = _images(subject, batch_size, device).contiguous(memory_format=layout)
    labels = torch.randint(subject.num_classes, (batch_size,), device=device)
    bfloat16 = training_dtype(recipe.dtype, device) == "bfloat16"

    def step() -> object:
        # As betanas.training steps: the last step's gradients are gone before new activations are made.
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        torch.autograd.backward(loss)
        if recipe.clip_norm > 0:
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        return optimizer.step()

    return step
