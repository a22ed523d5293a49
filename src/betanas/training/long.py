"""Training to convergence: checkpoints, exact resume, early stopping, and the test set judged once, at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from betanas.data.images import Images
from betanas.errors import RecipeError
from betanas.training.budget import Budget
from betanas.training.checkpoint import load_checkpoint, random_state, save_checkpoint, set_random_state
from betanas.training.compression import Compression
from betanas.training.device import cudnn_settings, describe_device, peak_memory, reset_peak_memory
from betanas.training.engine import TrialEngine
from betanas.training.evaluation import Score
from betanas.training.failure import NonFiniteLossError
from betanas.training.files import file_in, read_json, read_tensors, write_json, write_tensors
from betanas.training.result import CurvePoint
from betanas.training.run import TrainingRun
from betanas.training.tracking import NoTracker, Tracker

_PLAN = "plan.json"
_RESULT = "result.json"
NETWORK = "network.safetensors"
SIDECAR = "network.json"


class DivergedError(RecipeError):
    """A training whose loss did not stay finite."""


@dataclass(frozen=True)
class LongPlan:
    """What a long training is: equal plans give equal numbers, and a folder holds one plan.

    Attributes:
        architecture: what is trained, as plain data: a blueprint's `to_dict()`, or a benchmark network's name.
        data: what it is trained on, as plain data.
        resolution: side of the network's input, in pixels.
        recipe: the recipe's every setting.
        budget: at most so long, as typed.
        seed: of weights, order and augmentation.
        patience: evaluations without a better validation top-1 after which training ends; 0 never ends it early.
        processes: how many train it together, each with the recipe's batch size.
        compression: of the gradients between them.
    """

    architecture: Mapping[str, Any]
    data: Mapping[str, Any]
    resolution: int
    recipe: Mapping[str, Any]
    budget: str
    seed: int = 0
    patience: int = 0
    processes: int = 1
    compression: Compression = "none"

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, ready for JSON; of one process, without what is about several."""
        document = asdict(self)
        if self.processes == 1:
            del document["processes"], document["compression"]
        return document


