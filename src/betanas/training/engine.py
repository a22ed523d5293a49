"""The trial engine: trains one network after another on images that stay on the device, or are streamed to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from betanas.blueprint import Blueprint
from betanas.data.images import ImageSet, Splits
from betanas.data.streaming import StreamedImages, StreamedSplits
from betanas.errors import BlueprintError
from betanas.training.augmentation import Standardise
from betanas.training.budget import Budget
from betanas.training.device import (
    cudnn_settings,
    describe_device,
    free_memory,
    keep_freed_memory,
    peak_memory,
    release_memory,
    reset_peak_memory,
    resolve_device,
)
from betanas.training.failure import Failure, describe_failure
from betanas.training.processes import OneProcess, Processes
from betanas.training.recipe import Recipe
from betanas.training.result import Cause, CurvePoint, Outcome, TrialResult
from betanas.training.run import Material, TrainingRun

__all__ = ["TrialEngine", "resolve_device"]

# Images of a stream that its channels' statistics are taken from: many more would not change the second digit.
_SAMPLE = 2048

# Of a GPU's free memory, for the images: the rest is the network's.
_SHARE_OF_DEVICE = 0.5


class TrialEngine:
    """Trains networks under a budget, one after another.

    Images in memory are put on the device once, where they fit; a trial then needs its network alone, so that the next
    one starts within a fraction of a second. Others come to the device batch by batch, those that are streamed from
    processes that decode ahead.

    Args:
        splits: what to train and judge on, in memory or streamed (`betanas.data.open_splits`).
        resolution: side of the networks' input, in pixels.
        recipe: how to train.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        batch_size: images per optimiser step (and process), instead of the recipe's.
        threads: of torch on the CPU; None leaves them as they are.
        processes: those that train every network together.

    Raises:
        DeviceError: there is no such device.
    """

    def __init__(
        self,
        splits: Splits | StreamedSplits,
        *,
        resolution: int,
        recipe: Recipe,
        device: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
        processes: Processes = OneProcess(),  # noqa: B008 - it has no state
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = resolve_device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.recipe = recipe if batch_size is None else recipe.with_settings(batch_size=batch_size)
        self._processes = processes
        together = self.recipe.batch_size * processes.share.size
        self._compiled: tuple[tuple[int, ...], ...] = ()
        train = _placed(splits.train, self.device)
        some = train.sample(max(_SAMPLE, together)) if isinstance(train, StreamedImages) else train
        self.material = Material(
            device=self.device,
            train=train,
            validation=_placed(splits.validation, self.device),
            first=some.subset(torch.arange(min(together, len(some)))) if some is not train else train,
            classes=splits.classes,
            resolution=resolution,
            standardise=Standardise(some.images, self.recipe, device=self.device),
        )

    @property
    def processes(self) -> Processes:
        """Those that train every network together."""
        return self._processes

    def run(
        self,
        blueprint: Blueprint,
        *,
        budget: Budget,
        seed: int,
        on_point: Callable[[CurvePoint], bool] | None = None,
    ) -> TrialResult:
        """Train the network of a blueprint.

        Args:
            blueprint: of the engine's resolution.
            budget: training seconds, steps or epochs.
            seed: of the initial weights, the order of the images and their augmentation. With a budget in
                steps or epochs, the same seed gives the same result, bit for bit on a CPU.
            on_point: called after every evaluation; False stops the trial.

        Returns:
            The outcome. Whatever happens to the trial is one: out of memory is `infeasible`, a loss that is
            not finite or an exception `failed`. What `on_point` raises is the caller's own and passes
            through, as do KeyboardInterrupt and SystemExit.

        Raises:
            BlueprintError: the blueprint is of another resolution, or other images, than the engine's.
        """
        material = self.material
        expected = (material.resolution, material.in_channels, material.num_classes)
        if (blueprint.resolution, blueprint.in_channels, blueprint.num_classes) != expected:
            raise BlueprintError(
                "A blueprint must have the resolution, channels and classes of the images it is trained on: "
                f"{expected[0]}, {expected[1]} and {expected[2]}.",
                value=(blueprint.resolution, blueprint.in_channels, blueprint.num_classes),
            )
        return self.train(blueprint.build, budget=budget, seed=seed, on_point=on_point)

    def train(
        self,
        build: Callable[[], nn.Module],
        *,
        budget: Budget,
        seed: int,
        on_point: Callable[[CurvePoint], bool] | None = None,
        on_end: Callable[[TrainingRun], None] | None = None,
    ) -> TrialResult:
        """Train the network that a function builds; otherwise as `run`.

        Args:
            build: gives the network, drawing its weights from torch's global generator.
            budget: as in `run`.
            seed: as in `run`.
            on_point: as in `run`.
            on_end: called with the run after its last evaluation, if it got there.
        """
        trial = _Trial(self.device, self._processes.share.size)
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), cudnn_settings():
            points = self._points(trial, build, budget, seed)
            try:
                while (point := trial.next_point(points)) is not None:
                    if on_point is not None and not self._all_agree(on_point(point)):
                        trial.stop()
                        break
                if on_end is not None and trial.run is not None and trial.outcome == "completed":
                    on_end(trial.run)
            finally:
                trial.close()
        result = trial.result()
        del points, trial
        release_memory(self.device)
        return result

    def _forget_others(self, network: nn.Module) -> None:
        """Keep what torch compiled if it was for a network like this one.

        It remembers a few networks and resolutions alone, and beyond them quietly compiles no more. What it compiled
        once is also on disk, where a later trial finds it.
        """
        shapes = tuple(tuple(parameter.shape) for parameter in network.parameters())
        if shapes != self._compiled:
            torch.compiler.reset()
            self._compiled = shapes

    def _all_agree(self, goes_on: bool) -> bool:
        """Whether every process goes on: one that stopped alone would leave the others waiting for it."""
        return self._processes.maximum(0.0 if goes_on else 1.0) == 0.0

    def _points(self, trial: _Trial, build: Callable[[], nn.Module], budget: Budget, seed: int) -> Iterator[CurvePoint]:
        torch.manual_seed(seed)
        network = build().to(self.device)
        if self.recipe.compile:
            self._forget_others(network)
        # Every process starts from the same weights; what stochastic depth drops differs between them.
        torch.manual_seed(seed + self._processes.share.rank)
        run = TrainingRun(network, self.material, self.recipe, budget, seed=seed, processes=self._processes)
        trial.run = run
        yield from run.train()


class _Trial:
    """What is known of a trial while it runs."""

    def __init__(self, device: torch.device, processes: int) -> None:
        self.run: TrainingRun | None = None
        self.outcome: Outcome = "completed"
        self._device = device
        self._processes = processes
        self._cause: Cause = ""
        self._reason = ""
        self._curve: list[CurvePoint] = []
        self._started = time.perf_counter()
        reset_peak_memory(device)

    def next_point(self, points: Iterator[CurvePoint]) -> CurvePoint | None:
        """Train up to the next evaluation; None at the end, be it a good or a bad one."""
        try:
            point = next(points, None)
        except Exception as error:
            failure = self._described(error)
            self.outcome, self._cause, self._reason = failure.outcome, failure.cause, failure.reason
            return None
        if point is not None:
            self._curve.append(point)
        return point

    def _described(self, error: Exception) -> Failure:
        steps = self.run.clock.steps if self.run is not None else 0
        try:
            return describe_failure(error, device=self._device, steps=steps)
        except RuntimeError as reader_lost:
            # torch tells of a dead reader from a signal's handler, which may strike while what its death first broke is
            # being described.
            return describe_failure(reader_lost, device=self._device, steps=steps)

    def close(self) -> None:
        """Let go of what the run holds beside memory."""
        if self.run is not None:
            self.run.close()

    def stop(self) -> None:
        """Note that the caller ended the trial."""
        self.outcome, self._reason = "stopped", "It was told to stop early."

    def result(self) -> TrialResult:
        """The trial as a record."""
        found = TrialResult(
            outcome=self.outcome,
            cause=self._cause,
            reason=self._reason,
            curve=tuple(self._curve),
            wall_seconds=time.perf_counter() - self._started,
            peak_memory=peak_memory(self._device),
            device=describe_device(self._device, processes=self._processes),
        )
        if self.run is None:
            return found
        clock, best = self.run.clock, self.run.best or self.run.latest
        images = clock.steps * self.run.images_per_step
        return replace(
            found,
            top1=best.top1 if best else None,
            top5=best.top5 if best else None,
            training_seconds=clock.seconds,
            steps=clock.steps,
            epochs=clock.epochs,
            images_per_second=images / clock.seconds if clock.seconds > 0 else None,
        )


def _placed(images: ImageSet | StreamedImages, device: torch.device) -> ImageSet | StreamedImages:
    """Images in memory, on the device where they fit there; images on disk as they are."""
    if not isinstance(images, ImageSet) or images.images.nbytes > _SHARE_OF_DEVICE * free_memory(device):
        return images
    return images.to(device)
