"""The forms for phones and small devices: LiteRT, ExecuTorch and Core ML, each by its own package, one image a call."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from betanas.errors import ExportError
from betanas.export.classifier import BytesClassifier, Exportable
from betanas.export.formats import INPUT, program
from betanas.export.sidecar import Sidecar
from betanas.export.verification import Runner
from betanas.extras import require

LITERT_FILE = "network.tflite"
EXECUTORCH_FILE = "network.pte"
COREML_FOLDER = "network.mlpackage"

# What each format needs, and so each extra: the extra has the format's name.
PACKAGES = {
    "litert": ("litert_torch", "ai_edge_litert"),
    "executorch": ("executorch",),
    "coreml": ("coremltools",),
}

_TITLES = {"litert": "LiteRT", "executorch": "ExecuTorch", "coreml": "Core ML"}


def require_packages(format_name: str) -> None:
    """Refuse early where a format's packages are not installed.

    Raises:
        MissingExtraError: one is not.
    """
    require(PACKAGES[format_name], extra=format_name, purpose=f"Exporting to {_TITLES[format_name]}")


def write_litert(sidecar: Sidecar, classifier: Exportable, folder: Path) -> Runner:
    """A LiteRT (formerly TensorFlow Lite) file whose signature names input and output, run by LiteRT's interpreter.

    Raises:
        MissingExtraError: a package that it needs is not installed.
        ExportError: LiteRT cannot express the network.
    """
    require_packages("litert")
    named = _NamedOutput(classifier).eval()
    with _conversion("litert"):
        import litert_torch

        litert_torch.convert(named, sample_kwargs={INPUT: classifier.example(1)}).export(str(folder / LITERT_FILE))
    return litert_runner(folder / LITERT_FILE)


def litert_runner(path: Path, *, threads: int = 1) -> Runner:
    """Runs a LiteRT file on the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()

    def one(image: Tensor) -> Tensor:
        (found,) = signature(**{INPUT: image.numpy()}).values()
        return torch.from_numpy(found)

    return _one_by_one(one)


def write_executorch(sidecar: Sidecar, classifier: Exportable, folder: Path) -> Runner:
    """An ExecuTorch program with the XNNPACK backend (for the processors of phones), run by its Python runtime.

    Raises:
        MissingExtraError: a package that it needs is not installed.
        ExportError: ExecuTorch cannot express the network.
    """
    require_packages("executorch")
    with _conversion("executorch"):
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        exported = program(classifier, classifier.example(1))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
        (folder / EXECUTORCH_FILE).write_bytes(lowered.buffer)
    return executorch_runner(folder / EXECUTORCH_FILE)


def executorch_runner(path: Path) -> Runner:
    """Runs an ExecuTorch program on the CPU."""
    with _quiet():
        from executorch.runtime import Runtime

        # The method uses the program's memory, which dies with it.
        loaded = Runtime.get().load_program(path)
        method = loaded.load_method("forward")

    def one(image: Tensor, *, program: Any = loaded) -> Tensor:
        (found,) = method.execute([image.contiguous()])
        result: Tensor = found.clone()  # the method's own memory, which the next call overwrites
        return result

    return _one_by_one(one)


