"""Ends of the searched ranges where the best trials crowd: a better network may lie beyond them.

One rule, for the console, `status`, `best`, the report, and for a search that widens its ranges (`--widen`). It is a
function of the trials alone, so that a search that is resumed widens at the same trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from betanas.search.feasibility import LEAST_SHARE, Problem, survey
from betanas.search.records import DESIGN, StudyPlan, TrialRecord, Widening
from betanas.spaces import Range, available_spaces
from betanas.spaces.registry import SPACES

# Fewer trials have no leaders that are not most of them.
LEAST_TRIALS = 15

# The best quarter lead, but not so few that two neighbours are a crowd, nor so many that they are no leaders.
LEADING_SHARE, FEWEST_LEADERS, MOST_LEADERS = 1 / 4, 5, 10

# An end is crowded where half of the leaders lie in its outer twentieth. Of five leaders drawn evenly, three do so by
# chance at one end of eight hundred; in the recorded searches random sampling has none, and the model's have some.
EDGE, CROWD = 0.05, 0.5

# A search looks again after this many results, and widens at most so many ends then: each makes the space larger.
LOOKS_EVERY, MOST_AT_ONCE = 5, 3

# A range grows by this part of its length.
GROWTH = 0.5

End = Literal["lower", "upper"]


@dataclass(frozen=True, slots=True)
class CrowdedBound:
    """An end of a range where leaders crowd.

    Attributes:
        parameter: its name.
        end: which end.
        value: where the range ends.
        leaders: how many of the leaders lie there.
        of: how many leaders there are.
        wider: the range as it would be if it were widened; within the space's domain, where that is known.
    """

    parameter: str
    end: End
    value: float
    leaders: int
    of: int
    wider: Range


def end_met(searched: Range, value: float, within: float = EDGE) -> End | None:
    """The end of a range that a value lies at; None where it is fixed, or the value is inside.

    Args:
        searched: the range.
        value: of the parameter.
        within: part of the range that counts as its end.
    """
    if searched.fixed:
        return None
    if value - searched.low <= within * searched.span:
        return "lower"
    return "upper" if searched.high - value <= within * searched.span else None


def crowded_bounds(
    ranges: Mapping[str, Range], domain: Mapping[str, Range] | None, trials: Sequence[TrialRecord]
) -> tuple[CrowdedBound, ...]:
    """The ends where the best trials crowd and beyond which the space goes on, the most crowded first.

    Args:
        ranges: what is searched.
        domain: what the space can construct, of the parameters where it is known.
        trials: of a search.
    """
    usable = _usable(ranges, trials)
    if len(usable) < LEAST_TRIALS:
        return ()
    count = min(max(round(LEADING_SHARE * len(usable)), FEWEST_LEADERS), MOST_LEADERS)
    leaders = sorted(usable, key=lambda trial: (-(trial.objective or 0.0), trial.index))[:count]
    found = []
    for name, searched in ranges.items():
        ends = [end_met(searched, trial.vector[name]) for trial in leaders]
        for end in ("lower", "upper"):
            wider = _wider(searched, end, None if domain is None else domain.get(name))
            if wider != searched and ends.count(end) >= CROWD * count:
                value = searched.low if end == "lower" else searched.high
                found.append(CrowdedBound(name, end, value, ends.count(end), count, wider))
    return tuple(sorted(found, key=lambda bound: -bound.leaders))


def crowded_in(plan: StudyPlan, trials: Sequence[TrialRecord]) -> tuple[CrowdedBound, ...]:
    """The ends where a study's best trials crowd. No file that the study names is run: its domain is then unknown."""
    ranges = {name: Range(low, high) for name, (low, high) in plan.ranges.items()}
    space = plan.search.space
    return crowded_bounds(ranges, SPACES.get(space).domain if space in available_spaces() else None, trials)


