"""How many processor threads a search's trials compute with: measured once, before the first, and kept in the plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from betanas.search.executors.slots import plan_slots
from betanas.search.feasibility import Problem
from betanas.search.progress import SearchListener
from betanas.search.propose.screened import FeasibleStream, sobol_draw
from betanas.search.records import StudyPlan

# Of so many networks the lower quartile by work is measured: a search soon stays with those that make enough steps.
_NETWORKS = 32


def with_threads(plan: StudyPlan, problem: Problem, listener: SearchListener, *, trials: float) -> StudyPlan:
    """The plan with a number of threads, where one is to be measured; otherwise as it is.

    What a person has typed stands. Only trainings in seconds learn more where steps are quicker; one in steps or epochs
    gives the same numbers again only with the same number of threads, which no measurement should decide.

    Args:
        plan: of a search that has passed every check.
        problem: what it searches.
        listener: who is told.
        trials: how many it will have, as far as is known.
    """
    machine, budget = plan.machine, plan.training.budget
    if machine.threads is not None or machine.executor != "local" or budget.unit != "seconds":
        return plan
    from betanas.training.threads import WORTH_MEASURING, WORTHWHILE, gain_of_threads

    if trials * budget.amount < WORTH_MEASURING:
        return plan
    threads = min((slot.threads or 1 for slot in plan_slots(machine)), default=1)
    if threads == 1:
        return plan
    rows = FeasibleStream(problem, sobol_draw(len(problem.space.free), 0)).first(_NETWORKS)
    row = rows[np.argsort(problem.price(rows).macs)[_NETWORKS // 4]]
    gain = gain_of_threads(
        problem.blueprint(row).build(),
        shape=(plan.batch_size, plan.in_channels, plan.resolution, plan.resolution),
        classes=len(plan.classes),
        threads=threads,
    )
    if gain >= WORTHWHILE:
        return replace(plan, machine=replace(machine, threads=threads))
    listener.on_note(
        f"With {threads} threads a training step here takes {1 / gain:.0%} of its time with one: each trial computes "
        f"with one. --workers {threads} would train {threads} trials at a time; --threads {threads} decides otherwise."
    )
    return replace(plan, machine=replace(machine, threads=1))
