"""A study as the analysis sees it: its records at one moment, and nothing that can change under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from betanas.analysis.errors import MissingDataError
from betanas.blueprint import Blueprint, FloatArray
from betanas.search.comparable import longest_share
from betanas.search.compared import comparison_document
from betanas.search.confirmed import Confirmation
from betanas.search.records import Attachment, SessionRecord, StudyPlan, TrialRecord
from betanas.search.settings import DataSettings, Limits, ProposalSettings, TrainingSettings
from betanas.spaces import Range

if TYPE_CHECKING:
    from betanas.search.study import Study

# Of a study with more trials than this, only the curves of the leaders are read: no figure could show them all.
MOST_CURVES = 2000
LEADING_CURVES = 100


@dataclass(frozen=True, slots=True)
class Measure:
    """How the objective is shown: its name, its unit and the factor from the record to that unit."""

    label: str
    unit: str
    scale: float

    @property
    def title(self) -> str:
        """An axis title with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def text(self, value: float) -> str:
        """A value with its unit, for a sentence."""
        return f"{value * self.scale:.2f}{'%' if self.unit == '%' else ''}"


@dataclass(frozen=True)
class StudySnapshot:
    """A study's records at one moment.

    Attributes:
        name: the study's name.
        plan: what was to be done.
        trials: in the order of their indices.
        sessions: in the order of their starting.
        attachments: documents kept beside the trials.
        state: what the study was doing.
        blueprints: networks by trial index; at least the best trial's, where there is one.
        compared: whether the study is a comparison; its plan then says what the first of its trainings trained with.
        baselines: the plain networks that the search trained first.
        damaged: what of the study cannot be read and is left out, in words.
        confirmations: what was trained again; those of before schema 3 are among the attachments.
        latencies: seconds of an answer that the study's latency table predicts, by trial index; empty without a table.
    """

    name: str
    plan: StudyPlan
    trials: tuple[TrialRecord, ...]
    sessions: tuple[SessionRecord, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    state: str = "finished"
    blueprints: Mapping[int, Blueprint] = field(default_factory=dict)
    confirmations: tuple[Confirmation, ...] = ()
    compared: bool = False
    baselines: tuple[TrialRecord, ...] = ()
    damaged: tuple[str, ...] = ()
    latencies: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, *, curves: bool = True) -> StudySnapshot:
        """Read a study once.

        Args:
            study: an open study.
            curves: read learning curves too; only the leaders' where there are more than `MOST_CURVES` trials.
        """
        if study.is_comparison:
            return cls._of_comparison(study)
        records, sessions = study.trials(curves=curves, most_curves=MOST_CURVES), study.sessions()
        bare = cls(study.name, study.plan, records, sessions, study.attachments(), study.state_of(sessions, records))
        if curves and len(records) > MOST_CURVES:
            read = {trial.index: study.trial(trial.index) for trial in bare.ranked[:LEADING_CURVES]}
            records = tuple(read.get(trial.index, trial) for trial in records)
        blueprints = {} if bare.best is None else {bare.best.index: study.blueprint(bare.best.index)}
        return replace(
            bare,
            trials=records,
            blueprints=blueprints,
            confirmations=study.retrained(),
            baselines=study.baselines(),
            damaged=study.damaged,
            latencies=study.latencies(records),
        )

    @classmethod
    def _of_comparison(cls, study: Study) -> StudySnapshot:
        """A comparison: its rows and curves are an attachment, as those that a search keeps are."""
        records, sessions = study.trials(curves=True), study.sessions()
        plan = _plan_of(study, records)
        document = comparison_document(records, study.recipes(), title=study.name, data=plan.data.source)
        return cls(
            study.name,
            plan,
            records,
            sessions,
            (Attachment("comparison", study.name, study.created, document),),
            study.state_of(sessions, records),
            compared=True,
            damaged=study.damaged,
        )

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """The searched range of every parameter, in order, with what the search has widened."""
        return {name: Range(low, high) for name, (low, high) in self.plan.ranges.items()}

    @cached_property
    def usable(self) -> tuple[TrialRecord, ...]:
        """The trials with a result that compare: completed, or stopped early with a value.

        Of a search that trains candidates for parts of its budget those with the longest training, the whole one as
        soon as there is one.
        """
        longest = longest_share(self.trials)
        return tuple(trial for trial in self.results if trial.share == longest)

    @cached_property
    def results(self) -> tuple[TrialRecord, ...]:
        """The trials with a result, however long they were trained."""
        return tuple(
            trial for trial in self.trials if trial.objective is not None and trial.state in ("completed", "stopped")
        )

    @cached_property
    def ranked(self) -> tuple[TrialRecord, ...]:
        """The usable trials that were trained themselves, best first; the earlier of two equals leads."""
        trained = [trial for trial in self.usable if trial.repeat_of is None]
        return tuple(sorted(trained, key=lambda trial: (-(trial.objective or 0.0), trial.index)))

    @property
    def best(self) -> TrialRecord | None:
        """The completed trial with the highest objective."""
        return next((trial for trial in self.ranked if trial.state == "completed"), None)

    @cached_property
    def measure(self) -> Measure:
        """How the objective is shown: as accuracy in percent where it is the accuracy, else under its own name."""
        if all(trial.objective == trial.top1 for trial in self.usable):
            return Measure("Validation top-1 accuracy", "%", 100.0)
        return Measure(f"Objective {self.plan.search.objective}", "", 1.0)

    def matrix(self, trials: tuple[TrialRecord, ...] | None = None) -> FloatArray:
        """Parameter vectors as rows, shape [n, parameters], in the order of `ranges`; of all trials by default."""
        chosen = self.trials if trials is None else trials
        rows = [[trial.vector[name] for name in self.ranges] for trial in chosen]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.ranges))

    def attachment(self, kind: str, name: str | None = None) -> Attachment | None:
        """The newest document of a kind (and name)."""
        found = [one for one in self.attachments if one.kind == kind and name in (None, one.name)]
        return max(found, key=lambda one: one.created) if found else None


def _plan_of(study: Study, records: Sequence[TrialRecord]) -> StudyPlan:
    """What the first training of a comparison trains with."""
    known = [record.index for record in records if record.recipe]
    if not known:
        raise MissingDataError("A comparison's report needs a training that says what it trained with.")
    job = study.job(known[0])
    return StudyPlan(
        data=DataSettings(job.images.source, job.images.resolution, job.images.validation_share),
        training=TrainingSettings(budget=job.budget, recipe=job.recipe.name, batch_size=job.recipe.batch_size),
        limits=Limits(),
        machine=study.comparison.machine,
        search=ProposalSettings(plugins=study.comparison.plugins),
        data_fingerprint=job.images.fingerprint,
        classes=(),
        in_channels=0,
        recipe_settings=job.recipe.to_dict(),
    )
