"""The ways to run a trained network: PyTorch as it is, compiled by torch.compile, and ONNX by onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from betanas.errors import DeviceError
from betanas.export.classifier import ImageClassifier
from betanas.export.formats import ONNX_FILE, require_onnx, write_onnx
from betanas.export.sidecar import Sidecar
from betanas.profiling.subject import Subject

RUNTIMES = ("eager", "compiled", "onnxruntime")

Call = Callable[[], object]


class NotMeasurableError(DeviceError):
    """This machine cannot run the network so; the rule says why."""


def prepare_call(runtime: str, subject: Subject, images: Tensor, threads: int) -> Call:
    """A call that runs a network on a batch.

    Args:
        runtime: one of `RUNTIMES`.
        subject: the network.
        images: floats of shape [batch, channels, side, side], on the device that is to run it.
        threads: of onnxruntime, which has its own; torch's are set already.

    Raises:
        NotMeasurableError: a compiler or onnxruntime's provider for the device is missing.
        MissingExtraError: onnxruntime or what exports to it is not installed.
    """
    network = subject.build().eval()
    if runtime == "onnxruntime":
        return _onnx_call(subject, network, images, threads)
    return torch_call(network.to(images.device), images, compiled=runtime == "compiled")


def torch_call(network: nn.Module, images: Tensor, *, compiled: bool) -> Call:
    """A call that runs a network in evaluation mode by torch, as it is or compiled.

    Raises:
        NotMeasurableError: a compiler is missing.
    """
    if compiled:
        torch.compiler.reset()  # what was compiled for another network would count as a recompilation of this one
        network.compile(dynamic=False)

    def call() -> object:
        with torch.inference_mode():
            return network(images)

    if compiled:
        try:
            call()
        except RuntimeError as error:  # torch has no narrower class for all that a compiler can be missing
            raise NotMeasurableError(f"torch.compile does not work here: {_first_line(error)}") from error
    return call


def _onnx_call(subject: Subject, network: Any, images: Tensor, threads: int) -> Call:
    require_onnx("Running a network by onnxruntime")
    import onnxruntime

    provider = "CUDAExecutionProvider" if images.device.type == "cuda" else "CPUExecutionProvider"
    if images.device.type == "mps" or provider not in onnxruntime.get_available_providers():
        raise NotMeasurableError(f"The onnxruntime that is installed has no provider for {images.device.type}.")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        sidecar = sidecar_of(subject)
        write_onnx(sidecar, ImageClassifier(network, sidecar), Path(folder))
        session: Any = onnxruntime.InferenceSession(
            str(Path(folder) / ONNX_FILE), sess_options=settings, providers=[provider]
        )
    (entry,), given = session.get_inputs(), images.cpu().numpy()
    if provider == "CPUExecutionProvider":
        return lambda: session.run(None, {entry.name: given})
    # Images and answers stay on the GPU, as torch's do.
    binding = session.io_binding()
    binding.bind_ortvalue_input(
        entry.name, onnxruntime.OrtValue.ortvalue_from_numpy(given, "cuda", images.device.index)
    )
    binding.bind_output(session.get_outputs()[0].name, "cuda", images.device.index)
    return lambda: session.run_with_iobinding(binding)


def sidecar_of(subject: Subject) -> Sidecar:
    """What an exporter asks of a trained network, for one that is not: pixel values enter it as they are."""
    return Sidecar(
        architecture=subject.architecture,
        classes=None,
        num_classes=subject.num_classes,
        in_channels=subject.in_channels,
        resolution=subject.resolution,
        stored_side=None,
        scale=(1 / 255,) * subject.in_channels,
        offset=(0.0,) * subject.in_channels,
        top1=None,
        test_top1=None,
        document={},
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
