"""What a trained network sees in image files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from betanas.data.decoding import UnreadableImageError, decode_image
from betanas.data.files import LARGEST_BYTES, sort_key
from betanas.data.names import list_names
from betanas.data.walking import find_images
from betanas.errors import DataError, DeviceError, ExportError
from betanas.export.classifier import find_sidecar, read_classifier
from betanas.export.formats import ONNX_FILE, onnx_runner
from betanas.export.quantisation import INT8_FILE
from betanas.export.samples import interleaved, scaled
from betanas.export.sidecar import Sidecar, read_classes, read_sidecar
from betanas.export.verification import Runner
from betanas.files import read_bytes
from betanas.training.device import resolve_device
from betanas.training.kept import NETWORK, SIDECAR

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """One class for an image.

    Attributes:
        name: of the class.
        index: its label.
        probability: that the network gives it.
    """

    name: str
    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network sees in one image.

    Attributes:
        image: its file.
        top: the likeliest classes, the likeliest first.
    """

    image: Path
    top: tuple[Choice, ...]


class Predictor:
    """A network that is loaded once and asked about any number of images.

    Args:
        model: a training's folder, an export's folder, or an `.onnx` file with its sidecar beside it.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; ONNX files run on the CPU.
        classes: names in label order, or a text file with one a line; by default those in the sidecar.

    Raises:
        ExportError: there is no such network.
        DeviceError: there is no such device.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        classes: str | Path | Sequence[str] | None = None,
    ) -> None:
        self.sidecar, self._probabilities = _open(Path(model), device)
        if classes is not None:
            names = read_classes(Path(classes)) if isinstance(classes, str | Path) else classes
            self.sidecar = self.sidecar.with_classes(names)

    def __call__(self, images: Iterable[str | Path], *, top: int = 5) -> tuple[Prediction, ...]:
        """The likeliest classes of every image.

        Args:
            images: files, or folders for all images in them; they are decoded as training decodes its own.
            top: how many classes, at most all.

        Raises:
            DataError: files cannot be read; all of them are named.
        """
        if top < 1:
            raise ExportError("The number of classes to name must be at least 1.", value=top)
        paths, predictions, wrong = list(_files(images)), [], []
        for batch in _batches(paths):
            pixels, unreadable = self._read(batch)
            wrong += unreadable
            if not wrong:  # an answer without some images is none; what is left is only looked at for more of them
                predictions += self._judge(batch, pixels, top)
        if wrong:
            raise DataError(
                "Every file must be an image that can be read.",
                value=list_names(wrong),
                hint="Leave them out, or repair them.",
            )
        return tuple(predictions)

    def _read(self, paths: Sequence[Path]) -> tuple[list[Tensor], list[str]]:
        side, channels = self.sidecar.side_to_decode, self.sidecar.in_channels
        pixels, unreadable = [], []
        for path in paths:
            try:
                pixels.append(
                    torch.from_numpy(
                        decode_image(read_bytes(path, limit=LARGEST_BYTES), side=side, channels=channels).copy()
                    )
                )
            except OSError as error:
                unreadable.append(f"{path} ({error.strerror or error})")
            except UnreadableImageError as error:
                unreadable.append(f"{path} ({error})")
        return pixels, unreadable

    def _judge(self, paths: Sequence[Path], pixels: Sequence[Tensor], top: int) -> list[Prediction]:
        with torch.inference_mode():
            probabilities = self._probabilities(torch.stack(list(pixels))).numpy()
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        names = self.sidecar.class_names
        return [
            Prediction(path, tuple(Choice(names[index], int(index), float(row[index])) for index in first))
            for path, row, first in zip(paths, probabilities, order, strict=True)
        ]


def predict(
    model: str | Path,
    images: Iterable[str | Path],
    *,
    top: int = 5,
    device: str = "auto",
    classes: str | Path | Sequence[str] | None = None,
) -> tuple[Prediction, ...]:
    """What a trained network sees in image files; `Predictor` loads it once for many calls.

    Args:
        model: a training's folder, an export's folder, or an `.onnx` file with its sidecar beside it.
        images: files, of any size and format that training reads.
        top: how many classes of each.
        device: as in `Predictor`.
        classes: as in `Predictor`.

    Raises:
        ExportError: there is no such network.
        DataError: files cannot be read; all of them are named.
        DeviceError: there is no such device.
    """
    return Predictor(model, device=device, classes=classes)(images, top=top)


def _open(model: Path, device: str) -> tuple[Sidecar, Runner]:
    """The sidecar, and what gives probabilities for decoded images, uint8 [n, channels, side, side]."""
    if model.is_file():
        if model.suffix != ".onnx":
            raise ExportError(
                "A model must be a training's folder, an export's folder, or an .onnx file.", value=str(model)
            )
        beside = model.with_name(SIDECAR) if model.name == INT8_FILE else model.with_suffix(".json")
        return _open_onnx(model, beside, device)
    path = find_sidecar(model)
    if (model / NETWORK).is_file():
        sidecar, chosen = read_sidecar(path), resolve_device(device)
        return sidecar, _from_logits(sidecar, read_classifier(sidecar, model / NETWORK).to(chosen), chosen)
    for graph in (ONNX_FILE, INT8_FILE):
        if (model / graph).is_file():
            return _open_onnx(model / graph, path, device)
    # torch.export's programs are read by pickle, which runs what it reads, and source is code: neither is opened here.
    raise ExportError(
        f"An export that predicts must hold {NETWORK}, {ONNX_FILE} or {INT8_FILE}.",
        value=str(model),
        hint="Export it with --format safetensors; a folder of source predicts by itself: python network.py IMAGE.",
    )


def _open_onnx(path: Path, sidecar_path: Path, device: str) -> tuple[Sidecar, Runner]:
    if device not in ("auto", "cpu"):
        raise DeviceError("An ONNX file runs on the CPU.", value=device, hint="Leave --device out.")
    if not sidecar_path.is_file():
        raise ExportError(
            "An .onnx file must have the sidecar beside it that it was exported with.",
            value=str(path),
            hint=f"Copy {sidecar_path.name} to {path.parent} too.",
        )
    sidecar, graph = read_sidecar(sidecar_path), onnx_runner(path)
    channels, side = sidecar.in_channels, sidecar.side_to_decode if graph.takes_bytes else sidecar.resolution
    wanted = (side, side, channels) if graph.takes_bytes else (channels, side, side)
    if graph.shape != wanted:
        raise ExportError(
            f"An .onnx file must take images of the shape that its sidecar says, {list(wanted)}.",
            value=f"{list(graph.shape)} in {path}",
            hint=f"Give it the {sidecar_path.name} that it was exported with.",
        )
    if graph.takes_bytes:
        return sidecar, lambda planes: graph(interleaved(planes))
    return sidecar, _from_logits(sidecar, graph, torch.device("cpu"))


def _from_logits(sidecar: Sidecar, run: Runner, device: torch.device) -> Runner:
    return lambda planes: run(scaled(planes, sidecar.resolution).to(device)).float().cpu().softmax(dim=1)


def _files(images: Iterable[str | Path]) -> Iterator[Path]:
    """Image files, those of folders included, in an order that does not depend on the machine.

    Raises:
        DataError: a folder has none.
    """
    for path in map(Path, images):
        if not path.is_dir():
            yield path
            continue
        found = find_images(path, path).images
        if not found:
            raise DataError("A folder of images to look at must hold some.", value=str(path))
        yield from sorted((path / image.path for image in found), key=lambda each: sort_key(str(each)))


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    left = iter(paths)
    while batch := list(islice(left, _BATCH)):
        yield batch
