"""What an objective promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from betanas.blueprint import Blueprint
from betanas.search.feasibility import Problem
from betanas.search.objectives import OBJECTIVES, ObjectiveSettings, Registered, read_objective
from betanas.search.records import TrialRecord
from betanas.search.scoring import make_score
from betanas.spaces import get_space, published
from betanas.testing.promises import Promises


def check_objective(objective: ObjectiveSettings | Callable[..., object] | str) -> None:
    """Check that an objective keeps its promises, on trials that have an accuracy (no other is asked about).

    Args:
        objective: a function of a record and a blueprint; a registered name or a `.py` file; or one of the dataclasses
            of `betanas.search.objectives`.

    Raises:
        BrokenPromiseError: it does not; the message says which promise.
    """
    space = get_space("betanet3")
    problem = Problem(space, resolution=32, num_classes=10, in_channels=3, batch_size=32)
    score: Callable[..., object]
    if isinstance(objective, str):
        objective = read_objective(objective)
    if isinstance(objective, Registered):
        objective = OBJECTIVES.get(objective.name)
    if callable(objective):
        name = getattr(objective, "__name__", repr(objective))
        score = objective
    else:
        name, score = str(objective), make_score(objective, problem)
    promises = Promises(f"The objective {name}")
    for record, blueprint in _trials(problem):
        about = f"trial {record.index}, {record.state}, top-1 {record.top1}"
        with promises.holding("it must give a number or None for every trial", about):
            value, again = score(record, blueprint), score(record, blueprint)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        promises.require(value is None or number, "it must give a number or None", f"{value!r} for {about}")
        # A value that is no finite number counts as no result, so nan equals nan here.
        same = value == again or (isinstance(value, float) and math.isnan(value) and again != again)
        promises.require(same, "it must give the same for the same trial", f"{value}, then {again} for {about}")


def _trials(problem: Problem) -> Sequence[tuple[TrialRecord, Blueprint]]:
    vector = published("betanet3")
    blueprint = problem.blueprint(problem.space.to_array([vector])[0])
    full = TrialRecord(
        0,
        vector,
        blueprint.key,
        "sobol",
        "completed",
        top1=0.4,
        top5=0.8,
        training_seconds=20.0,
        images_per_second=200.0,
        params=blueprint.num_params,
        macs=blueprint.macs,
    )
    records = (
        full,
        replace(full, index=1, top1=0.0),
        replace(full, index=2, top1=1.0, top5=1.0),
        replace(full, index=3, images_per_second=None),
        replace(full, index=4, training_seconds=None),
        replace(full, index=5, state="stopped", top1=0.1),
    )
    return [(record, blueprint) for record in records]
