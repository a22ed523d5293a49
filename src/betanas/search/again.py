"""A search that is asked for where it has been begun: a notebook's cell that is run again goes on, or has ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from betanas.declaration import settings_of
from betanas.errors import StudyError
from betanas.search.planning import settle
from betanas.search.progress import SearchListener
from betanas.search.records import StudyPlan
from betanas.search.run import resume, search
from betanas.search.settings import EXTENT, GROUPS, MachineSettings, ResumeSettings, SearchSettings
from betanas.search.store.location import StudyLocation
from betanas.search.store.store import Store, refuse_taken
from betanas.search.study import Study

# A machine's settings may differ from one session to the next, but for these: what a stranger's study could name.
_ASKED_ONCE = ("address", "data_root", "per_trial_devices")

_MACHINE = {field: one.name for field, one in settings_of(MachineSettings).items()}


def search_or_go_on(settings: SearchSettings, listener: SearchListener) -> Study:
    """Search as `search` does; where the same search has been begun, go on with it, and where it has ended, open it.

    A study that has been resumed with more trials or more time than are asked for here has what is asked for.

    Args:
        settings: what to search.
        listener: who is told what happens.

    Raises:
        StudyError: the place holds a search with other settings, which the message names, or a comparison.
        UserError, SearchFailedError, KeyboardInterrupt: as of `search` and `resume`.
    """
    location = StudyLocation.parse(settings.study)
    if not Store.exists(location):
        return search(settings, listener=listener)
    with closing(Store.open(location, read_only=True)) as store:
        if store.is_comparison:
            refuse_taken(location)
        begun, study = store.plan(), Study(store)
        planned, _ = settle(settings, location)
        enough = _has_enough(study, begun, settings)
        if different := _differences(settings, planned, begun, enough=enough):
            raise StudyError(
                f"The study {location.text} was begun with another {' and another '.join(different)}.",
                value="; ".join(f"{name} {now}, which was {was}" for name, (was, now) in different.items()),
                hint=_hint(tuple(different), location.text),
            )
        trained = study.trained()
    if enough:
        listener.on_note(f"This search has been run already, with {trained} trials; the study is opened.")
        return Study.open(settings.study)
    machine = settings.machine.to_document()
    changes = {name: machine[field] for field, name in _MACHINE.items() if machine[field] and name not in _ASKED_ONCE}
    # All that the study names has been typed again, since nothing differs.
    return resume(settings.study, ResumeSettings(trust_files=True, **changes), listener=listener)


def _has_enough(study: Study, begun: StudyPlan, settings: SearchSettings) -> bool:
    """Whether a study has all the trials, or has had all the time, that is asked for."""
    asked, had = settings.search, begun.search
    times = ((asked.time, had.time), (asked.training_time, had.training_time))
    if any(was and (wanted is None or wanted.amount > was.amount) for wanted, was in times):
        return False  # more time is a difference, which is named
    if asked.planned is not None and study.trained() >= asked.planned:
        return True
    return study.state == "finished" and (asked.planned or math.inf) <= (had.planned or math.inf)


def _differences(
    settings: SearchSettings, planned: StudyPlan, begun: StudyPlan, *, enough: bool
) -> dict[str, tuple[Any, Any]]:
    """In which settings a search differs from the one that was begun: by name, what was and what is asked for now."""
    found: dict[str, tuple[Any, Any]] = {}
    if planned.data_fingerprint != begun.data_fingerprint:
        found["data"] = (f"{begun.data.source} as it was then", f"{planned.data.source} as it is now")
    lessons = [", ".join(sorted(each.title for each in plan.lessons)) for plan in (begun, planned)]
    if lessons[0] != lessons[1]:
        found["prior"] = (lessons[0] or "none", lessons[1] or "none")
    # The images are told by their fingerprint, wherever they lie; what was not asked for, this machine has chosen.
    unasked = {
        "data",
        "prior",
        *(("max_memory",) if settings.limits.memory is None else ()),
        *(("designs",) if settings.search.designs else ()),  # a study of before there were any has none
        *(("baselines",) if settings.search.baselines is None else ()),
        *(EXTENT if enough else ()),
        *(name for name in _MACHINE.values() if name not in _ASKED_ONCE),
    }
    for group, kind in GROUPS.items():
        was, now = (getattr(plan, group).to_document() for plan in (begun, planned))
        for field, declared in settings_of(kind).items():
            if declared.name not in unasked and was[field] != now[field]:
                found[declared.name] = _apart(was[field], now[field])
    return found


def _apart(was: Any, now: Any) -> tuple[Any, Any]:
    """Two values for a person; of mappings, what they differ in."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        return was, now
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return tuple({name: each[name] for name in names if name in each} for each in (was, now))  # type: ignore[return-value]


def _hint(different: tuple[str, ...], place: str) -> str:
    if set(different) <= set(EXTENT):
        return f"To go on with it for longer, type betanas.resume({place!r}, {different[0]}=...)."
    return "Type the settings it was begun with, or choose another place with study=..."
