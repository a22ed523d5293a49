"""A training's folder: checkpoints from which it goes on exactly, the best weights, and in the end the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from betanas.errors import RecipeError
from betanas.files import read_json
from betanas.training.checkpoint import load_checkpoint, random_state, save_checkpoint, set_random_state
from betanas.training.files import file_in, read_tensors, write_json, write_tensors
from betanas.training.job import Job
from betanas.training.processes import Processes
from betanas.training.result import CurvePoint, TrialResult
from betanas.training.run import Evaluation, Material, TrainingRun

_PLAN = "plan.json"
_RESULT = "result.json"
NETWORK = "network.safetensors"
SIDECAR = "network.json"


@dataclass
class Progress:
    """What is known of a training beside the state of its run: its curve, and which evaluation was the best.

    Attributes:
        top1, top5: of the best evaluation on all validation images; `top1` is -1 before there was one.
        best_step: optimiser steps then.
        best_file: where a folder keeps that evaluation's weights.
        since_best: evaluations since.
        curve: the learning curve.
    """

    top1: float = -1.0
    top5: float | None = None
    best_step: int = 0
    best_file: str = ""
    since_best: int = 0
    curve: list[CurvePoint] = field(default_factory=list)

    def add(self, found: Evaluation) -> bool:
        """Take an evaluation into account; whether it is the best so far."""
        self.curve.append(found.point)
        self.since_best += 1
        if not found.whole or found.score.top1 <= self.top1:
            return False
        self.top1, self.top5 = found.score.top1, found.score.top5
        self.best_step, self.since_best = found.point.step, 0
        return True


class TrainingFolder:
    """The folder of one training.

    A checkpoint is written after every evaluation. Killed at any moment and started again with the same job, the
    training ends with the numbers it would have ended with uninterrupted (bit for bit on a CPU, where the budget is
    not in seconds). Among more than two processes the first step after a start can round gradients otherwise than it
    did uninterrupted, since they are summed in another order.

    Several processes open one folder each with the same arguments; the first of them writes.

    Args:
        path: of this training alone.
        job: what is trained.
        processes: those that train together.

    Raises:
        RecipeError: the folder holds another training, or the job's compression cannot be resumed.
    """

    def __init__(self, path: Path, job: Job, *, processes: Processes) -> None:
        self.path = path
        self._job = job
        self._processes = processes
        self._writes = processes.share.rank == 0
        if job.compression == "powersgd":
            raise RecipeError(
                "A training that is kept must be able to go on exactly, and PowerSGD remembers what it has left out.",
                value=job.compression,
                hint="Compress by fp16 or bf16.",
            )
        ours = job.to_dict()
        if (path / _PLAN).exists():
            with _whole(path / _PLAN):
                theirs = Job.from_dict(read_json(path / _PLAN)).to_dict()
            if differing := [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]:
                raise RecipeError(
                    f"The folder {path} holds a training with another {' and '.join(differing)}.",
                    hint="Type the same command as before to go on with it, or give another folder.",
                )
        elif self._writes:
            write_json(path / _PLAN, ours)

    def result(self) -> TrialResult | None:
        """What the training ended in; None before it has."""
        path = self.path / _RESULT
        if not path.exists():
            return None
        with _whole(path):
            return TrialResult.from_dict({"outcome": "completed", **read_json(path)})

    def restore(self, run: TrainingRun) -> Progress:
        """Bring a new run, and torch's random numbers, to where the last checkpoint left them.

        Raises:
            RecipeError: the checkpoint is damaged, or of another network.
        """
        found = load_checkpoint(self.path)
        if found is None:
            return Progress()
        with _whole(self.path):
            state, notes = found
            run.load_state_dict(state["run"])
            random = state["random"]
            if self._processes.share.size > 1:
                # Cloned, since torch reads a generator's state from the beginning of the memory behind a tensor.
                random = {name: each[self._processes.share.rank].clone() for name, each in random.items()}
            set_random_state(random, run.material.device)
            return Progress(**{**notes, "curve": [CurvePoint(**point) for point in notes["curve"]]})

    def save(self, run: TrainingRun, progress: Progress, *, best: bool) -> None:
        """Write a checkpoint and, where the last evaluation was the best, its weights."""
        if best:
            progress.best_file = f"best-{progress.best_step:09d}.safetensors"
            if self._writes:
                write_tensors(self.path / progress.best_file, run.evaluated_network.state_dict())
        random = random_state(run.material.device)
        if self._processes.share.size > 1:
            random = {name: torch.stack(self._processes.gather(own)) for name, own in random.items()}
        state = {"run": run.state_dict(), "random": random}
        if self._writes:
            save_checkpoint(self.path, state, step=run.clock.steps, notes=asdict(progress))
            for old in self.path.glob("best-*.safetensors"):
                if old.name != progress.best_file:
                    old.unlink(missing_ok=True)
        self._wait_for_all()

    def best_weights(self, progress: Progress) -> dict[str, Tensor]:
        """The weights of the best evaluation."""
        tensors = read_tensors(file_in(self.path, progress.best_file))
        self._wait_for_all()  # before the first of them removes the file
        return tensors

    def publish(self, result: TrialResult, weights: Mapping[str, Tensor], material: Material) -> None:
        """Write the trained network and its result, and remove what they were made from."""
        if not self._writes:
            return
        write_tensors(self.path / NETWORK, weights)
        write_json(
            self.path / SIDECAR,
            {
                "format": 1,
                **self._job.to_dict(),
                "classes": list(material.classes),
                "in_channels": material.in_channels,
                "stored_side": material.side,
                "scale": material.standardise.scale.tolist(),
                "offset": material.standardise.offset.tolist(),
                "top1": result.top1,
                "test_top1": result.test_top1,
            },
        )
        write_json(self.path / _RESULT, result.to_dict())
        for leftover in (*self.path.glob("checkpoint*"), *self.path.glob("best-*.safetensors")):
            leftover.unlink(missing_ok=True)

    def _wait_for_all(self) -> None:
        """Let the first process finish writing: what the others waited for it in a step would count as training."""
        self._processes.maximum(0.0)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Held while what a training has written is read."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise RecipeError(
            "What a training has written must be whole.",
            value=str(path),
            hint=f"{type(error).__name__}: {error}. Give another folder, or remove this one to start anew.",
        ) from error
