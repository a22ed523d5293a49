"""What 8 bits cost the library's CIFAR-100 network: accuracy, agreement with float32, size and time.

    python benchmarks/export_int8.py --images CIFAR100_FOLDER [--quick]

The folder holds CIFAR-100 as `train/<class>/*.png` and `test/<class>/*.png`. Ours (weights of 7 bits, and of 8) stands
beside onnxruntime's own defaults. Ranges and layers are chosen on validation images; all are judged on the test part
once. Times are medians of interleaved runs on one thread, as ratios to float32's. `--quick` tries it on few images and
writes no record.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnxruntime

from _onnx import milliseconds
from _record import spread, write_record
from betanas.data import open_source
from betanas.export.classifier import ImageClassifier
from betanas.export.formats import INPUT, ONNX_FILE, write_onnx
from betanas.export.quantisation import INT8_FILE, Judge, write_int8
from betanas.export.samples import QuantisationSamples, Sample, quantisation_samples
from betanas.export.sidecar import Sidecar
from betanas.library import load_network
from betanas.library.catalogue import find_named

NETWORK = "betanet3_cifar100_r32"
VARIANTS = {"7-bit weights (default)": False, "8-bit weights (--full-range)": True}
PROCESSOR_FEATURES = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


def described() -> Sidecar:
    """The library's network as its training's sidecar would say it."""
    entry = find_named(NETWORK)
    weights = entry.weights
    assert weights is not None
    return Sidecar(
        architecture=entry.blueprint,
        classes=weights.classes,
        num_classes=len(weights.classes),
        in_channels=3,
        resolution=entry.blueprint.resolution,
        stored_side=32,
        scale=tuple(1 / (255 * std) for std in weights.std),
        offset=tuple(-mean / std for mean, std in zip(weights.mean, weights.std, strict=True)),
        top1=weights.top1,
        test_top1=weights.test_top1,
        document={},
    )


def onnxruntime_defaults(graph: Path, to: Path, calibration: Sample, *, per_channel: bool) -> None:
    """Static quantisation as onnxruntime does it unless told otherwise."""
    from onnxruntime.quantization import quantize_static

    batches = iter(calibration.images.split(64)[:-1] or [calibration.images])

    class Reader:
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(batches, None)
            return None if batch is None else {INPUT: batch.numpy()}

    quantize_static(graph, to, Reader(), per_channel=per_channel)


def times(graphs: dict[str, Path], repeats: int) -> dict[str, dict[str, float | int]]:
    """Milliseconds of one image on one thread, interleaved."""
    taken = milliseconds(graphs, repeats)
    base = statistics.median(taken["float32"])
    return {
        name: {**spread(values), "ratio_to_float32": statistics.median(values) / base} for name, values in taken.items()
    }


def few(samples: QuantisationSamples) -> QuantisationSamples:
    """A handful of each, to try the script out."""

    def cut(sample: Sample) -> Sample:
        return replace(
            sample, images=sample.images[:200], labels=None if sample.labels is None else sample.labels[:200]
        )

    return QuantisationSamples(
        *(cut(each) for each in (samples.calibration, samples.validation, samples.final) if each)
    )


def main() -> None:
    """Quantise in every way, judge, time, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    sidecar = described()
    classifier = ImageClassifier(load_network(NETWORK), sidecar).eval()
    samples = quantisation_samples(sidecar, open_source(given.images))
    samples = few(samples) if given.quick else samples
    assert samples.final is not None
    judge = Judge(classifier, samples.final)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        write_onnx(sidecar, classifier, home)
        graphs = {"float32": home / ONNX_FILE}
        for per_channel in (False, True):
            name = f"onnxruntime's defaults, {'per channel' if per_channel else 'per tensor'}"
            graphs[name] = home / f"defaults-{per_channel}.onnx"
            onnxruntime_defaults(graphs["float32"], graphs[name], samples.calibration, per_channel=per_channel)
            figures[name] = {"test": asdict(judge.of(graphs[name]))}
        for name, full_range in VARIANTS.items():
            graphs[name] = home / f"{full_range}-{INT8_FILE}"
            made = write_int8(
                graphs["float32"],
                graphs[name],
                expected=classifier,
                calibration=samples.calibration,
                validation=samples.validation,
                final=samples.final,
                tolerance=1.0 if given.quick else 0.005,
                full_range=full_range,
            )
            figures[name] = asdict(made)
        figures["bytes"] = {name: path.stat().st_size for name, path in graphs.items()}
        figures["milliseconds_an_image"] = times(graphs, 20 if given.quick else given.repeats)
    features = Path("/proc/cpuinfo").read_text(encoding="ascii").split() if Path("/proc/cpuinfo").exists() else []
    if given.quick:
        print(figures)
        return
    write_record(
        "export_int8",
        conditions={
            "network": NETWORK,
            "threads": 1,
            "batch": 1,
            "eight_bit_instructions": [name for name in PROCESSOR_FEATURES if name in features],
            "onnxruntime": onnxruntime.__version__,
        },
        figures=figures,
    )


if __name__ == "__main__":
    main()
