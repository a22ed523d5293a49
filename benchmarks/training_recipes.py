"""`fast` against `paper` at equal training seconds: validation top-1 on CIFAR-100, both published networks.

The bar: five points at R=32, 60 s, two cores, five seeds. Seeds decide weights, order and augmentation; the split is
the same for all. The test part is not read. Interrupted, it goes on where it was.
"""

from __future__ import annotations

from _record import spread, write_record
from _training import SPACES, Journal, arguments, published_blueprint, training_splits
from betanas.training.budget import Budget
from betanas.training.device import describe_device
from betanas.training.engine import TrialEngine
from betanas.training.recipe import load_recipe


def main() -> None:
    """Measure, and write the record."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipes", nargs="+", default=["paper", "fast"])
    options = parser.parse_args()
    budget = Budget.parse("3s" if options.quick else options.budget)
    seeds = range(1 if options.quick else options.seeds)
    recipes = {name: load_recipe(name) for name in options.recipes}
    splits = training_splits(options.data, resolution=options.resolution)
    engines = {
        name: TrialEngine(
            splits, resolution=options.resolution, recipe=recipe, device=options.device, threads=options.threads
        )
        for name, recipe in recipes.items()
    }
    first = next(iter(engines.values()))
    conditions = {
        "data": options.data,
        "resolution": options.resolution,
        "budget": str(budget),
        "device": describe_device(first.device),
        "recipes": {name: recipe.to_dict() for name, recipe in recipes.items()},
    }
    name = f"training_recipes{'_quick' if options.quick else ''}"
    journal = Journal(name, conditions)
    figures = {}
    for space in SPACES:
        blueprint = published_blueprint(space, resolution=options.resolution, num_classes=len(splits.classes))
        found: dict[str, list[float]] = {each: [] for each in recipes}
        for seed in seeds:
            for each, engine in engines.items():

                def measure(engine: TrialEngine = engine, seed: int = seed) -> dict:
                    return engine.run(blueprint, budget=budget, seed=seed).to_dict()  # noqa: B023

                result = journal.once(f"{space}/{each}/{seed}", measure)
                found[each].append(100 * (result["top1"] or 0.0))
        figures[space] = {each: spread(values) for each, values in found.items()}
        if {"paper", "fast"} <= set(found):
            gains = [fast - paper for fast, paper in zip(found["fast"], found["paper"], strict=True)]
            figures[space]["fast_minus_paper_points"] = spread(gains)
    write_record(name, conditions={**conditions, "seeds": len(seeds), "bar_points": 5.0}, figures=figures)


if __name__ == "__main__":
    main()
