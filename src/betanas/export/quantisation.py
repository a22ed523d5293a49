"""An 8-bit ONNX network: weights and activations as bytes, checked on labelled images before it is called done.

Static quantisation by onnxruntime (Jacob et al. 2018, arXiv 1712.05877): a few training images fix the range of every
activation, validation images decide which ranges and layers are taken, and the test part is judged once, at the end.

Weights take seven of the eight bits unless `full_range` is asked for: processors without 8-bit dot products (x86 before
VNNI) add two products of bytes in 16 bits and lose what does not fit, which cost a CIFAR-100 network 15 points there.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from betanas.errors import ExportError
from betanas.export.formats import INPUT, onnx_runner
from betanas.export.samples import Sample
from betanas.export.verification import Runner, logits_of

INT8_FILE = "network.int8.onnx"

# Largest loss of top-1 on validation images, as a share: half a point.
TOLERANCE = 0.005

_BATCH = 50

# Layers kept in float32 at most, as a share of those that could be quantised: with more, 8 bits gain nothing.
_MOST_KEPT = 0.5

# How well one quantised layer alone preserves the logits is judged on so few images, once for each layer.
_RANKED_ON = 64

_METHODS = ("Percentile", "MinMax", "Entropy")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How an 8-bit network compares with the float32 one on some images.

    Attributes:
        origin: what they are, in words.
        images: how many.
        top1_float, top1: accuracy of the float32 and of the 8-bit network, in [0, 1].
        same: share of the images whose first choice is the same.
    """

    origin: str
    images: int
    top1_float: float
    top1: float
    same: float

    @property
    def loss(self) -> float:
        """Top-1 that was lost; negative where it was gained."""
        return self.top1_float - self.top1


@dataclass(frozen=True, slots=True)
class Quantisation:
    """What an 8-bit export came to.

    Attributes:
        validation: agreement on the images that chose ranges and layers.
        final: agreement on the test part, or None where there is none.
        calibrated_on: training images that fixed the ranges of activations.
        method: of these ranges, as onnxruntime calls it.
        full_range: whether weights take all eight bits.
        kept: layers left in float32, by their names in the graph.
        layers: those that could have been quantised.
    """

    validation: Agreement
    final: Agreement | None
    calibrated_on: int
    method: str
    full_range: bool
    kept: tuple[str, ...]
    layers: int


def write_int8(
    graph: Path,
    to: Path,
    *,
    expected: Runner,
    calibration: Sample,
    validation: Sample,
    final: Sample | None,
    tolerance: float = TOLERANCE,
    full_range: bool = False,
) -> Quantisation:
    """Write the 8-bit form of an ONNX graph, with as few layers in float32 as the tolerance allows.

    Args:
        graph: the float32 network.
        to: the file to write.
        expected: runs the network in PyTorch.
        calibration: training images.
        validation: labelled images that decide.
        final: labelled test images, judged once with the result.
        tolerance: most top-1 that may be lost on the validation images, as a share.
        full_range: whether weights may take all eight bits.

    Raises:
        ExportError: the loss exceeds the tolerance whatever is tried; nothing is left at `to`.
    """
    wanted = Judge(expected, validation)
    with tempfile.TemporaryDirectory(prefix="betanas-") as place, _quiet():
        prepared = _prepared(graph, Path(place))
        layers = _layers(prepared)
        quantise = _Quantiser(prepared, Path(place), calibration.images, full_range=full_range)
        written = {method: quantise(method) for method in _METHODS}
        tried = {method: wanted.of(path) for method, path in written.items()}
        method = max(tried, key=lambda name: (tried[name].top1, tried[name].same))
        best, found, kept = written[method], tried[method], tuple[str, ...]()
        most = int(_MOST_KEPT * len(layers))
        ranking: list[str] = []
        closest, in_float = found, 0
        while found.loss > tolerance:
            ranking = ranking or _most_sensitive_first(quantise, layers, expected, validation.images[:_RANKED_ON])
            if len(kept) >= most:
                raise ExportError(
                    f"An 8-bit network must lose at most {100 * tolerance:g} points of accuracy.",
                    value=f"{100 * closest.loss:.2f} points, {round(closest.loss * closest.images)} of "
                    f"{closest.origin}, with {in_float} of {len(layers)} layers in float32",
                    hint="Nothing was kept. Export --format onnx, or allow more with --max-loss."
                    + _coarse(found, tolerance),
                )
            kept = tuple(ranking[: min(max(1, 2 * len(kept)), most)])
            best = quantise(method, keep=kept)
            found = wanted.of(best)
            if found.loss < closest.loss:
                closest, in_float = found, len(kept)
        to.write_bytes(best.read_bytes())
    return Quantisation(
        validation=found,
        final=None if final is None else Judge(expected, final).of(to),
        calibrated_on=len(calibration.images),
        method=method,
        full_range=full_range,
        kept=kept,
        layers=len(layers),
    )