def in_words(bounds: Sequence[CrowdedBound], *, widens: bool, study: str = "STUDY") -> str:
    """What crowded ends mean and what to type, as sentences; empty where there is none.

    Args:
        bounds: the ends.
        widens: whether the search does something about it by itself.
        study: its name, for what to type.
    """
    if not bounds:
        return ""
    ends = [f"the {one.end} end of {one.parameter} ({one.value:g}; {one.leaders} of {one.of})" for one in bounds]
    named = ", ".join(ends[:MOST_AT_ONCE])
    more = f" and {len(ends) - MOST_AT_ONCE} more" if len(ends) > MOST_AT_ONCE else ""
    said = f"The best trials crowd {named}{more}: a better network may lie beyond."
    first = bounds[0]
    if widens:
        return f"{said} A search with --widen extends such ranges as it goes on: betanas resume {study} --trials N."
    return (
        f"{said} Go on with betanas resume {study} --widen --trials N, or search again with, for example, "
        f"--range {first.parameter}={first.wider}."
    )


def widenings_in_words(widenings: Sequence[Widening]) -> str:
    """What a search has widened, as a sentence; empty where nothing was."""
    if not widenings:
        return ""
    said = [f"{one.parameter} to {one.low:g}:{one.high:g} after trial {one.trial}" for one in widenings]
    return f"The search widened {', '.join(said)}."


def on_bounds(plan: StudyPlan, trials: Sequence[TrialRecord], *, study: str = "STUDY") -> str:
    """What a study has widened, and where its best trials crowd now, in words; empty for neither."""
    crowded = in_words(crowded_in(plan, trials), widens=plan.search.widen, study=study)
    return " ".join(words for words in (widenings_in_words(plan.widenings), crowded) if words)


def next_widenings(
    problem: Problem, trials: Sequence[TrialRecord], earlier: Sequence[Widening]
) -> tuple[Widening, ...]:
    """What a search should widen now: whenever `LOOKS_EVERY` more trials have a result, what their leaders crowd.

    Trials count in their order up to the first that has not ended, so that workers' speed decides nothing. What would
    leave almost nothing feasible is not widened.

    Args:
        problem: what is searched, with the ranges as they are now.
        trials: of the search.
        earlier: what it has widened before.
    """
    ranges = problem.space.parameters
    usable = _usable(ranges, _ended(trials))
    seen = usable[: len(usable) // LOOKS_EVERY * LOOKS_EVERY]
    if not seen or (earlier and seen[-1].index <= earlier[-1].trial):
        return ()
    found: list[Widening] = []
    for bound in crowded_bounds(ranges, problem.space.domain, seen):
        wider = replace(problem, space=problem.space.replace(ranges={bound.parameter: bound.wider}))
        if survey(wider).share < LEAST_SHARE:
            continue
        problem = wider
        found.append(
            Widening(bound.parameter, bound.wider.low, bound.wider.high, seen[-1].index, bound.leaders, bound.of)
        )
        if len(found) == MOST_AT_ONCE:
            break
    return tuple(found)


def _ended(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials in their order, up to the first that has not ended."""
    ended = []
    for trial in sorted(trials, key=lambda trial: trial.index):
        if trial.state in ("waiting", "running"):
            break
        ended.append(trial)
    return ended


def _usable(ranges: Mapping[str, Range], trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials of the space with a result of their own, after the whole budget.

    Known designs lie at ends of ranges that decide nothing in them: they say nothing of where a search would go.
    """
    return [
        trial
        for trial in trials
        if trial.objective is not None
        and math.isfinite(trial.objective)
        and trial.repeat_of is None
        and trial.share == 1.0
        and trial.origin != DESIGN
        and trial.vector.keys() == ranges.keys()
    ]


def _wider(searched: Range, end: str, allowed: Range | None) -> Range:
    """A range with more room at one end, inside what is allowed."""
    low, high = searched.low, searched.high
    if end == "lower":
        low = low - GROWTH * searched.span
        low = low if allowed is None else min(max(low, allowed.low), searched.low)
    else:
        high = high + GROWTH * searched.span
        high = high if allowed is None else max(min(high, allowed.high), searched.high)
    return Range(low, high)
