"""A trained network with its standardisation inside: what every export is made of."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

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

    scale: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, sidecar: Sidecar) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", 255 * torch.tensor(sidecar.scale).view(-1, 1, 1))
        self.register_buffer("offset", torch.tensor(sidecar.offset).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.network(torch.addcmul(self.offset, images, self.scale))
        return logits


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
    network: nn.Module
    if isinstance(architecture, str):
        network = benchmark_network(architecture, num_classes=sidecar.num_classes, in_channels=sidecar.in_channels)
    else:
        network = build(architecture)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ExportError(
            "A network's weights must fit the architecture in the sidecar beside them.", value=str(weights)
        ) from error
    return ImageClassifier(network, sidecar).eval().requires_grad_(False)
