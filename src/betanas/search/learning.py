"""Reads what finished studies found, for a search of the same space that is to learn from them."""

from __future__ import annotations

from collections.abc import Sequence

from betanas.errors import StudyError
from betanas.search.lessons import LEAST_TRIALS, MOST_LESSONS, Lesson, lesson_of
from betanas.search.objectives import Accuracy, ObjectiveSettings, Pareto
from betanas.search.records import StudyPlan, TrialRecord
from betanas.search.settings import ProposalSettings
from betanas.search.study import Study
from betanas.spaces import SearchSpace


def learn(studies: Sequence[str], search: ProposalSettings, space: SearchSpace) -> tuple[Lesson, ...]:
    """What each study teaches a search.

    Nothing of a study is run, and none is written to; what the search needs of it is kept in its own plan.

    Args:
        studies: their places, as typed.
        search: what the search proposes and maximises.
        space: the space that it searches, in its ranges.

    Raises:
        StudyError: a study is missing, searched something else, or has too little to tell.
    """
    if len(studies) > MOST_LESSONS:
        raise StudyError(f"A search learns from {MOST_LESSONS} finished studies at most.", value=f"{len(studies)}")
    return tuple(_learn_from(place, search, space) for place in studies)


def _learn_from(place: str, search: ProposalSettings, space: SearchSpace) -> Lesson:
    with Study.open(place) as study:
        if study.is_comparison:
            raise StudyError("A search learns from searches, and this study compares given networks.", value=place)
        other, trials = study.plan, study.trials()
    title = other.search.space_title
    if (other.search.space, other.search.blocks) != (search.space, search.blocks):
        raise StudyError(
            f"A search learns from studies of the space that it searches, {search.space_title}.",
            value=f"{place} searched {title}",
            hint=_retyped(other.search),
        )
    if _measure(other.search.objective) != _measure(search.objective):
        raise StudyError(
            "A search learns from studies that maximised the same objective.",
            value=f"{place} maximised {other.search.objective.kind}",
            hint="Leave --prior out, or choose the same --objective.",
        )
    found = [(trial.vector, trial.objective or 0.0) for trial in trials if teaches(trial, other)]
    words = f"{other.data.source} at {other.resolution} pixels, {other.training.budget} a trial"
    lesson = lesson_of(words, found, space)
    if lesson is None:
        raise StudyError(
            f"A study to learn from needs {LEAST_TRIALS} completed trials or more.",
            value=f"{place} has {len(found)}",
            hint=f"Go on with it first: betanas resume {place}.",
        )
    return lesson


def teaches(trial: TrialRecord, plan: StudyPlan) -> bool:
    """Whether a trial of a study has a result that compares with the others': of a whole budget, and not a repeat."""
    whole = trial.budget in (None, plan.training.budget)
    return trial.objective is not None and trial.repeat_of is None and whole


def _retyped(other: ProposalSettings) -> str:
    blocks = "" if other.blocks == "ordinary" else f" --blocks {other.blocks}"
    return f"Leave --prior out, or search that space: --space {other.space}{blocks}."


def _measure(objective: ObjectiveSettings) -> ObjectiveSettings:
    """What a search's values are: those of a front are accuracies too."""
    return Accuracy() if isinstance(objective, Pareto) else objective
