"""Whether a search of preset table1 at 224 pixels ever dispatches an infeasible candidate.

    python benchmarks/search_no_infeasible.py [--trials 300] [--strategies gpei sobol]

Limits as in the report: 30M parameters and, for a batch of 100, 20 GiB of training memory. Training is simulated by a
made-up objective. Each dispatched candidate is priced again from its blueprint, one at a time, by what a user would
call (`Blueprint.num_params`, `Blueprint.training_memory`), not by the screening that suggested it. The share of the
space that is feasible is beside it, since that is what a search without screening wastes.
"""

from __future__ import annotations

import argparse
import time

from _objectives import bumpy_accuracy
from _record import write_record
from betanas.search.feasibility import Problem, survey
from betanas.search.propose import Observation, get_strategy
from betanas.search.settings import Limits
from betanas.spaces import get_space

MOST_PARAMS, MOST_MEMORY, BATCH = 30_000_000, 20 * 2**30, 100
PROBLEM = Problem(
    get_space("betanet3", "table1"), 224, 100, 3, BATCH, limits=Limits(params=MOST_PARAMS, memory=MOST_MEMORY)
)


def dispatched(name: str, trials: int, seed: int) -> dict[str, float | int]:
    """Run one simulated search."""
    space, strategy = PROBLEM.space, get_strategy(name)(PROBLEM, seed=seed)
    infeasible, keys, asking = 0, set(), 0.0
    for index in range(trials):
        start = time.perf_counter()
        (suggestion,) = strategy.ask()
        asking += time.perf_counter() - start
        row = space.to_array([suggestion.vector])
        blueprint = PROBLEM.blueprint(row[0])
        memory = blueprint.training_memory(BATCH, dtype=PROBLEM.dtype, optimizer=PROBLEM.optimizer)
        infeasible += blueprint.num_params > MOST_PARAMS or memory > MOST_MEMORY
        keys.add(blueprint.key)
        value = float(bumpy_accuracy(space.to_unit(row))[0])
        strategy.tell(Observation(index, suggestion.vector, suggestion.origin, "completed", value))
    return {
        "trials": trials,
        "infeasible": infeasible,
        "distinct networks": len(keys),
        "seconds a suggestion": asking / trials,
    }


def main() -> None:
    """Run and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--strategies", nargs="+", default=["gpei", "sobol", "random", "tpe", "evolution", "local"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    share = survey(PROBLEM).share
    figures: dict[str, object] = {"feasible share of the space": share}
    figures |= {name: dispatched(name, arguments.trials, arguments.seed) for name in arguments.strategies}
    write_record(
        "search_no_infeasible",
        conditions={
            "preset": "table1",
            "resolution": 224,
            "limits": "30M, 20 GiB at batch 100",
            "seed": arguments.seed,
        },
        figures=figures,
    )


if __name__ == "__main__":
    main()
