"""Pretrained weights in a network's own shape against random ones: validation accuracy after equal steps.

    python benchmarks/pretrained_start.py --data CIFAR100_FOLDER [--steps 300] [--seeds 3] [--side 32]
        [--networks 6] [--arms random,rate_1,rate_0.3,rate_0.1,by_order,neutral_norms] [--quick]

The folder holds CIFAR-100 as `train/<class>/*.png`. 20 of its classes, 2,000 training images and 2,000 others of its
training part to judge by; no test image is read, since the arms choose defaults. Budgets are steps, so that other
work on the machine changes the time and not the figures. Networks are drawn evenly from convnet and betanet3, within
limits that a minute's training has.

- random: what a search does without --start.
- rate_X: the remapped weights of tf_efficientnet_lite0, the learning rate multiplied by X (`start_rate`).
- by_order: at the default rate, the first channels in place of the most important ones.
- neutral_norms: at the default rate, norms that scale by one and shift by nothing.

A journal keeps every training: interrupted, it goes on. benchmarks/teacher.py measures the start at equal seconds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from _record import write_record
from _training import Journal
from betanas.blueprint import Blueprint
from betanas.data.images import ImageSet, Splits
from betanas.intervals import mean_interval
from betanas.pretrained.remapping import remap
from betanas.pretrained.seed import SeedNetwork, seed_network
from betanas.spaces import get_space
from betanas.training.budget import Budget
from betanas.training.engine import TrialEngine
from betanas.training.recipe import Recipe, load_recipe

SEED_NETWORK = "tf_efficientnet_lite0"
ARMS = ("random", "rate_1", "rate_0.3", "rate_0.1", "by_order", "neutral_norms")
SPACES = ("convnet", "betanet3")
CLASSES, IMAGES = 20, 2000
MACS, PARAMS = (8e6, 25e6), 1_000_000  # multiply-accumulates at 32 pixels


def images(data: Path, side: int, count: int) -> Splits:
    """Training images and as many others of the training part to judge by."""
    names = sorted(each.name for each in (data / "train").iterdir())[:: 100 // CLASSES][:CLASSES]
    each = count // CLASSES

    def part(first: int) -> ImageSet:
        found, labels = [], []
        for label, name in enumerate(names):
            for file in sorted((data / "train" / name).iterdir())[first : first + each]:
                with Image.open(file) as small:
                    found.append(np.asarray(small.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)))
                labels.append(label)
        pixels = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()
        return ImageSet(pixels, torch.tensor(labels))

    return Splits(part(0), part(each), tuple(names))


def networks(count: int, side: int) -> dict[str, Blueprint]:
    """Networks by the space and the seed that their vectors were drawn with."""
    found: dict[str, Blueprint] = {}
    for space in SPACES:
        searched, draw, wanted = get_space(space), -1, len(found) + count // len(SPACES)
        while len(found) < wanted:
            draw += 1
            generator = np.random.default_rng(draw)
            vector = {name: generator.uniform(each.low, each.high) for name, each in searched.parameters.items()}
            each = searched.blueprint(vector, resolution=side, num_classes=CLASSES, in_channels=3)
            if MACS[0] <= each.macs * (32 / side) ** 2 <= MACS[1] and each.num_params <= PARAMS:
                found[f"{space}_{draw}"] = each
    return found


def by_order(seed: SeedNetwork) -> SeedNetwork:
    """The same network, whose first channels count as the most important ones."""

    class InOrder(SeedNetwork):
        @property
        def importance(self) -> tuple[Tensor, ...]:
            return tuple(-torch.arange(float(width)) for width in self.shape.widths)

    latent = -torch.arange(float(len(seed.latent_importance)))
    return InOrder(seed.stem, seed.blocks, seed.head, latent)


def neutral(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remapped weights whose norms begin as random networks' do; those that begin at zero stay."""
    scales = {name: (each != 0).float() for name, each in tensors.items() if name.endswith(".1.weight")}
    shifts = {name: torch.zeros_like(each) for name, each in tensors.items() if name.endswith(".1.bias")}
    return {**tensors, **scales, **shifts}


def builder(arm: str, blueprint: Blueprint) -> Callable[[], nn.Module]:
    """Builds a network as an arm does."""

    def build() -> nn.Module:
        network = blueprint.build()
        if arm != "random":
            seed = seed_network(SEED_NETWORK)
            tensors = remap(blueprint, by_order(seed) if arm == "by_order" else seed)
            network.load_state_dict(neutral(tensors) if arm == "neutral_norms" else tensors, strict=False)
        return network

    return build


def recipe_of(arm: str) -> Recipe:
    """The recipe `fast`, judged at the end alone, at the arm's rate."""
    recipe = load_recipe("fast").with_settings(variants=(), evaluations=1, interim_images=0)
    if arm == "random":
        return recipe
    started = recipe.with_settings(start=SEED_NETWORK)
    return started.with_settings(start_rate=float(arm.removeprefix("rate_"))) if arm.startswith("rate_") else started


def main() -> None:
    """Train what the journal lacks, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--quick", action="store_true", help="to see that it runs; its figures mean nothing")
    given = parser.parse_args()
    if given.quick:
        given = argparse.Namespace(**{**vars(given), "steps": 2, "seeds": 1, "networks": 2})
    count = 200 if given.quick else IMAGES
    conditions = {"steps": given.steps, "side": given.side, "images": count, "seed_network": SEED_NETWORK}
    journal = Journal("pretrained_start_quick" if given.quick else "pretrained_start", conditions)
    splits, drawn, arms = (
        images(given.data, given.side, count),
        networks(given.networks, given.side),
        given.arms.split(","),
    )
    found: dict[str, dict[str, list[float]]] = {arm: {name: [] for name in drawn} for arm in arms}
    for seed in range(given.seeds):
        for arm in arms:
            engine = TrialEngine(splits, resolution=given.side, recipe=recipe_of(arm), device="cpu", threads=1)
            for name, blueprint in drawn.items():

                def measure(
                    arm: str = arm, blueprint: Blueprint = blueprint, seed: int = seed, engine: Any = engine
                ) -> Any:
                    result = engine.train(builder(arm, blueprint), budget=Budget(given.steps, "steps"), seed=seed)
                    return result.top1

                found[arm][name].append(journal.once(f"{arm}/{name}/{seed}", measure))
    figures: dict[str, Any] = {"networks": {name: each.num_params for name, each in drawn.items()}}
    for arm in arms:
        means = {name: statistics.mean(values) for name, values in found[arm].items()}
        figures[arm] = {"top1": means, "mean": statistics.mean(means.values())}
        if arm != "random" and "random" in arms:
            gains = [
                value - other
                for name in drawn
                for value, other in zip(found[arm][name], found["random"][name], strict=True)
            ]
            gain = mean_interval(gains)
            figures[arm]["gain"] = {
                "mean": gain.mean,
                "margin": gain.margin,
                "n": gain.n,
                "median": statistics.median(gains),
            }
    if not given.quick:
        write_record("pretrained_start", conditions={**conditions, "seeds": given.seeds}, figures=figures)


if __name__ == "__main__":
    main()