@dataclass(frozen=True)
class LongResult:
    """What a long training ended in.

    Attributes:
        ending: `budget` (used up) or `patience` (no progress).
        top1, top5: the best evaluation's, on validation images.
        test_top1, test_top5: of the best evaluation's weights on the test set; None where there is none.
        best_step: optimiser steps at the best evaluation.
        steps, epochs, training_seconds: in all.
        images_per_second: training images a training second.
        peak_memory: bytes, as in `TrialResult`.
        device: what it trained on, in words.
        curve: the learning curve.
    """

    ending: str
    top1: float
    top5: float | None
    test_top1: float | None
    test_top5: float | None
    best_step: int
    steps: int
    epochs: float
    training_seconds: float
    images_per_second: float
    peak_memory: int | None
    device: str
    curve: tuple[CurvePoint, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LongResult:
        """Read what `dataclasses.asdict` wrote."""
        return cls(**{**data, "curve": tuple(CurvePoint(**point) for point in data["curve"])})


class LongTraining:
    """Trains one network in a folder, from wherever that folder's last checkpoint left it.

    A checkpoint is written after every evaluation. Killed at any moment and started again with the same plan, the
    training ends with the numbers it would have ended with uninterrupted (bit for bit on a CPU, where the budget is
    not in seconds).

    Several processes make one training each with the same arguments; the first of them writes. Among more than two
    the first step after a start can round gradients otherwise than it did uninterrupted, since they are summed in
    another order.

    Args:
        folder: of this training alone.
        plan: what is trained.
        engine: holds the images; its recipe, resolution and device count.
        build: gives the network, drawing its weights from torch's global generator.
        tracker: told of every evaluation.

    Raises:
        RecipeError: the folder holds a training with another plan, or its compression cannot be resumed.
    """

    def __init__(
        self,
        folder: Path,
        plan: LongPlan,
        *,
        engine: TrialEngine,
        build: Callable[[], nn.Module],
        tracker: Tracker | None = None,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._engine = engine
        self._build = build
        self._tracker = tracker or NoTracker()
        self._processes = engine.processes
        self._writes = engine.processes.share.rank == 0
        if plan.compression == "powersgd":
            raise RecipeError(
                "A long training must be able to go on exactly, and PowerSGD remembers what it has left out.",
                value=plan.compression,
                hint="Compress by fp16 or bf16.",
            )
        document = json.loads(json.dumps(plan.to_dict()))
        if (folder / _PLAN).exists():
            stored = read_json(folder / _PLAN)
            differing = [name for name in {**document, **stored} if stored.get(name) != document.get(name)]
            if differing:
                raise RecipeError(
                    f"The folder {folder} holds a training with another {' and '.join(differing)}.",
                    hint="Type the same command as before to go on with it, or give another folder.",
                )
        elif self._writes:
            write_json(folder / _PLAN, document)

    def run(self, *, test: Images | None, on_point: Callable[[CurvePoint], None] | None = None) -> LongResult:
        """Train to the end, or go on doing so; a training that has ended gives its stored result.

        Args:
            test: images for the one final judgement; None leaves it out.
            on_point: shown every new evaluation.

        Raises:
            DivergedError: the loss became infinite or not a number.
        """
        if (self._folder / _RESULT).exists():
            return LongResult.from_dict(read_json(self._folder / _RESULT))
        device = self._engine.device
        reset_peak_memory(device)
        cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), cudnn_settings():
            torch.manual_seed(self._plan.seed)
            network = self._build().to(device)
            if self._processes.share.size > 1:
                # They start from the same weights; what stochastic depth drops differs between them.
                torch.manual_seed(self._plan.seed + self._processes.share.rank)
            run = TrainingRun(
                network,
                self._engine.material,
                # The best weights are chosen among evaluations, so all of them look at all images.
                self._engine.recipe.with_settings(interim_images=0),
                Budget.parse(self._plan.budget),
                seed=self._plan.seed,
                processes=self._processes,
            )
            progress = self._restore(run)
            try:
                ending = self._train(run, progress, on_point)
            except NonFiniteLossError as error:
                raise DivergedError(
                    "The training loss must stay finite.",
                    value=f"a loss that is not after {run.clock.steps} steps",
                    hint="Lower the recipe's learning_rate, or set clip_norm = 1.0.",
                ) from error
            finally:
                run.close()
            result = self._conclude(run, progress, ending, test)
        self._tracker.close()
        return result

    def _train(self, run: TrainingRun, progress: _Progress, on_point: Callable[[CurvePoint], None] | None) -> str:
        if self._out_of_patience(progress):
            return "patience"
        for point in run.train():
            progress.add(point, run.latest)
            if progress.best_step == point.step:
                progress.best_file = self._keep(run, point.step)
            self._save(run, progress)
            self._tracker.log(
                {"loss": point.loss, "top1": point.accuracy, "epoch": point.epoch, "seconds": point.seconds},
                step=point.step,
            )
            if on_point is not None:
                on_point(point)
            if self._out_of_patience(progress):
                return "patience"
        return "budget"

    def _wait_for_all(self) -> None:
        """Let the first process finish writing: what the others waited for it in a step would count as training."""
        self._processes.maximum(0.0)

    def _out_of_patience(self, progress: _Progress) -> bool:
        return 0 < self._plan.patience <= progress.since_best

    def _keep(self, run: TrainingRun, step: int) -> str:
        name = f"best-{step:09d}.safetensors"
        if self._writes:
            write_tensors(self._folder / name, run.evaluated_network.state_dict())
        return name

    def _save(self, run: TrainingRun, progress: _Progress) -> None:
        random = random_state(self._engine.device)
        if self._processes.share.size > 1:
            random = {name: torch.stack(self._processes.gather(own)) for name, own in random.items()}
        state = {"run": run.state_dict(), "random": random}
        if self._writes:
            save_checkpoint(self._folder, state, step=run.clock.steps, notes=asdict(progress))
            for old in self._folder.glob("best-*.safetensors"):
                if old.name != progress.best_file:
                    old.unlink(missing_ok=True)
        self._wait_for_all()

    def _restore(self, run: TrainingRun) -> _Progress:
        found = load_checkpoint(self._folder)
        if found is None:
            return _Progress()
        state, notes = found
        run.load_state_dict(state["run"])
        random = state["random"]
        if self._processes.share.size > 1:
            # Cloned, since torch reads a generator's state from the beginning of the memory behind a tensor.
            random = {name: each[self._processes.share.rank].clone() for name, each in random.items()}
        set_random_state(random, self._engine.device)
        return _Progress(**{**notes, "curve": [CurvePoint(**point) for point in notes["curve"]]})

    def _conclude(self, run: TrainingRun, progress: _Progress, ending: str, test: Images | None) -> LongResult:
        tensors = read_tensors(file_in(self._folder, progress.best_file), self._engine.device)
        run.evaluated_network.load_state_dict(tensors)
        self._wait_for_all()  # before the first of them removes the file
        score = run.score(test) if test is not None else None
        last = progress.curve[-1]
        result = LongResult(
            ending=ending,
            top1=progress.top1,
            top5=progress.top5,
            test_top1=score.top1 if score else None,
            test_top5=score.top5 if score else None,
            best_step=progress.best_step,
            steps=last.step,
            epochs=last.epoch,
            training_seconds=last.seconds,
            images_per_second=last.step * run.images_per_step / last.seconds if last.seconds > 0 else 0.0,
            peak_memory=peak_memory(self._engine.device),
            device=describe_device(self._engine.device, processes=self._processes.share.size),
            curve=tuple(progress.curve),
        )
        if self._writes:
            self._publish(result, tensors)
        return result

    def _publish(self, result: LongResult, tensors: Mapping[str, Tensor]) -> None:
        material = self._engine.material
        write_tensors(self._folder / NETWORK, tensors)
        write_json(
            self._folder / SIDECAR,
            {
                "format": 1,
                **json.loads(json.dumps(self._plan.to_dict())),
                "classes": list(material.classes),
                "in_channels": material.in_channels,
                "stored_side": material.side,
                "scale": material.standardise.scale.tolist(),
                "offset": material.standardise.offset.tolist(),
                "top1": result.top1,
                "test_top1": result.test_top1,
            },
        )
        write_json(self._folder / _RESULT, asdict(result))
        for leftover in (*self._folder.glob("checkpoint*"), *self._folder.glob("best-*.safetensors")):
            leftover.unlink(missing_ok=True)


@dataclass
class _Progress:
    """What a checkpoint remembers beside the run itself."""

    top1: float = -1.0
    top5: float | None = None
    best_step: int = 0
    best_file: str = ""
    since_best: int = 0
    curve: list[CurvePoint] = field(default_factory=list)

    def add(self, point: CurvePoint, score: Score | None) -> None:
        """Take an evaluation into account."""
        self.curve.append(point)
        self.since_best += 1
        if point.accuracy > self.top1:
            self.top1, self.top5 = point.accuracy, score.top5 if score else None
            self.best_step, self.since_best = point.step, 0
