"""What the training benchmarks share: CIFAR-100, the published networks, and a journal that survives interruption."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from betanas.blueprint import Blueprint
from betanas.data import Splits, load_splits, open_source
from betanas.spaces import get_space, published

SPACES = ("betanet2", "betanet3")
JOURNALS = Path(__file__).parent / "results" / "journals"


def arguments(description: str) -> argparse.ArgumentParser:
    """The options every training benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default="cifar100", help="a source's name or an image folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it runs; its figures mean nothing")
    return parser


def published_blueprint(space: str, *, resolution: int, num_classes: int = 100) -> Blueprint:
    """The network that the report found, at a resolution."""
    return get_space(space).blueprint(published(space), resolution=resolution, num_classes=num_classes, in_channels=3)


def training_splits(data: str, *, resolution: int, seed: int = 0) -> Splits:
    """Training and validation images; the test part is not read."""
    return load_splits(open_source(data), resolution=resolution, seed=seed)


def random_splits(*, side: int, images: int = 4096, num_classes: int = 100) -> Splits:
    """Noise in place of images, for timings that do not depend on what the images show."""
    from betanas.data.images import ImageSet

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8, generator=generator)
    part = ImageSet(pixels, torch.arange(images) % num_classes)
    return Splits(part, part.subset(torch.arange(min(images, 500))), tuple(str(n) for n in range(num_classes)))


class Journal:
    """Measurements already made, one JSON document a line: a benchmark that was interrupted goes on where it was.

    Args:
        name: of the benchmark.
        conditions: measurements made under others are left alone and made again.
    """

    def __init__(self, name: str, conditions: Mapping[str, Any]) -> None:
        self._path = JOURNALS / f"{name}.jsonl"
        self._conditions = json.loads(json.dumps(dict(conditions), default=str))
        self._found: dict[str, Any] = {}
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                self._read(line)

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def once(self, key: str, measure: Callable[[], Any]) -> Any:
        """The measurement of this name: from the journal, or made now and written there."""
        if key not in self._found:
            value = measure()
            JOURNALS.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"key": key, "conditions": self._conditions, "value": value}, default=str)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            self._found[key] = json.loads(line)["value"]
            print(f"{key}: {json.dumps(self._found[key])[:160]}", flush=True)
        return self._found[key]

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            # The line that was being written when the benchmark was killed.
            return
        if entry["conditions"] == self._conditions:
            self._found[entry["key"]] = entry["value"]
