"""A trained network with its standardisation inside: what every export is made of."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from betanas.blueprint import Blueprint
from betanas.errors import ExportError
from betanas.export.sidecar import Sidecar, read_sidecar
from betanas.models import benchmark_network, build
from betanas.training.files import read_tensors
from betanas.training.kept import NETWORK, SIDECAR


class ImageClassifier(nn.Module):
    """Images with values in [0, 1] to logits.

    The standardisation is inside: nobody can forget it, or use another network's constants.

    Shapes: float images [batch, in_channels, resolution, resolution] -> logits [batch, num_classes].
    """

    output = "logits"

    scale: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, sidecar: Sidecar) -> None:
        super().__init__()
        self.network = network
        self._shape = (sidecar.in_channels, sidecar.resolution, sidecar.resolution)
        self.register_buffer("scale", 255 * torch.tensor(sidecar.scale).view(-1, 1, 1))
        self.register_buffer("offset", torch.tensor(sidecar.offset).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.network(images * self.scale + self.offset)
        return logits

    def example(self, batch: int) -> Tensor:
        """Images of the right shape."""
        return torch.rand(batch, *self._shape)


class BytesClassifier(nn.Module):
    """Bytes to probabilities: what follows decoding is inside, so that an app computes what was measured.

    Inside are channel order, the scaling from the decoded side to the network's resolution (antialiased, the weights
    that training's `resize` has), the standardisation and the softmax.

    Shapes: uint8 images [batch, stored_side, stored_side, in_channels], rows from the top, RGB or grey ->
    probabilities [batch, num_classes].
    """

    output = "probabilities"

    weights: Tensor | None

    def __init__(self, classifier: ImageClassifier, sidecar: Sidecar) -> None:
        super().__init__()
        self.classifier = classifier
        self._shape = (sidecar.side_to_decode, sidecar.side_to_decode, sidecar.in_channels)
        self.register_buffer("weights", resize_weights(sidecar))

    def forward(self, images: Tensor) -> Tensor:
        """Bytes to probabilities."""
        return self.from_planes(images.permute(0, 3, 1, 2).to(torch.float32))

    def from_planes(self, planes: Tensor) -> Tensor:
        """The same from float [batch, in_channels, stored_side, stored_side], values from 0 to 255."""
        if self.weights is not None:
            planes = self.weights @ planes @ self.weights.T
        probabilities: Tensor = self.classifier(planes / 255).softmax(dim=1)
        return probabilities

    def example(self, batch: int) -> Tensor:
        """Images of the right shape."""
        return torch.randint(0, 256, (batch, *self._shape), dtype=torch.uint8)


Exportable = ImageClassifier | BytesClassifier


def resize_weights(sidecar: Sidecar) -> Tensor | None:
    """What scales one axis from the decoded side to the resolution, shape [resolution, stored_side].

    None where the sides are equal. Resizing is linear and separable, so two matrix products do it in any runtime, also
    in those that have no antialiased resize of their own.
    """
    side, size = sidecar.side_to_decode, sidecar.resolution
    if side == size:
        return None
    return functional.interpolate(torch.eye(side)[None, None], size=(size, side), mode="bilinear", antialias=True)[0, 0]


def load_classifier(folder: str | Path, *, device: torch.device | str = "cpu") -> ImageClassifier:
    """The network in a training's or an export's folder, with its weights, ready to predict.

    Args:
        folder: that `betanas train` or `betanas export --format safetensors` made.
        device: to put it on.

    Raises:
        ExportError: there is no finished network in it, or its files do not belong together.
    """
    sidecar = read_sidecar(find_sidecar(Path(folder)))
    return read_classifier(sidecar, Path(folder) / NETWORK).to(device)


def find_sidecar(folder: Path) -> Path:
    """The sidecar in a network's folder.

    Raises:
        ExportError: there is none, and why that may be.
    """
    if (folder / SIDECAR).is_file():
        return folder / SIDECAR
    if (folder / "plan.json").is_file():
        raise ExportError(
            "A training must have ended before its network can be used.",
            value=str(folder),
            hint="Type its betanas train command again: it goes on where it was.",
        )
    raise ExportError(
        "A trained network must be a folder that betanas train or betanas export has made.",
        value=str(folder),
        hint="Train one: betanas train NETWORK --data DATA --folder FOLDER.",
    )


def read_classifier(sidecar: Sidecar, weights: Path) -> ImageClassifier:
    """The network that a sidecar describes, with weights from a file, in evaluation mode on the CPU.

    Raises:
        ExportError: the weights are missing, damaged, or another network's.
    """
    try:
        tensors = read_tensors(weights)
    except (OSError, SafetensorError) as error:
        raise ExportError(
            "A network's weights must be a readable safetensors file.", value=str(weights), hint=f"{error}."
        ) from error
    architecture = sidecar.architecture
    if isinstance(architecture, Blueprint) and architecture.num_params > sum(each.numel() for each in tensors.values()):
        raise _misfit(weights)  # before memory is taken for a network that the file cannot fill
    network: nn.Module
    if isinstance(architecture, str):
        network = benchmark_network(architecture, num_classes=sidecar.num_classes, in_channels=sidecar.in_channels)
    else:
        network = build(architecture)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise _misfit(weights) from error
    return ImageClassifier(network, sidecar).eval().requires_grad_(False)


def _misfit(weights: Path) -> ExportError:
    return ExportError("A network's weights must fit the architecture in the sidecar beside them.", value=str(weights))
