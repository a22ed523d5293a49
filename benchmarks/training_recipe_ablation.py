"""Each default of `fast` against its alternatives: validation top-1 on CIFAR-100 at equal training seconds.

Every line of the table is `fast` with one setting changed, both published networks, several seeds, R=32. Differences
are paired by seed. The test part is not read. Interrupted, it goes on where it was.
"""

from __future__ import annotations

import statistics
from typing import Any

from _record import spread, write_record
from _training import SPACES, Journal, arguments, published_blueprint, training_splits
from betanas.training.budget import Budget
from betanas.training.device import describe_device
from betanas.training.engine import TrialEngine
from betanas.training.recipe import load_recipe

CHANGES: dict[str, dict[str, Any]] = {
    "fast": {},
    "learning rate / 2": {"learning_rate": 0.5},
    "learning rate x 2": {"learning_rate": 2.0},
    "SGD": {"optimizer": "sgd", "learning_rate": 1.0, "weight_decay": 5e-4},
    "beta 2 = 0.999": {"second_momentum": 0.999},
    "beta 2 = 0.99": {"second_momentum": 0.99},
    "no weight decay": {"weight_decay": 0.0},
    "decay norms and biases": {"decay_norms_and_biases": True},
    "batch 50": {"batch_size": 50},
    "batch 200": {"batch_size": 200},
    "no label smoothing": {"label_smoothing": 0.0},
    "label smoothing 0.2": {"label_smoothing": 0.2},
    "cosine": {"schedule": "cosine"},
    "constant rate": {"schedule": "constant"},
    "no warm-up": {"warmup": 0.0},
    "warm-up 0.3": {"warmup": 0.3},
    "no weight average": {"average_span": 0.0},
    "weight average over 0.15": {"average_span": 0.15},
    "no crop": {"crop": "none"},
    "random resized crop": {"crop": "resized"},
    "no flip": {"flip": 0.0},
    "colour jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
    "rotation": {"rotate": 15.0},
    "erase": {"erase": 0.25},
    "AutoAugment": {"policy": "autoaugment-cifar10"},
    "stochastic depth": {"stochastic_depth": 1.0},
    "full resolution throughout": {"progressive_start": 1.0},
    "progressive until 0.9": {"progressive_until": 0.9},
    "contiguous": {"channels_last": False},
    "bfloat16": {"dtype": "bfloat16"},
    "clip gradients": {"clip_norm": 1.0},
    "mirror images at evaluation": {"test_flip": True},
}


def main() -> None:
    """Measure, and write the record."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--budget", default="40s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--spaces", nargs="+", default=list(SPACES))
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES))
    options = parser.parse_args()
    budget = Budget.parse("2s" if options.quick else options.budget)
    seeds = range(1 if options.quick else options.seeds)
    base = load_recipe("fast").with_settings(evaluations=1)
    splits = training_splits(options.data, resolution=options.resolution)
    name = f"training_recipe_ablation{'_quick' if options.quick else ''}"
    conditions = {
        "data": options.data,
        "resolution": options.resolution,
        "budget": str(budget),
        "fast": base.to_dict(),
    }
    journal = Journal(name, conditions)
    found: dict[str, dict[str, list[float]]] = {}
    device = ""
    # Seeds outermost: interrupted early, every change has been measured about as often.
    for seed in seeds:
        for change in dict.fromkeys(["fast", *options.only]):
            settings = dict(CHANGES[change])
            if settings.keys() == {"learning_rate"}:
                settings["learning_rate"] *= base.learning_rate
            recipe = base.with_settings(**settings)
            engine = TrialEngine(
                splits, resolution=options.resolution, recipe=recipe, device=options.device, threads=options.threads
            )
            device = describe_device(engine.device)
            for space in options.spaces:
                blueprint = published_blueprint(space, resolution=options.resolution, num_classes=len(splits.classes))

                def measure(engine: TrialEngine = engine, blueprint: Any = blueprint, seed: int = seed) -> dict:
                    return engine.run(blueprint, budget=budget, seed=seed).to_dict()

                result = journal.once(f"{space}/{change}/{seed}", measure)
                found.setdefault(space, {}).setdefault(change, []).append(100 * (result["top1"] or 0.0))
    figures: dict[str, Any] = {}
    for space, changes in found.items():
        figures[space] = {
            change: {
                "top1": spread(values),
                "minus_fast": spread([own - base for own, base in zip(values, changes["fast"], strict=True)]),
            }
            for change, values in changes.items()
        }
        ranked = sorted(changes, key=lambda change: -statistics.median(changes[change]))
        for change in ranked:
            print(f"{space} {change:30s} {statistics.median(changes[change]):6.2f}")
    write_record(name, conditions={**conditions, "device": device, "seeds": len(seeds)}, figures=figures)


if __name__ == "__main__":
    main()
