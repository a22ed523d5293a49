"""A stranger's folder: do the commands of docs/tutorial.md alone lead from photographs to a verified ONNX model?

    python benchmarks/tutorial_photos.py --data CIFAR100_FOLDER [--search-budget 6s] [--trials 16] [--place FOLDER]

Nobody's photographs lie here, so real small ones are made into them: 2,000 training images of ten classes of CIFAR-100
and 1,000 of its test images, enlarged and cropped to sides of 120 to 640 pixels, JPEG, PNG and WebP, some grey, some
stored turned with an EXIF orientation. Then every command of the tutorial is typed in an empty directory, as its page
has it but for budgets and counts, which the record states. The exported model is checked by the command itself, on the
1,000 test images, and once more by this script. `--quick` tries it on sixty photographs and writes no record.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from _record import write_record

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
CLASSES = 10
SIDES = (120, 640)
FORMATS = ("jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpeg", "png", "webp")

# EXIF's orientations that phones write, with the turn in which each is stored.
ORIENTATIONS = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
ORIENTATION_TAG = 0x0112


def make_photographs(data: Path, place: Path, counts: Mapping[str, int]) -> int:
    """Photographs of unequal sizes in class folders; returns of how many different sizes."""
    generator = np.random.default_rng(0)
    names = sorted(each.name for each in (data / "train").iterdir())[:: 100 // CLASSES][:CLASSES]
    sizes = set()
    for part, count in counts.items():
        for name in names:
            folder = place / part / name
            folder.mkdir(parents=True)
            for index, file in enumerate(sorted((data / part / name).iterdir())[: count // CLASSES]):
                with Image.open(file) as small:
                    sizes.add(enlarge(small.convert("RGB"), folder / f"IMG_{index:04}", generator))
    return len(sizes)


def enlarge(small: Image.Image, file: Path, generator: np.random.Generator) -> tuple[int, int]:
    """Save a photograph made of a small one, and return its size."""
    width, height = (int(side) for side in generator.integers(*SIDES, size=2))
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    large = small.resize((side, side), Image.Resampling.BICUBIC).crop((left, top, left + width, top + height))
    if generator.random() < 0.03:
        large = large.convert("L")
    exif = Image.Exif()
    if generator.random() < 0.1:
        orientation = int(generator.choice(list(ORIENTATIONS)))
        large = large.transpose(ORIENTATIONS[orientation])
        exif[ORIENTATION_TAG] = orientation
    large.save(file.with_suffix(f".{generator.choice(FORMATS)}"), quality=90, exif=exif)
    return large.size


def tutorial_commands() -> Iterator[list[str]]:
    """The commands of the page, as words."""
    for body in re.findall(r"^```bash\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in body.replace("\\\n", " ").splitlines():
            if line.startswith("betanas "):
                yield shlex.split(line)


def sized(words: list[str], sizes: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A command with this run's budgets and counts."""
    for option, value in sizes.get(words[1], {}).items():
        words[words.index(option) + 1] = value
    return words


def serve(words: list[str], place: Path) -> None:
    """Start the dashboard, and end it once it says where it is."""
    command = [sys.executable, "-u", "-m", *words, "--port", "0"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        process.terminate()


def verify(place: Path, photographs: Path) -> dict[str, float]:
    """The exported ONNX model against the PyTorch network, once more: other code than that of `betanas export`."""
    import onnxruntime
    import torch

    from betanas.export.classifier import load_classifier
    from betanas.export.formats import ONNX_FILE

    model = place / "photos-model"
    classifier = load_classifier(model)
    session = onnxruntime.InferenceSession(model / ONNX_FILE)
    given = session.get_inputs()[0]
    side, name = given.shape[-1], given.name
    files = sorted(file for file in (photographs / "test").rglob("*") if file.is_file())
    differences, same = [], 0
    for file in files:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB").resize((side, side)), dtype=np.float32)
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None] / 255)
        with torch.inference_mode():
            expected = classifier(torch.from_numpy(batch)).numpy()
        found = session.run(None, {name: batch})[0]
        differences.append(float(np.abs(found - expected).max()))
        same += int(found.argmax() == expected.argmax())
    return {"photographs": len(files), "largest_difference": max(differences), "same_top1": same}


def main() -> None:
    """Make the photographs, type the commands, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-100 as an image folder")
    parser.add_argument("--place", type=Path, help="an empty directory; a temporary one unless said otherwise")
    parser.add_argument("--search-budget", default="6s")
    parser.add_argument("--trials", default="16")
    parser.add_argument("--epochs", default="5epochs", help="of the final training")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()

    place = options.place or Path(tempfile.mkdtemp(prefix="tutorial-"))
    photographs = place / "photos"
    counts = {"train": 40, "test": 20} if options.quick else {"train": 2000, "test": 1000}
    different = make_photographs(options.data, photographs, counts)
    shutil.copy(next((photographs / "test").rglob("*.jpg")), place / "picture.jpg")
    sizes = {
        "search": {"--budget": options.search_budget, "--trials": options.trials},
        "confirm": {"--top": "2", "--seeds": "2"},
        "train": {"--budget": options.epochs},
        "compare": {"--budget": options.search_budget, "--seeds": "2"},
    }
    taken = {}
    for command in tutorial_commands():
        words = sized(command, sizes)
        print("$", shlex.join(words), flush=True)
        start = time.perf_counter()
        if words[1] == "dashboard":
            serve(words, place)
        else:
            subprocess.run([sys.executable, "-m", *words], cwd=place, check=True)
        taken[" ".join(words[1:3])] = round(time.perf_counter() - start, 1)
    found = verify(place, photographs)
    print(json.dumps(found))
    if not options.quick:
        write_record(
            "tutorial_photos",
            conditions={
                "photographs": counts,
                "made_of": f"{CLASSES} classes of CIFAR-100, enlarged to sides of {SIDES[0]} to {SIDES[1]} pixels",
                "sizes": different,
                "instead_of_the_page": sizes,
            },
            figures={"seconds": taken, "onnx": found},
        )


if __name__ == "__main__":
    main()
