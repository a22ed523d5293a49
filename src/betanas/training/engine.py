"""The trial engine: trains one network after another on images that stay on the device, or are streamed to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from betanas.blueprint import Blueprint
from betanas.data.images import Images, ImageSet, Splits
from betanas.data.streaming import StreamedImages, StreamedSplits
from betanas.errors import BlueprintError, RecipeError
from betanas.models.architecture import build_network
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
from betanas.training.evaluation import Score
from betanas.training.failure import Failure, describe_failure
from betanas.training.kept import Progress, TrainingFolder
from betanas.training.options import EngineOptions
from betanas.training.processes import OneProcess, Processes
from betanas.training.recipe import Recipe
from betanas.training.result import CurvePoint, Ending, Outcome, TrialResult
from betanas.training.run import Evaluation, Material, TrainingRun

__all__ = ["TrialEngine", "resolve_device"]

# Images of a stream that its channels' statistics are taken from: many more would not change the second digit.
_SAMPLE = 2048

# Of a GPU's free memory, for the images: the rest is the network's.
_SHARE_OF_DEVICE = 0.5

# Seconds: a budget must be positive, and a training that has no time left makes one step.
_SHORTEST = 1e-3


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
        options: how networks are run on the device.

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
        options: EngineOptions = EngineOptions(),  # noqa: B008 - it is frozen
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = resolve_device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.recipe = recipe if batch_size is None else recipe.with_settings(batch_size=batch_size)
        self._processes = processes
        self._options = options
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
        on_clock: Callable[[], None] = lambda: None,
    ) -> TrialResult:
        """Train the network of a blueprint.

        Args:
            blueprint: of the engine's resolution.
            budget: training seconds, steps or epochs.
            seed: of the initial weights, the order of the images and their augmentation. With a budget in
                steps or epochs, the same seed gives the same result, bit for bit on a CPU.
            on_point: called after every evaluation; False stops the trial.
            on_clock: called when everything is ready, before the first step that counts.

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
        build = partial(build_network, blueprint.to_dict())
        return self.train(build, budget=budget, seed=seed, on_point=on_point, on_clock=on_clock)

    def train(
        self,
        build: Callable[[], nn.Module],
        *,
        budget: Budget,
        seed: int,
        patience: int = 0,
        test: Images | None = None,
        folder: TrainingFolder | None = None,
        on_point: Callable[[CurvePoint], bool] | None = None,
        on_clock: Callable[[], None] = lambda: None,
        seconds_left: Callable[[], float] | None = None,
        answers: Tensor | None = None,
    ) -> TrialResult:
        """Train the network that a function builds; otherwise as `run`.

        Args:
            build: gives the network, drawing its weights from torch's global generator.
            budget: as in `run`.
            seed: as in `run`.
            patience: evaluations without a better validation top-1 after which training ends; 0 never ends it early.
            test: images that are judged once, at the end, with the weights of the best evaluation.
            folder: keeps the training: one that was interrupted goes on, one that has ended gives its result again.
                Among several processes each has one.
            on_point: as in `run`.
            on_clock: as in `run`.
            seconds_left: asked at the start and after every evaluation, of one process and a budget in seconds alone:
                how many seconds the training's steps may still take, in place of what is left of the budget.
            answers: a teacher's to the training images, as in `TrainingRun`.

        Raises:
            RecipeError: what the folder holds is damaged, or the answers are to other images.
        """
        if answers is not None and len(answers) != len(self.material.train):
            raise RecipeError(
                "A teacher must have answered every training image.",
                value=f"{len(answers):,} answers, {len(self.material.train):,} images",
            )
        if folder is not None and (stored := folder.result()) is not None:
            return stored
        # The best weights are chosen among evaluations, so all of those look at all images.
        chosen = folder is not None or test is not None or patience > 0
        whole = {"interim_images": 0, "evaluation_share": 0.0}
        recipe = self.recipe.with_settings(**whole) if chosen else self.recipe
        keeper = folder or _BestWeights(wanted=test is not None)
        trial, weights = _Trial(self.device, self._processes.share.size), None
        cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), cudnn_settings():
            try:
                with trial.attempt():
                    trial.run = self._new_run(
                        build, recipe, budget, seed, answers=answers, forgives_gaps=folder is not None
                    )
                if trial.run is not None:
                    trial.progress = folder.restore(trial.run) if folder is not None else trial.progress
                    trial.keep_time(seconds_left)
                    for found in trial.evaluations(patience, on_clock):
                        keeper.save(trial.run, trial.progress, best=trial.progress.add(found))
                        if not self._all_agree(on_point is None or on_point(found.point)):
                            trial.stop()
                        trial.keep_time(seconds_left)
                    if trial.outcome == "completed" and (folder is not None or test is not None):
                        weights = keeper.best_weights(trial.progress)
                        trial.judge(weights, test)
            finally:
                trial.close()
        result = trial.result()
        if folder is not None and weights is not None and result.outcome == "completed":
            folder.publish(result, weights, self.material)
        del trial, weights, keeper
        release_memory(self.device)
        return result

    def _new_run(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        budget: Budget,
        seed: int,
        *,
        answers: Tensor | None,
        forgives_gaps: bool,
    ) -> TrainingRun:
        torch.manual_seed(seed)
        network = build().to(self.device)
        if recipe.compile:
            self._forget_others(network)
        # Every process starts from the same weights; what stochastic depth drops differs between them.
        torch.manual_seed(seed + self._processes.share.rank)
        return TrainingRun(
            network,
            self.material,
            recipe,
            budget,
            seed=seed,
            processes=self._processes,
            options=self._options,
            answers=answers,
            forgives_gaps=forgives_gaps,
        )

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