def write_coreml(sidecar: Sidecar, classifier: Exportable, folder: Path) -> Runner | None:
    """A Core ML package (an ML program in float32, for iOS 16 and macOS 13 on).

    With preprocessing inside it takes a picture (a pixel buffer) and is a classifier with named classes, as Vision
    wants it; otherwise an array.

    Returns:
        What runs it, on macOS; elsewhere nothing can, and its description alone has been checked.

    Raises:
        MissingExtraError: a package that it needs is not installed.
        ExportError: Core ML cannot express the network, or the package does not say what was asked for.
    """
    require_packages("coreml")
    path = folder / COREML_FOLDER
    with _conversion("coreml"):
        import coremltools

        module, example, described = _for_coreml(sidecar, classifier, coremltools)
        model = coremltools.convert(
            program(module, example).run_decompositions({}),
            convert_to="mlprogram",
            compute_precision=coremltools.precision.FLOAT32,
            minimum_deployment_target=coremltools.target.iOS16,
            skip_model_load=True,
            **described,
        )
        if isinstance(classifier, BytesClassifier):
            specification = model.get_spec()
            coremltools.utils.rename_feature(specification, "classLabel_probs", classifier.output)
            specification.description.predictedProbabilitiesName = classifier.output
            model = coremltools.models.MLModel(specification, weights_dir=model.weights_dir, skip_model_load=True)
        model.save(str(path))
        (path / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)  # of use to its debugger alone
        described_again = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
    entries = [entry.name for entry in described_again.input]
    if entries != [INPUT] or classifier.output not in [found.name for found in described_again.output]:
        raise _inexpressible("coreml", f"inputs {entries}, and no output {classifier.output}")
    return None if sys.platform != "darwin" else _coreml_runner(path, classifier, sidecar.class_names)


def _for_coreml(sidecar: Sidecar, classifier: Exportable, coremltools: Any) -> tuple[nn.Module, Tensor, dict[str, Any]]:
    """The module to convert, an example, and what converting is told of input and output."""
    if not isinstance(classifier, BytesClassifier):
        example = classifier.example(1)
        entry = coremltools.TensorType(name=INPUT, shape=tuple(example.shape))
        return classifier, example, {"inputs": [entry], "outputs": [coremltools.TensorType(name=classifier.output)]}
    side = sidecar.side_to_decode
    planes = torch.zeros(1, sidecar.in_channels, side, side)
    layout = coremltools.colorlayout
    colours = layout.GRAYSCALE if sidecar.in_channels == 1 else layout.RGB
    picture = coremltools.ImageType(name=INPUT, shape=tuple(planes.shape), color_layout=colours)
    labels = coremltools.ClassifierConfig(list(sidecar.class_names))
    return _Planes(classifier).eval(), planes, {"inputs": [picture], "classifier_config": labels}


def _coreml_runner(path: Path, classifier: Exportable, labels: Sequence[str]) -> Runner:
    import coremltools
    from PIL import Image

    model = coremltools.models.MLModel(str(path))

    def one(image: Tensor) -> Tensor:
        if not isinstance(classifier, BytesClassifier):
            return torch.from_numpy(model.predict({INPUT: image.numpy()})[classifier.output])
        picture = Image.fromarray(image[0].squeeze(-1).numpy())
        found = model.predict({INPUT: picture})[classifier.output]
        return torch.tensor([[found[label] for label in labels]])

    return _one_by_one(one)


class _NamedOutput(nn.Module):
    """The output by its name: LiteRT's signature takes it from there."""

    def __init__(self, classifier: Exportable) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images to logits or probabilities."""
        return {self.classifier.output: self.classifier(images)}


class _Planes(nn.Module):
    """From channels first, as Core ML hands a picture's bytes on."""

    def __init__(self, classifier: BytesClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Float [1, in_channels, stored_side, stored_side] from 0 to 255 to probabilities."""
        return self.classifier.from_planes(images)


def _one_by_one(run: Runner) -> Runner:
    return lambda images: torch.cat([run(image[None]) for image in images])


@contextlib.contextmanager
def _conversion(format_name: str) -> Iterator[None]:
    """Whatever a converter raises, as our own: it has met something that it cannot express.

    Raises:
        ExportError: it has.
    """
    try:
        with _quiet():
            yield
    except OSError:  # a full disk is no fault of the network's
        raise
    except Exception as error:  # converters raise whatever they like
        raise _inexpressible(format_name, f"{type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines: Sequence[str] = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


def _inexpressible(format_name: str, found: str) -> ExportError:
    return ExportError(
        f"{_TITLES[format_name]} must be able to express every part of the network.",
        value=found,
        hint="Nothing was kept. Export another --format, such as onnx.",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without converters' progress, and their remarks on versions they were not tested with."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
