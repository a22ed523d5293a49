"""Leaders that were trained again with fresh seeds, and the winner that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.blueprint import Blueprint
from betanas.errors import BlueprintError
from betanas.intervals import MeanInterval
from betanas.search.confirmed import Confirmation, confirmed_in, ranked


@dataclass(frozen=True, slots=True)
class ConfirmationRow:
    """A candidate and its fresh trainings.

    Attributes:
        candidate: `trial 12`, or the model's best.
        params: of its network.
        searched: its accuracy in the search; None for the model's best, which the search did not train.
        runs: fresh trainings that succeeded.
        failed: fresh trainings that did not.
        mean: mean accuracy of the fresh trainings; None without one.
        low: lower end of its 95% interval; None where there are too few trainings for one.
        high: upper end.
    """

    candidate: str
    params: int
    searched: float | None
    runs: int
    failed: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Winner:
    """The network a study ends in: the best confirmed one, else the best trial's.

    Attributes:
        label: `trial 12`, or the model's best.
        trial: its index; None for the model's best.
        vector: the parameter vector.
        blueprint: the network, as the study stored it.
        confirmed: mean accuracy of its fresh trainings; None where it was not confirmed.
    """

    label: str
    trial: int | None
    vector: Mapping[str, float]
    blueprint: Blueprint
    confirmed: MeanInterval | None


def confirmed_of(snapshot: StudySnapshot) -> tuple[Confirmation, ...]:
    """A study's confirmations, the best mean first; none where nothing was confirmed.

    Raises:
        AnalysisError: one of them is damaged.
    """
    try:
        return ranked(confirmed_in(snapshot.attachments), snapshot.confirmations)
    except (AttributeError, KeyError, TypeError, ValueError, BlueprintError) as error:
        raise AnalysisError("A confirmation is damaged.", value=f"{type(error).__name__}: {error}") from error


def confirmation_table(snapshot: StudySnapshot) -> Table[ConfirmationRow]:
    """The confirmed candidates, best first.

    Raises:
        MissingDataError: nothing was confirmed.
        AnalysisError: a confirmation is damaged.
    """
    found = confirmed_of(snapshot)
    if not found:
        raise MissingDataError("No leader was trained again.", hint="Train them: betanas confirm STUDY.")
    searched = {trial.index: trial.top1 for trial in snapshot.trials}
    rows = []
    for one in found:
        interval = one.interval
        rows.append(
            ConfirmationRow(
                candidate=label_of(one.trial),
                params=one.blueprint.num_params,
                searched=None if one.trial is None else searched.get(one.trial),
                runs=0 if interval is None else interval.n,
                failed=sum(run.top1 is None for run in one.runs),
                mean=None if interval is None else interval.mean,
                low=interval.low if interval is not None and interval.known else None,
                high=interval.high if interval is not None and interval.known else None,
            )
        )
    return Table(tuple(rows))


def winner(snapshot: StudySnapshot) -> Winner:
    """The best confirmed network, else the best trial's.

    Raises:
        MissingDataError: no trial has completed, or its network was not read with the study.
        AnalysisError: a confirmation is damaged.
    """
    for one in confirmed_of(snapshot):
        if one.interval is not None:
            return Winner(label_of(one.trial), one.trial, one.vector, one.blueprint, one.interval)
    best = snapshot.best
    if best is None or best.index not in snapshot.blueprints:
        raise MissingDataError("A winner needs a completed trial.", hint="Let the search run on: betanas resume STUDY.")
    return Winner(label_of(best.index), best.index, best.vector, snapshot.blueprints[best.index], None)


def label_of(trial: int | None) -> str:
    """What a candidate is called."""
    return "model's best" if trial is None else f"trial {trial}"
