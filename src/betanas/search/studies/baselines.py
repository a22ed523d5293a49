"""Plain networks that a search trains first, with the images, recipe and budget of its trials.

A search that finds less than ten lines of code would have given is not worth its time, and says so.
"""

from __future__ import annotations

from betanas.search.planning import job_of
from betanas.search.propose.listed import ListedProposer, benchmark_entrant, listed
from betanas.search.records import FIRST_BASELINE, StudyPlan
from betanas.search.store.store import Store
from betanas.search.studies.search import trial_seed
from betanas.search.studies.waiting import add_waiting


def baseline_proposer(store: Store, plan: StudyPlan) -> ListedProposer | None:
    """Has the plan's baselines trained; None where none is left to train."""
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
    return ListedProposer(jobs) if jobs else None
