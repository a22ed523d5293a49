"""How exactly a trial keeps its budget, and how soon the next one starts in a warm engine.

The bars: an error of at most 1% (or one step, where that is longer) over 50 trials, and under 0.5 s between two trials:
building the network, two steps of warm-up, an evaluation, cleaning up.
"""

from __future__ import annotations

import numpy as np

from _record import spread, write_record
from _training import arguments, published_blueprint, random_splits
from betanas.spaces import get_space
from betanas.training.budget import Budget
from betanas.training.device import describe_device
from betanas.training.engine import TrialEngine
from betanas.training.recipe import load_recipe

# Larger networks take seconds a step at R=32 on two cores: a budget of seconds has nothing to be exact about.
LARGEST_MACS = 20_000_000


def main() -> None:
    """Measure, and write the record."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--budget", default="5s")
    parser.add_argument("--resolution", type=int, default=32)
    options = parser.parse_args()
    trials = 3 if options.quick else options.trials
    budget = Budget.parse("1s" if options.quick else options.budget)
    engine = TrialEngine(
        random_splits(side=32),
        resolution=options.resolution,
        recipe=load_recipe("fast").with_settings(evaluations=1),
        device=options.device,
        threads=options.threads,
    )
    space = get_space("betanet3", preset="default")
    generator = np.random.default_rng(0)
    errors, in_steps, within = [], [], 0
    while len(errors) < trials:
        vector = {name: generator.uniform(each.low, each.high) for name, each in space.parameters.items()}
        blueprint = space.blueprint(vector, resolution=options.resolution, num_classes=100, in_channels=3)
        if blueprint.macs > LARGEST_MACS:
            continue
        result = engine.run(blueprint, budget=budget, seed=len(errors))
        if result.outcome != "completed":
            print(f"left out: {result.reason}")
            continue
        error = abs(result.training_seconds - budget.amount)
        step = result.training_seconds / result.steps
        errors.append(100 * error / budget.amount)
        in_steps.append(error / step)
        within += error <= max(0.01 * budget.amount, step)
    gaps = []
    for seed in range(1 + trials // 2):
        result = engine.run(
            published_blueprint("betanet3", resolution=options.resolution), budget=Budget(1, "steps"), seed=seed
        )
        # The first trial after others of another size is not yet what a warm engine does.
        if seed > 0:
            gaps.append(result.wall_seconds - result.training_seconds)
    write_record(
        f"training_budget{'_quick' if options.quick else ''}",
        conditions={
            "device": describe_device(engine.device),
            "budget": str(budget),
            "resolution": options.resolution,
            "networks": "drawn from betanet3, preset default, at most 20M MACs",
            "gap": "what a one-step trial of the published BetaNet3 takes beyond its step, 500 validation images",
            "bar_error_percent": 1.0,
            "bar_gap_seconds": 0.5,
        },
        figures={
            "error_percent": spread(errors),
            "error_in_steps": spread(in_steps),
            "within_one_percent_or_one_step": within,
            "trials": trials,
            "seconds_between_trials": spread(gaps),
        },
    )


if __name__ == "__main__":
    main()
