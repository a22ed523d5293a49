"""Trains jobs, one after another: the one place where a job becomes a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from betanas.data import open_source, open_splits, open_test
from betanas.data.images import Images, Splits
from betanas.data.places import keep_outside
from betanas.data.source import DataSource
from betanas.data.streaming import StreamedSplits
from betanas.errors import BetanasError, BlueprintError, DataError, RecipeError
from betanas.models.architecture import build_network
from betanas.training.device import describe_device, resolve_device
from betanas.training.engine import TrialEngine
from betanas.training.job import Job, JobImages
from betanas.training.kept import TrainingFolder
from betanas.training.options import EngineOptions
from betanas.training.processes import OneProcess, Processes
from betanas.training.recipe import Recipe
from betanas.training.result import CurvePoint, TrialResult
from betanas.training.teaching.answers import Answers, answers_of
from betanas.training.teaching.naming import find_teacher
from betanas.training.teaching.teacher import Teacher
from betanas.training.teaching.tuning import tuned_place, tuning_job

# Sets of images that stay open: a study has one, an experiment a few resolutions.
_MOST_OPEN = 4


class Trainer:
    """Trains jobs in this process, with images and device kept warm between them.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        threads: of torch on the processor; None leaves them as they are.
        processes: those that train every job together; each has a trainer, and all train the same jobs.
        data_root: where a named data source looks for its files first.
        options: how networks are run on the device.

    Raises:
        DeviceError: there is no such device.
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        threads: int | None = None,
        processes: Processes = OneProcess(),  # noqa: B008 - it has no state
        data_root: Path | None = None,
        options: EngineOptions = EngineOptions(),  # noqa: B008 - it is frozen
    ) -> None:
        self.device = resolve_device(device)
        self._threads = threads
        self._processes = processes
        self._root = data_root
        self._options = options
        self._sources: dict[tuple[str, str], DataSource] = {}
        self._splits: dict[JobImages, Splits | StreamedSplits] = {}
        self._tests: dict[JobImages, Images] = {}
        self._answers: dict[tuple[JobImages, Teacher, bool], Answers] = {}
        self._engines: dict[tuple[JobImages, str], TrialEngine] = {}

    @property
    def device_name(self) -> str:
        """What it trains on, in words."""
        return describe_device(self.device, processes=self._processes.share.size)

    def open(self, images: JobImages) -> DataSource:
        """The source of a job's images, opened once.

        Raises:
            DataError: it is not there, or holds other images than when the job was made.
        """
        key = images.source, images.fingerprint
        if key not in self._sources:
            source = open_source(images.source, root=self._root)
            if source.fingerprint != images.fingerprint:
                raise DataError(
                    "The data must be the same as when the study began.",
                    value=images.source,
                    hint="Put the images back as they were, or start a new study for the new ones.",
                )
            self._sources[key] = source
        return self._sources[key]

    def prepare(self, images: JobImages, recipe: Recipe) -> TrialEngine:
        """Read the images and put them where they are trained on, before the first job asks for them.

        Raises:
            DataError: they are not there, not the same, or too many of them are broken.
        """
        key = images, recipe.model_dump_json()
        if key not in self._engines:
            _make_room(self._engines)
            self._engines[key] = TrialEngine(
                self.divided(images),
                resolution=images.resolution,
                recipe=recipe,
                device=str(self.device),
                threads=self._threads,
                processes=self._processes,
                options=self._options,
            )
        return self._engines[key]

    def train(
        self,
        job: Job,
        *,
        folder: Path | None = None,
        on_point: Callable[[CurvePoint], bool] | None = None,
        on_clock: Callable[[], None] = lambda: None,
        seconds_left: Callable[[], float] | None = None,
    ) -> TrialResult:
        """Train a job.

        Args:
            job: what is trained.
            folder: where it is kept; given exactly where the job is to be kept.
            on_point: called after every evaluation; False stops the training.
            on_clock: called when everything is ready, before the first step that counts.
            seconds_left: how long the training's steps may still take, in place of the job's budget in seconds; as in
                `TrialEngine.train`.

        Returns:
            The outcome, good or bad: whatever happens to a training is one.

        Raises:
            BlueprintError: the network is for other images, or cannot start from what the recipe says.
            DataError: the images are not there, or not the same.
            RecipeError: the folder holds another training, or a damaged one.
            StudyError: the folder lies inside that of the images.
        """
        if job.keep != (folder is not None):
            raise RecipeError("A training that is kept has a folder, and no other has.", value=folder)
        if job.processes != self._processes.share.size:
            raise RecipeError(
                f"This training is for {job.processes} processes.", value=f"{self._processes.share.size} train it"
            )
        source = self.open(job.images)
        if folder is not None:
            hint = "Type, for example, --folder runs/final."
            keep_outside(folder, job.images.source, what="A training's folder", hint=hint)
        _check_fit(job, source)
        engine = self.prepare(job.images, job.recipe)
        return engine.train(
            lambda: build_network(job.network),
            budget=job.budget,
            seed=job.seed,
            patience=job.patience,
            test=self._test(job.images, source) if job.test and source.has_test else None,
            folder=None if folder is None else TrainingFolder(folder, job, processes=self._processes),
            on_point=on_point,
            on_clock=on_clock,
            seconds_left=seconds_left,
            answers=None if job.teacher is None else self.answers(job).logits,
        )

    def answers(self, job: Job) -> Answers:
        """What a job's teacher says of its training images: computed once, by whoever asks first.

        Raises:
            RecipeError: the teacher is missing, another than when the job was made, or for other images.
            BetanasError: it is to be fine-tuned first, and that did not work.
        """
        if job.teacher is None:
            raise RecipeError("The training must have a teacher.")
        mirrored = job.recipe.flip > 0 and job.recipe.teacher_views == 2
        key = job.images, job.teacher, mirrored
        if key not in self._answers:
            _make_room(self._answers)
            teacher, before = self._tuned(job, job.teacher)
            found = answers_of(teacher, self.open(job.images), job.images, mirrored=mirrored, device=self.device)
            self._answers[key] = replace(found, seconds=found.seconds + before)
        return self._answers[key]

    def tuned_teacher(self, job: Job) -> Teacher | None:
        """A job's teacher as it teaches: one that is fine-tuned first is the folder of that training, which is kept.

        Raises:
            BetanasError: it could not be fine-tuned.
        """
        return None if job.teacher is None else self._tuned(job, job.teacher)[0]

    def _tuned(self, job: Job, teacher: Teacher) -> tuple[Teacher, float]:
        """A job's teacher after its fine-tuning, and the seconds that this took; one that was cut off goes on."""
        if not teacher.tuned:
            return teacher, 0.0
        source = self.open(job.images)
        tuning = tuning_job(job, teacher, num_classes=len(source.classes), in_channels=source.in_channels)
        folder = tuned_place(tuning)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            result = self.train(tuning, folder=folder)
        if result.outcome != "completed":
            raise BetanasError(
                f"The teacher could not be fine-tuned. {result.reason}", hint="Leave --teacher-share out."
            )
        return find_teacher(str(folder), resolution=teacher.resolution), result.wall_seconds

    def divided(self, images: JobImages) -> Splits | StreamedSplits:
        """A job's training and validation images.

        Raises:
            DataError: they are not there, not the same, or too many of them are broken.
        """
        if images not in self._splits:
            _make_room(self._splits)
            self._splits[images] = open_splits(
                self.open(images),
                resolution=images.resolution,
                seed=images.split_seed,
                validation_share=images.validation_share,
            )
        return self._splits[images]

    def _test(self, images: JobImages, source: DataSource) -> Images:
        if images not in self._tests:
            _make_room(self._tests)
            self._tests[images] = open_test(source, resolution=images.resolution)
        return self._tests[images]


def _check_fit(job: Job, source: DataSource) -> None:
    expected = {
        "resolution": job.images.resolution,
        "in_channels": source.in_channels,
        "num_classes": len(source.classes),
    }
    found = {name: job.network.get(name, value) for name, value in expected.items()}
    if found != expected:
        raise BlueprintError(
            "A network must have the resolution, channels and classes of the images it is trained on: "
            f"{', '.join(map(str, expected.values()))}.",
            value=tuple(found.values()),
        )


def _make_room(opened: dict[Any, Any]) -> None:
    while len(opened) >= _MOST_OPEN:
        del opened[next(iter(opened))]
