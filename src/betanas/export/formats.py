"""The forms a network is written in. Each writer gives back a function that runs what it has written, to be checked."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from betanas.errors import ExportError
from betanas.export.classifier import Exportable, ImageClassifier, read_classifier
from betanas.export.naming import source_names
from betanas.export.sidecar import Sidecar
from betanas.export.source_code import source_code
from betanas.export.verification import Runner
from betanas.extras import missing, require
from betanas.training.files import write_tensors
from betanas.training.kept import NETWORK
from betanas.userfile import run_user_file

ONNX_FILE = "network.onnx"
PROGRAM_FILE = "network.pt2"
SOURCE_FOLDER, SOURCE_FILE, CLASSES_FILE = "source", "network.py", "classes.json"

INPUT = "images"

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

# torch.export takes 0 and 1 for special; the example's batch must be neither.
_EXAMPLE_BATCH = 2


def write_safetensors(sidecar: Sidecar, classifier: ImageClassifier, folder: Path) -> Runner:
    """The weights alone, by the names that BetaNAS gives them."""
    write_tensors(folder / NETWORK, classifier.network.state_dict())
    return read_classifier(sidecar, folder / NETWORK)


def write_program(sidecar: Sidecar, classifier: Exportable, folder: Path) -> Runner:
    """A program of torch.export with a batch of any size, standardisation inside."""
    # By way of memory: on a full disk torch's own writer ends the whole process.
    program = io.BytesIO()
    torch.export.save(_batched(classifier), program)
    (folder / PROGRAM_FILE).write_bytes(program.getvalue())
    loaded: Runner = torch.export.load(folder / PROGRAM_FILE).module()
    return loaded


def write_onnx(sidecar: Sidecar, classifier: Exportable, folder: Path) -> Runner:
    """An ONNX graph with a batch of any size, standardisation inside.

    Raises:
        MissingExtraError: a package that it needs is not installed.
    """
    require_onnx()
    exported = torch.onnx.export(
        _batched(classifier),
        input_names=[INPUT],
        output_names=[classifier.output],
        dynamic_shapes={INPUT: {0: "batch"}},
        external_data=False,
        verbose=False,
    )
    assert exported is not None  # noqa: S101 - so it is with dynamo: narrows the type
    exported.save(str(folder / ONNX_FILE))
    return onnx_runner(folder / ONNX_FILE)


def write_source(sidecar: Sidecar, classifier: ImageClassifier, folder: Path) -> Runner:
    """A folder of plain torch and torchvision: the network's code, its weights and its classes."""
    home = folder / SOURCE_FOLDER
    home.mkdir()
    (home / SOURCE_FILE).write_text(source_code(sidecar), encoding="utf-8")
    names = json.dumps(list(sidecar.class_names), ensure_ascii=False, indent=2)
    (home / CLASSES_FILE).write_text(names + "\n", encoding="utf-8")
    write_tensors(home / NETWORK, source_names(sidecar, classifier.network.state_dict()))
    module = run_user_file(home / SOURCE_FILE, kind="The generated source", error=ExportError)
    shutil.rmtree(home / "__pycache__", ignore_errors=True)
    loaded: Runner = module.load()
    return loaded


def onnx_is_installed() -> bool:
    """Whether everything is there that writes and checks an ONNX graph."""
    return not missing(_ONNX_PACKAGES)


def require_onnx(purpose: str = "Exporting to ONNX", packages: Sequence[str] = _ONNX_PACKAGES) -> None:
    """Refuse early where ONNX's packages are not installed.

    Raises:
        MissingExtraError: one is not.
    """
    require(packages, extra="onnx", purpose=purpose)


@dataclass(frozen=True, eq=False)
class Graph:
    """An ONNX graph, ready to run on the CPU.

    Attributes:
        session: of onnxruntime.
        name: of its input.
        shape: of one image.
        takes_bytes: whether preprocessing is inside; it then gives probabilities, not logits.
    """

    session: Any
    name: str
    shape: tuple[int, ...]
    takes_bytes: bool

    def __call__(self, images: Tensor) -> Tensor:
        """Images to logits or probabilities."""
        (found,) = self.session.run(None, {self.name: images.numpy()})
        return torch.from_numpy(found)


def onnx_runner(path: Path) -> Graph:
    """Runs an ONNX graph on the CPU.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ExportError: the file is not such a graph.
    """
    require_onnx("Running an ONNX file", ("onnxruntime",))
    import onnxruntime

    try:
        session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common class but this
        raise ExportError("An ONNX file must be one that onnxruntime can load.", value=str(path)) from error
    (entry,) = session.get_inputs()
    return Graph(session, entry.name, tuple(entry.shape[1:]), takes_bytes=entry.type == "tensor(uint8)")


def program(module: nn.Module, example: Tensor, **settings: Any) -> torch.export.ExportedProgram:
    """What torch.export makes of a module, without the paths of this machine."""
    exported = torch.export.export(module.eval(), (example,), strict=False, **settings)
    for node in exported.graph.nodes:  # what is written from it would inherit them
        node.meta.pop("stack_trace", None)
    return exported


def _batched(classifier: Exportable) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    return program(classifier, classifier.example(_EXAMPLE_BATCH), dynamic_shapes={INPUT: {0: batch}})