class Judge:
    """Compares 8-bit graphs with the network on the same images.

    Args:
        expected: runs the network.
        sample: labelled images.
    """

    def __init__(self, expected: Runner, sample: Sample) -> None:
        if sample.labels is None:
            raise ValueError("the images have no labels")
        self._sample, self._labels = sample, sample.labels
        self._choices = logits_of(expected, sample.images).argmax(1)

    def of(self, graph: Path) -> Agreement:
        """How a graph compares."""
        choices = logits_of(onnx_runner(graph), self._sample.images).argmax(1)
        return Agreement(
            origin=self._sample.origin,
            images=len(choices),
            top1_float=_share(self._choices == self._labels),
            top1=_share(choices == self._labels),
            same=_share(choices == self._choices),
        )


class _Quantiser:
    """Calls onnxruntime with what all attempts share; every call writes a file of its own."""

    def __init__(self, graph: Path, place: Path, images: Tensor, *, full_range: bool) -> None:
        self._graph, self._place, self._images, self._full_range = graph, place, images, full_range
        self._calls = 0

    def __call__(
        self, method: str, *, keep: Sequence[str] = (), only: Sequence[str] | None = None, images: int | None = None
    ) -> Path:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        self._calls += 1
        to = self._place / f"int8-{self._calls}.onnx"
        quantize_static(
            self._graph,
            to,
            _Reader(self._images[:images]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not self._full_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(keep),
            nodes_to_quantize=None if only is None else list(only),
            calibrate_method=CalibrationMethod[method],
        )
        return to


class _Reader:
    """Calibration images, batch by batch, as onnxruntime asks for them."""

    def __init__(self, images: Tensor) -> None:
        size = min(_BATCH, len(images))
        # onnxruntime's histograms want batches of one size: what is left over is left out.
        self._batches = iter(torch.split(images[: len(images) // size * size], size))

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def _prepared(graph: Path, place: Path) -> Path:
    """The graph with shapes inferred and constants folded, which quantisation asks for."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(graph, place / "prepared.onnx", skip_symbolic_shape=True)
    return place / "prepared.onnx"


def _layers(graph: Path) -> list[str]:
    """Names of the nodes with weights."""
    import onnx

    return [node.name for node in onnx.load(str(graph)).graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]


def _most_sensitive_first(quantise: _Quantiser, layers: Sequence[str], expected: Runner, images: Tensor) -> list[str]:
    """Layers by how far the logits move when each alone is quantised."""
    logits = logits_of(expected, images)

    def error(layer: str) -> float:
        found = logits_of(onnx_runner(quantise("MinMax", only=[layer], images=_RANKED_ON)), images)
        return float((found - logits).pow(2).mean())

    return sorted(layers, key=error, reverse=True)


def _coarse(found: Agreement, tolerance: float) -> str:
    """Says so where a single image costs more than the tolerance."""
    if found.images * tolerance >= 1:
        return ""
    return f" One of {found.images:,} images is {100 / found.images:.2f} points: --data with more images judges finer."


def _share(right: Tensor) -> float:
    return right.to(torch.float64).mean().item()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's progress on standard output and its advice to prepare what is prepared."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(None):
            yield
    finally:
        logging.disable(before)
