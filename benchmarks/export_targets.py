"""What each export format gives for the library's CIFAR-100 network: agreement with PyTorch, size and time.

    python benchmarks/export_targets.py --images CIFAR100_FOLDER [--quick]

The folder holds CIFAR-100 as `train/<class>/*.png` and `test/<class>/*.png`. Every format is written twice, without and
with preprocessing inside, and asked about all validation images. Times are medians of runs of one image on one core, in
turns of 30, as ratios to ONNX in float32. A format whose packages are not installed is named and left out; LiteRT's do
not go into the project's own environment (docs/export.md says how to make one). `--quick` tries it on few images and
writes no record; otherwise the table in docs/deploy.md is written too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path

import torch

from _page_tables import with_table
from _record import spread, write_record
from _targets_table import table_of
from betanas.data import DataSource, open_source
from betanas.errors import MissingExtraError
from betanas.export.classifier import BytesClassifier, Exportable, ImageClassifier
from betanas.export.formats import ONNX_FILE, onnx_runner, write_onnx, write_program
from betanas.export.on_device import write_coreml, write_executorch, write_litert
from betanas.export.onnx_preprocessing import add_preprocessing
from betanas.export.quantisation import INT8_FILE, write_int8
from betanas.export.samples import quantisation_samples, validation_batches
from betanas.export.sidecar import Sidecar
from betanas.export.verification import LEAST_AGREEMENT, Runner
from betanas.library import load_network
from export_int8 import NETWORK, described, few

WRITERS: dict[str, Callable[[Sidecar, Exportable, Path], Runner | None]] = {
    "onnx": write_onnx,
    "torch": write_program,
    "litert": write_litert,
    "executorch": write_executorch,
    "coreml": write_coreml,
}
UNCOUNTED, TURN = 10, 30
BASE = "onnx, floats"
PACKAGES = ("onnxruntime", "litert-torch", "ai-edge-litert", "executorch", "coremltools")


def int8_pair(
    sidecar: Sidecar, classifier: ImageClassifier, source: DataSource, home: Path, *, quick: bool
) -> dict[str, Path]:
    """The network in 8 bits as `betanas export` writes it, without and with preprocessing inside."""
    samples = quantisation_samples(sidecar, source)
    samples = few(samples) if quick else samples
    home.mkdir()
    write_onnx(sidecar, classifier, home)
    write_int8(
        home / ONNX_FILE,
        home / INT8_FILE,
        expected=classifier,
        calibration=samples.calibration,
        validation=samples.validation,
        final=None,
        tolerance=1.0 if quick else 0.005,
    )
    add_preprocessing(home / INT8_FILE, home / f"bytes-{INT8_FILE}", sidecar)
    return {"int8, floats": home / INT8_FILE, "int8, bytes": home / f"bytes-{INT8_FILE}"}


def size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(path.stat().st_size for path in [place, *place.rglob("*")] if path.is_file())


def judged(
    runs: dict[str, Runner], classifier: ImageClassifier, sidecar: Sidecar, source: DataSource, batches: int | None
) -> dict[str, dict[str, float | int]]:
    """For each format, how it compares with PyTorch on the validation images."""
    same, largest, total = dict.fromkeys(runs, 0), dict.fromkeys(runs, 0.0), 0
    with torch.inference_mode():
        for batch in islice(validation_batches(sidecar, source), batches):
            expected = classifier(batch.images).softmax(1)
            total += len(expected)
            for name, run in runs.items():
                assert batch.pixels is not None
                found = run(batch.pixels) if name.endswith("bytes") else run(batch.images).softmax(1)
                same[name] += int((found.argmax(1) == expected.argmax(1)).sum())
                largest[name] = max(largest[name], (found - expected).abs().max().item())
    return {
        name: {
            "validation_images": total,
            "agreement": same[name] / total,
            "largest_probability_difference": largest[name],
        }
        for name in runs
    }


def times(runs: dict[str, Runner], classifier: ImageClassifier, sidecar: Sidecar, repeats: int) -> dict[str, object]:
    """Milliseconds of one image on one core: formats take turns, and each turn begins with calls that do not count.

    A runtime's threads go on spinning for a moment after its last call, in the time of whoever comes next.
    """
    core = {min(os.sched_getaffinity(0))}
    for thread in Path("/proc/self/task").iterdir():  # runtimes have started theirs
        os.sched_setaffinity(int(thread.name), core)
    torch.set_num_threads(1)
    bytes_in, floats_in = BytesClassifier(classifier, sidecar).example(1), classifier.example(1)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        for _ in range(max(repeats // TURN, 1)):
            for name, run in runs.items():
                image = bytes_in if name.endswith("bytes") else floats_in
                for call in range(UNCOUNTED + TURN):
                    start = time.perf_counter()
                    run(image)
                    if call >= UNCOUNTED:
                        taken[name].append(1000 * (time.perf_counter() - start))
    base = statistics.median(taken[BASE])
    return {name: {**spread(each), "ratio_to_onnx": statistics.median(each) / base} for name, each in taken.items()}


def installed() -> dict[str, str]:
    """Versions of the packages that wrote and ran the formats."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def main() -> None:
    """Write every format, compare, time, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    sidecar = described()
    classifier = ImageClassifier(load_network(NETWORK), sidecar).eval()
    source = open_source(given.images)
    from_bytes = BytesClassifier(classifier, sidecar).eval()
    runs: dict[str, Runner] = {}
    sizes: dict[str, int] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        for kind, write in WRITERS.items():
            for takes, exported in (("floats", classifier), ("bytes", from_bytes)):
                name, folder = f"{kind}, {takes}", home / f"{kind}-{takes}"
                folder.mkdir()
                try:
                    run = write(sidecar, exported, folder)
                except MissingExtraError as error:
                    left_out[name] = str(error)
                    continue
                sizes[name] = size(folder)
                if run is None:
                    left_out[name] = "written, and cannot be run on this system"
                else:
                    runs[name] = run
        for name, path in int8_pair(sidecar, classifier, source, home / "int8", quick=given.quick).items():
            runs[name], sizes[name] = onnx_runner(path), size(path)
        figures = {
            "formats": judged(runs, classifier, sidecar, source, 3 if given.quick else None),
            "bytes": sizes,
            "left_out": left_out,
            "milliseconds_an_image": times(runs, classifier, sidecar, 20 if given.quick else given.repeats),
        }
    if given.quick:
        print(figures)
        return
    record = write_record(
        "export_targets",
        conditions={
            "network": NETWORK,
            "cores": 1,
            "batch": 1,
            "least_agreement": LEAST_AGREEMENT,
            "packages": installed(),
        },
        figures=figures,
    )
    page = Path(__file__).parents[1] / "docs" / "deploy.md"
    table = table_of(json.loads(record.read_text(encoding="utf-8")))
    page.write_text(with_table(page.read_text(encoding="utf-8"), "export_targets", table), encoding="utf-8")


if __name__ == "__main__":
    main()
