"""What went wrong in a trial, as a word, a sentence and an outcome."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

import torch

from betanas.errors import DataError
from betanas.training.device import describe_device
from betanas.training.result import Cause, Outcome

# How torch's libraries say that memory ran out where they do not raise torch.OutOfMemoryError.
_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)

# How torch says that a process which decodes streamed images has died; the signal can reach us between any two steps.
_READER_LOST = "DataLoader worker"


class NonFiniteLossError(ArithmeticError):
    """The training loss became infinite or not a number."""


class InterruptedTrainingError(RuntimeError):
    """The process did not run for a while between two steps, so that its training seconds are not to be trusted."""


@dataclass(frozen=True)
class Failure:
    """Why a trial did not complete; the fields are those of a `TrialResult`."""

    outcome: Outcome
    cause: Cause
    reason: str


def describe_failure(error: Exception, *, device: torch.device, steps: int) -> Failure:
    """Sort an exception that a trial raised.

    Args:
        error: the exception.
        device: the trial's.
        steps: optimiser steps it had done.
    """
    message = " ".join(str(error).split()) or type(error).__name__
    if _is_out_of_memory(error):
        reason = f"It does not fit the memory of {describe_device(device)}: {message[:300]}"
        return Failure("infeasible", "out_of_memory", reason)
    if isinstance(error, MemoryError):
        return Failure("failed", "host_memory", f"The machine's memory ran out: {message}")
    if isinstance(error, NonFiniteLossError):
        return Failure("failed", "non_finite", f"After {steps} steps {message}.")
    if isinstance(error, InterruptedTrainingError):
        return Failure("failed", "interrupted", f"After {steps} steps {message}.")
    if isinstance(error, DataError) or (isinstance(error, RuntimeError) and _READER_LOST in message):
        return Failure("failed", "data", message)
    if isinstance(error, (ConnectionError, EOFError)):
        # Its socket can tell before the signal does.
        return Failure("failed", "data", f"A process that decodes images was lost: {message}")
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}, in {place.name}"
    return Failure("failed", "exception", f"{type(error).__name__}: {message} ({where})")


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
