"""Plain networks that a search trains first, with the images, recipe and budget of its trials.

A search that finds less than ten lines of code would have given is not worth its time, and says so.
"""

from __future__ import annotations

import math
from time import monotonic

from betanas.search.planning import job_of
from betanas.search.propose.listed import ListedProposer, benchmark_entrant, listed
from betanas.search.records import FIRST_BASELINE, StudyPlan
from betanas.search.store.store import Store
from betanas.search.studies.search import trial_seed
from betanas.search.studies.waiting import add_waiting


def baseline_proposer(store: Store, plan: StudyPlan, *, seconds: float = math.inf) -> ListedProposer | None:
    """Has the plan's baselines trained; None where none is left to train.

    Args:
        store: of the study.
        plan: of the study.
        seconds: that are left of the search's time. They have half of it: one that is still running then is cut off,
            and trained when the search goes on.
    """
    sizes = {"num_classes": len(plan.classes), "in_channels": plan.in_channels}
    entrants = [benchmark_entrant(name, resolution=plan.resolution, **sizes) for name in plan.search.baselines or ()]
    seed = trial_seed(plan.search.seed, FIRST_BASELINE)
    with store.turn():
        jobs = add_waiting(
            store,
            listed(entrants, [seed], lambda entrant, seed: job_of(plan, entrant.architecture, seed=seed)),
            "baseline",
            first=FIRST_BASELINE,
        )
    return ListedProposer(jobs, ends=monotonic() + seconds / 2) if jobs else None
