"""The promise of `betanas find`: the time that was given, from the start of the process to its end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from betanas.training.budget import Budget


def images(folder: Path, *, classes: int, each: int, side: int, test: int = 0, grey: bool = False) -> str:
    generator = np.random.default_rng(0)
    for part, count in (("train", each), ("test", test)):
        for label in range(classes if count else 0):
            place = folder / part / f"class{label:03d}"
            place.mkdir(parents=True)
            base = generator.integers(40, 216, 1 if grey else 3)
            for index in range(count):
                noise = generator.integers(-40, 40, (side, side, len(base)))
                pixels = np.clip(base + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels[:, :, 0] if grey else pixels).save(place / f"{index}.png")
    return str(folder)


SETS = {
    "digits": None,
    "few small photographs": {"classes": 2, "each": 40, "side": 24},
    "photographs": {"classes": 10, "each": 150, "side": 100, "test": 50},
    "grey ones": {"classes": 5, "each": 200, "side": 32, "grey": True},
    "many classes": {"classes": 100, "each": 40, "side": 32, "test": 10},
    "many images": {"classes": 4, "each": 2500, "side": 16},
}


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "length"), [*zip(SETS, ("3m", "2m", "4m", "2m", "5m", "4m"), strict=True)])
def test_the_time_is_kept(name: str, length: str, tmp_path: Path) -> None:
    made = SETS[name]
    data = "digits" if made is None else images(tmp_path / "photos", **made)  # type: ignore[arg-type]
    begun = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-m", "betanas", "find", data, "--time", length, "--to", str(tmp_path / "model"), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    wall, promised = time.monotonic() - begun, Budget.parse(length).amount
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    assert document["verified"]
    step = document["training_seconds"] / document["training_steps"]
    assert abs(wall - promised) <= max(0.03 * promised, step), f"{wall:.1f} s of {promised:.0f} s"


@pytest.mark.soak
def test_half_a_minute_is_refused_with_what_is_possible(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "betanas", "find", "digits", "--time", "30s", "--to", str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "Type, for example, --time" in answer.stderr
    assert list(tmp_path.iterdir()) == []
