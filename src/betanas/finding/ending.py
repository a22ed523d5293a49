"""From the winner to a model in a folder: trained on the time that is left, judged, exported, checked and reported.

What comes after the training is rehearsed before it, on a network that was trained for a step: so its time is known,
and an export that does not work is found before the last hour is spent.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from betanas.analysis.report import build_report
from betanas.analysis.snapshot import StudySnapshot
from betanas.blueprint import Blueprint
from betanas.data import open_test
from betanas.errors import BetanasError
from betanas.export.exporting import Export, export_network
from betanas.export.formats import onnx_is_installed
from betanas.extras import missing
from betanas.files import read_json, write_atomically
from betanas.finding.judging import Mistakes, mistakes
from betanas.finding.timetable import evaluations
from betanas.profiling.calibration.answer import Answer, answer
from betanas.search.study import Study
from betanas.training.budget import Budget
from betanas.training.job import Job
from betanas.training.kept import NETWORK, SIDECAR
from betanas.training.result import CurvePoint, TrialResult
from betanas.training.trainer import Trainer

REPORT, ADVICE = "report.html", "advice.txt"

# What is rehearsed loads its libraries, which the second time has not to; but others use the machine too, and Python
# takes a second to end.
_MARGIN, _LEAST_MARGIN = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal found, in seconds.

    Attributes:
        evaluation: of all validation images, with a checkpoint.
        closing: everything after the last training step.
    """

    evaluation: float
    closing: float


class Ending:
    """The last part of a find.

    Args:
        job: what is trained at the end; its budget does not count.
        trainer: trains it.
        study: whose report is written.
        folder: of the training.
        work: for what is made on the way.
        name: of the model.

    Attributes:
        job: what is trained at the end.
        trainer: who trains it.
    """

    def __init__(self, job: Job, trainer: Trainer, study: Study, folder: Path, work: Path, name: str) -> None:
        self.job = job
        self.trainer = trainer
        self._study = study
        self._folder = folder
        self._work = work
        self._name = name

    def rehearse(self) -> Rehearsed:
        """Do everything once, with one step of training.

        Raises:
            BetanasError: something does not work.
        """
        place = self._work / "rehearsal"
        shutil.rmtree(place, ignore_errors=True)
        job = replace(self.job, budget=Budget(1, "steps"), test=False)
        result = completed(self.trainer.train(job, folder=place / "training"))
        judged = max(result.wall_seconds - result.preparation_seconds - result.training_seconds, 0.0)
        validation = len(self.trainer.prepare(job.images, job.recipe).material.validation)
        source = self.trainer.open(job.images)
        tested = 0.0
        if source.has_test:  # read now, and judged once, at the end
            test = open_test(source, resolution=job.images.resolution)
            tested = judged * len(test) / validation
        begun = monotonic()
        self._export(place / "training", place / self._name, self.answer())
        self.mistakes(place / "training")
        self.report(place / REPORT, ("",))
        closing = monotonic() - begun + judged + tested
        shutil.rmtree(place, ignore_errors=True)
        return Rehearsed(evaluation=judged, closing=closing + max(_MARGIN * closing, _LEAST_MARGIN))

    def train(
        self, rehearsed: Rehearsed, seconds_left: Callable[[], float], on_point: Callable[[CurvePoint], None]
    ) -> TrialResult:
        """Train for the time that is left.

        Args:
            rehearsed: how long the rest takes.
            seconds_left: wall-clock until everything must have ended.
            on_point: told of every evaluation.

        Raises:
            BetanasError: the training failed.
        """
        job, judged = self._planned(rehearsed, seconds_left()), 0

        def note(point: CurvePoint) -> bool:
            nonlocal judged
            judged += 1
            on_point(point)
            return True

        def for_steps() -> float:
            rest = max(int(job.recipe.evaluations) - judged, 1)
            return seconds_left() - rehearsed.closing - (rest - 1) * rehearsed.evaluation

        return completed(self.trainer.train(job, folder=self._folder, on_point=note, seconds_left=for_steps))

    def _planned(self, rehearsed: Rehearsed, seconds: float) -> Job:
        """The job as an earlier session began it, or as it begins now."""
        if (self._folder / "plan.json").exists():
            return Job.from_dict(read_json(self._folder / "plan.json"))
        training = max(seconds - rehearsed.closing, 1.0)
        often = evaluations(training, one=rehearsed.evaluation)
        recipe = self.job.recipe.with_settings(evaluations=often, interim_images=0)
        return replace(self.job, recipe=recipe, budget=Budget(round(training, 1), "seconds"))

    def answer(self) -> Answer | None:
        """How long the network takes to answer, measured where its latency table's machine is at hand.

        None without a table, or for a network without a blueprint.
        """
        table = self._study.plan.limits.latency_table
        if table is None or "network" in self.job.network:
            return None
        return answer(Blueprint.from_dict(self.job.network), table)

    def export(self, answered: Answer | None) -> Export:
        """Write the trained network in the forms that others read, each checked."""
        return self._export(self._folder, self._work / self._name, answered)

    def _export(self, training: Path, to: Path, answered: Answer | None) -> Export:
        table = self._study.plan.limits.latency_table
        on_card = answered.on_card(table) if answered and table else None
        formats = ("safetensors", "onnx") if onnx_is_installed() else ("safetensors",)
        # The data was typed by who runs this; nothing of a stranger's is trusted.
        return export_network(training, to, formats=formats, overwrite=True, answer=on_card, trust_files=True)

    def mistakes(self, training: Path) -> Mistakes:
        """What a training's network gets wrong on the validation images."""
        job, trainer = self.job, self.trainer
        splits = trainer.divided(job.images)
        return mistakes(training, splits, resolution=job.images.resolution, device=trainer.device)

    def report(self, to: Path, opening: tuple[str, ...]) -> bool:
        """Write the study's report; whether there is what draws it."""
        if missing(("plotly", "jinja2")):
            return False
        snapshot = replace(StudySnapshot.of(self._study), name=self._name)
        write_atomically(to, build_report(snapshot, opening=opening).html.encode())
        return True


def publish(export: Export, folder: Path) -> None:
    """Move an export's files to a folder that holds other things too; its description comes last."""
    names = sorted(export.files | {SIDECAR: 0}, key=lambda name: name == SIDECAR)
    for name in names:
        (export.folder / name).replace(folder / name)
    shutil.rmtree(export.folder, ignore_errors=True)


def weights_bytes(folder: Path) -> int:
    """Size of a network's weights on disk."""
    return (folder / NETWORK).stat().st_size


def completed(result: TrialResult) -> TrialResult:
    """A training's result.

    Raises:
        BetanasError: it did not complete.
    """
    if result.outcome != "completed":
        raise BetanasError(
            f"The winner's training did not end well. {result.reason}", hint="The same command goes on from there."
        )
    return result
