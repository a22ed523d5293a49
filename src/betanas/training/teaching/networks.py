"""Teachers as functions from images to outputs, whatever they are made of. Nothing of a teacher's is unpickled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from betanas.errors import BetanasError, MissingExtraError, RecipeError
from betanas.files import read_json
from betanas.models.architecture import build_network
from betanas.pretrained.timm_networks import is_timm, preprocessing, timm_network
from betanas.training.device import training_dtype
from betanas.training.files import read_tensors
from betanas.training.kept import NETWORK, SIDECAR
from betanas.training.teaching.naming import check_unchanged
from betanas.training.teaching.teacher import Teacher

# Images a call of an ONNX file whose batch may have any size.
_BATCH = 64


@dataclass(frozen=True)
class Look:
    """A teacher that is ready to look at images.

    Attributes:
        side: of its images, in pixels.
        answer: from images (floats from 0 to 255, shape [n, channels, side, side]) to outputs [n, outputs].
        logits: whether its outputs are logits of the classes to be learned; otherwise they are features.
    """

    side: int
    answer: Callable[[Tensor], Tensor]
    logits: bool


def open_teacher(teacher: Teacher, *, classes: tuple[str, ...], in_channels: int, device: torch.device) -> Look:
    """A teacher for images of certain classes and channels.

    Args:
        teacher: as planned.
        classes: that are to be learned, in label order.
        in_channels: of the images.
        device: to compute on; an ONNX file is computed on the processor.

    Raises:
        RecipeError: it is damaged, or for other images.
        MissingExtraError: a package that it needs is not installed.
    """
    check_unchanged(teacher)
    if is_timm(teacher.teacher):
        return _of_timm(teacher, in_channels=in_channels, device=device)
    path = Path(teacher.teacher)
    if path.is_dir():
        return _of_folder(path, classes=classes, in_channels=in_channels, device=device)
    return _of_onnx(path, num_classes=len(classes), in_channels=in_channels, otherwise=teacher.resolution)


def _of_timm(teacher: Teacher, *, in_channels: int, device: torch.device) -> Look:
    """Its features: the head is of ImageNet's classes."""
    expects = preprocessing(teacher.teacher)
    network = timm_network(teacher.teacher, num_classes=0, in_channels=in_channels, pretrained=True)
    mean, std = (torch.tensor(each, device=device) for each in (expects.mean, expects.std))
    if len(mean) != in_channels:
        mean, std = mean.mean().expand(in_channels), std.mean().expand(in_channels)
    return Look(teacher.resolution, _Standardised(network, 1 / (255 * std), -mean / std, device), logits=False)


def _of_folder(path: Path, *, classes: tuple[str, ...], in_channels: int, device: torch.device) -> Look:
    try:
        sidecar = read_json(path / SIDECAR)
        # With the training's weights, not with those that it began with.
        architecture = {name: value for name, value in sidecar["architecture"].items() if name != "pretrained"}
        scale, offset = (
            torch.tensor(sidecar[name], dtype=torch.float32, device=device) for name in ("scale", "offset")
        )
        channels, side, names = int(sidecar["in_channels"]), int(sidecar["resolution"]), tuple(sidecar["classes"])
        network = build_network(architecture)
        network.load_state_dict(read_tensors(path / NETWORK))
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        SafetensorError,
        BetanasError,
    ) as error:
        raise RecipeError(
            "A teacher's folder must hold a training that has ended, as betanas train leaves it.",
            value=str(path),
            hint=f"{type(error).__name__}: {error}",
        ) from error
    _check_channels(channels, in_channels, path)
    return Look(side, _Standardised(network, scale, offset, device), logits=names == classes)


def _of_onnx(path: Path, *, num_classes: int, in_channels: int, otherwise: int) -> Look:
    if find_spec("onnxruntime") is None:
        raise MissingExtraError("onnxruntime", extra="onnx", purpose="A teacher that is an ONNX file")
    import onnxruntime

    try:
        session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (entry,), (leaving, *_) = session.get_inputs(), session.get_outputs()
        octets = entry.type == "tensor(uint8)"
        batch, *shape = entry.shape
        channels, side = (shape[-1], shape[0]) if octets else (shape[0], shape[1])
        if len(shape) != 3 or len(leaving.shape) != 2 or not (octets or entry.type == "tensor(float)"):
            raise ValueError(f"{entry.type} of shape {entry.shape} to shape {leaving.shape}")
    except Exception as error:  # onnxruntime has a class of its own for each way to fail
        raise RecipeError(
            "A teacher's ONNX file must take a batch of images, and give a row of outputs for each.",
            value=str(path),
            hint=f"{' '.join(str(error).split())[:200]}. Floats of shape [batch, channels, side, side] with values "
            "from 0 to 1, or bytes of shape [batch, side, side, channels].",
        ) from error
    if isinstance(channels, int):
        _check_channels(channels, in_channels, path)
    each = batch if isinstance(batch, int) else _BATCH

    def answer(images: Tensor) -> Tensor:
        rows = []
        for some in torch.split(images.cpu(), each):
            missing = each - len(some) if isinstance(batch, int) else 0
            given = torch.cat([some, some[-1:].expand(missing, -1, -1, -1)]) if missing else some
            values = given.permute(0, 2, 3, 1).round().clamp(0, 255).byte() if octets else given / 255
            (found, *_) = session.run(None, {entry.name: values.contiguous().numpy()})
            rows.append(torch.from_numpy(found[: len(some)]).float())
        outputs = torch.cat(rows)
        # A network that ends in a softmax: its logits but for a constant.
        shares = bool((outputs >= 0).all()) and torch.allclose(outputs.sum(1), torch.ones(len(outputs)), atol=1e-3)
        return outputs.clamp(min=1e-8).log() if shares else outputs

    outputs = leaving.shape[1]
    logits = outputs == num_classes if isinstance(outputs, int) else False
    return Look(side if isinstance(side, int) else otherwise, answer, logits=logits)


def _check_channels(channels: int, in_channels: int, path: Path) -> None:
    if channels != in_channels:
        raise RecipeError(
            f"A teacher must take images of {in_channels} channels, as the training has.",
            value=f"{channels} in {path}",
        )


class _Standardised:
    """A network in evaluation mode behind the standardisation that it was trained with.

    It computes in bfloat16 where the device does so in hardware, with channels innermost: it has to be quick, and an
    answer needs no more digits.
    """

    def __init__(self, network: nn.Module, scale: Tensor, offset: Tensor, device: torch.device) -> None:
        prepared = network.eval().requires_grad_(False).to(device)
        self._network = prepared.to(memory_format=torch.channels_last)
        self._device = device.type
        self._fast = training_dtype("auto", device) == "bfloat16"
        self._scale = scale[:, None, None]
        self._offset = offset[:, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        inputs = torch.addcmul(self._offset, images, self._scale).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._fast):
            outputs: Tensor = self._network(inputs)
        return outputs.flatten(1).float()
