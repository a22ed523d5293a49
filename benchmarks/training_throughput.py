"""`fast` against a plain torchvision loop: images a second, same network, same batch, in turns within one run.

python benchmarks/training_throughput.py                    # R=32 on the CPU: the bar is 2x
python benchmarks/training_throughput.py --resolution 224   # on a GPU: the bar is 8x
"""

from __future__ import annotations

import os

import torch

from _record import spread, write_record
from _torchvision_loop import torchvision_step_seconds
from _training import SPACES, arguments, published_blueprint, random_splits
from betanas.training.budget import Budget
from betanas.training.device import describe_device
from betanas.training.engine import TrialEngine
from betanas.training.recipe import load_recipe


def main() -> None:
    """Measure, and write the record."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--compile", action="store_true", help="compile `fast`'s network")
    parser.add_argument(
        "--full-resolution", action="store_true", help="without `fast`'s smaller images in the first part of the budget"
    )
    options = parser.parse_args()
    repeats, steps = (2, 4) if options.quick else (options.repeats, options.steps)
    splits = random_splits(side=32)
    recipe = load_recipe("fast").with_settings(evaluations=1, compile=options.compile)
    if options.full_resolution:
        recipe = recipe.with_settings(progressive_start=1.0)
    engine = TrialEngine(
        splits,
        resolution=options.resolution,
        recipe=recipe,
        device=options.device,
        batch_size=options.batch_size,
        threads=options.threads,
    )
    cores = os.cpu_count() or 1
    # On a CPU the loader's workers and the training share the cores: both kinds of loop are tried, the better counts.
    worker_choices = [min(8, cores)] if engine.device.type == "cuda" else [0, cores]
    figures = {}
    for space in SPACES if options.resolution < 100 else SPACES[1:]:
        blueprint = published_blueprint(space, resolution=options.resolution)
        ratios, ours, theirs = [], [], []
        for repeat in range(repeats):
            result = engine.run(blueprint, budget=Budget(steps, "steps"), seed=repeat)
            if result.images_per_second is None:
                raise SystemExit(result.reason)
            plain = [
                torchvision_step_seconds(
                    blueprint.build(),
                    splits.train,
                    resolution=options.resolution,
                    batch_size=options.batch_size,
                    device=engine.device,
                    workers=workers,
                    steps=steps,
                )
                for workers in worker_choices
            ]
            ours.append(result.images_per_second)
            theirs.append(options.batch_size / min(plain))
            ratios.append(ours[-1] / theirs[-1])
            print(f"{space} repeat {repeat}: {ours[-1]:.0f} against {theirs[-1]:.0f} images/s", flush=True)
        figures[space] = {
            "ratio": spread(ratios),
            "fast_images_per_second": spread(ours),
            "torchvision_images_per_second": spread(theirs),
        }
    device = "gpu" if engine.device.type == "cuda" else "cpu"
    write_record(
        f"training_throughput_{device}_r{options.resolution}"
        f"{'_full' if options.full_resolution else ''}{'_quick' if options.quick else ''}",
        conditions={
            "device": describe_device(engine.device),
            "threads": torch.get_num_threads(),
            "resolution": options.resolution,
            "batch_size": options.batch_size,
            "steps": steps,
            "repeats": repeats,
            "loader_workers_tried": worker_choices,
            "fast": recipe.to_dict(),
            "torchvision_loop": "AutoAugment, flip, random resized crop on PIL images, Adam, fp32, NCHW",
            "bar": 8.0 if device == "gpu" else 2.0,
        },
        figures=figures,
    )


if __name__ == "__main__":
    main()