class _BestWeights:
    """Keeps the weights of the best evaluation in memory, where they are wanted at the end."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._weights: dict[str, Tensor] = {}

    def save(self, run: TrainingRun, progress: Progress, *, best: bool) -> None:
        """As `TrainingFolder.save`."""
        if best and self._wanted:
            self._weights = {name: value.clone() for name, value in run.evaluated_network.state_dict().items()}

    def best_weights(self, progress: Progress) -> dict[str, Tensor]:
        """As `TrainingFolder.best_weights`."""
        return self._weights


class _Trial:
    """What is known of a trial while it runs."""

    def __init__(self, device: torch.device, processes: int) -> None:
        self.run: TrainingRun | None = None
        self.progress = Progress()
        self._device = device
        self._processes = processes
        self._failure = Failure("completed", "", "")
        self._latest: Score | None = None
        self._test: Score | None = None
        self._ending: Ending = "budget"
        self._started = time.perf_counter()
        self._preparation = 0.0
        reset_peak_memory(device)

    @property
    def outcome(self) -> Outcome:
        """What it has come to so far."""
        return self._failure.outcome

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Held while something happens whose failure is the trial's."""
        try:
            yield
        except Exception as error:
            self._failure = self._described(error)

    def evaluations(self, patience: int, on_clock: Callable[[], None]) -> Iterator[Evaluation]:
        """Train, giving every evaluation, until the budget or the patience is used up, or it fails or is stopped."""
        if self.run is None:
            return

        def note() -> None:
            self._preparation = time.perf_counter() - self._started
            on_clock()

        evaluations = self.run.train(note)
        while self.outcome == "completed":
            if 0 < patience <= self.progress.since_best:
                self._ending = "patience"
                return
            found = None
            with self.attempt():
                found = next(evaluations, None)
            if found is None:
                return
            self._latest = found.score
            yield found

    def keep_time(self, seconds_left: Callable[[], float] | None) -> None:
        """Bring the budget in line with the time that is left: evaluations or a restart took more or less of it."""
        if self.run is not None and seconds_left is not None:
            clock = self.run.clock
            clock.budget = Budget(max(clock.seconds + seconds_left(), _SHORTEST), "seconds")

    def judge(self, weights: Mapping[str, Tensor], test: Images | None) -> None:
        """Put the chosen weights in their place, and judge them on the test images."""
        if self.run is None:
            return
        with self.attempt():
            self.run.evaluated_network.load_state_dict(weights)
            self._test = self.run.score(test) if test is not None else None

    def stop(self) -> None:
        """Note that the caller ended the trial."""
        self._failure = Failure("stopped", "", "It was told to stop early.")

    def close(self) -> None:
        """Let go of what the run holds beside memory."""
        if self.run is not None:
            self.run.close()

    def result(self) -> TrialResult:
        """The trial as a record."""
        found = TrialResult(
            outcome=self._failure.outcome,
            cause=self._failure.cause,
            reason=self._failure.reason,
            curve=tuple(self.progress.curve),
            wall_seconds=time.perf_counter() - self._started,
            peak_memory=peak_memory(self._device),
            device=describe_device(self._device, processes=self._processes),
        )
        if self.run is None:
            return found
        clock, best, latest = self.run.clock, self.progress, self._latest
        images = clock.steps * self.run.images_per_step
        chosen = best.top1 >= 0.0
        return replace(
            found,
            top1=best.top1 if chosen else latest.top1 if latest else None,
            top5=best.top5 if chosen else latest.top5 if latest else None,
            best_step=best.best_step if chosen else None,
            test_top1=self._test.top1 if self._test else None,
            test_top5=self._test.top5 if self._test else None,
            ending=self._ending if self.outcome == "completed" else "",
            training_seconds=clock.seconds,
            steps=clock.steps,
            epochs=clock.epochs,
            images_per_second=images / clock.seconds if clock.seconds > 0 else None,
            preparation_seconds=self._preparation,
            stepping=self.run.stepping,
        )

    def _described(self, error: Exception) -> Failure:
        steps = self.run.clock.steps if self.run is not None else 0
        try:
            return describe_failure(error, device=self._device, steps=steps)
        except RuntimeError as reader_lost:
            # torch tells of a dead reader from a signal's handler, which may strike while what its death first broke is
            # being described.
            return describe_failure(reader_lost, device=self._device, steps=steps)


def _placed(images: ImageSet | StreamedImages, device: torch.device) -> ImageSet | StreamedImages:
    """Images in memory, on the device where they fit there; images on disk as they are."""
    if not isinstance(images, ImageSet) or images.images.nbytes > _SHARE_OF_DEVICE * free_memory(device):
        return images
    return images.to(device)
