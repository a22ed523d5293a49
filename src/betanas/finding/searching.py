"""A search of which nothing but the images was typed: where it is kept, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from betanas.finding.choose import choose, divide
from betanas.training.budget import Budget

# Wall-clock of a search where no time was typed.
_USUAL_SECONDS = 1200.0

# Wall-clock of a trial beside its training, where nothing was measured.
_BESIDE_SECONDS = 2.0

# What decides how long a search takes; where one of them is typed, the person has a plan of their own.
_EXTENT = ("budget", "trials", "training_time")

# What is said in a space's own terms: where it was typed without a space, the usual one is meant.
_OF_A_SPACE = ("preset", "ranges", "fixed")


def chosen_settings(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a search that were not typed, where they are to be chosen.

    The place is chosen where there is none. Space, resolution, batch size, budget and time are chosen, each where it
    was not typed, where nothing but a time says how long the search takes.

    Args:
        typed: settings by name, `data` among them.

    Raises:
        UserError: a name is wrong, the images cannot be found, or a device is not there.
    """
    chosen: dict[str, Any] = {}
    if typed.get("study") is None:
        chosen["study"] = free_place(str(typed["data"]))
    if any(typed.get(name) is not None for name in _EXTENT):
        return chosen
    from betanas.data import open_source
    from betanas.finding.look import look_at
    from betanas.search.executors.slots import plan_slots
    from betanas.search.planning import check_names
    from betanas.search.settings import SETTINGS, MachineSettings, SearchSettings
    from betanas.spaces import get_space
    from betanas.userfile import run_plugins

    settings = SearchSettings(**{**typed, **chosen})
    run_plugins(settings.search.plugins)
    check_names(settings)  # before anything that is slow to load
    of_default = any(typed.get(name) is not None for name in _OF_A_SPACE)
    if of_default or typed.get("space") is not None:
        search = settings.search
        get_space(search.space, search.preset, ranges=search.ranges, fixed=search.fixed, blocks=search.blocks)

    root = typed.get("data_root")
    source = open_source(str(typed["data"]), root=Path(root).expanduser() if root else None)
    given = {name: typed[name] for name in ("devices", "workers", "per_trial_devices") if typed.get(name) is not None}
    here = typed.get("executor") in (None, "local")  # what a cluster has is not known
    slots = plan_slots(MachineSettings(**given)) if here else []
    look = look_at(source)
    time = SETTINGS["time"].read(typed["time"]) if typed.get("time") is not None else Budget(_USUAL_SECONDS, "seconds")
    accelerated = bool(slots) and slots[0].device != "cpu"
    _, budget = divide(time.amount, beside=_BESIDE_SECONDS, workers=max(len(slots), 1))
    found = choose(look, seconds=time.amount, accelerated=accelerated).settings()
    if of_default:
        del found["space"]
    found |= {"budget": str(Budget(min(budget, time.amount), "seconds")), "time": str(time)}
    return chosen | {name: value for name, value in found.items() if typed.get(name) is None}


def free_place(data: str) -> str:
    """A directory in `runs` that does not exist yet, named after the images."""
    name = Path(data).expanduser().resolve().name or "study"
    places = (Path("runs") / (name if number == 1 else f"{name}-{number}") for number in range(1, 1_000_000))
    return str(next(place for place in places if not place.exists()))
