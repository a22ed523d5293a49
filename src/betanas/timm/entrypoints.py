"""One timm entry point for each network of the library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from betanas.library import LibraryNetwork, library_networks
from betanas.timm.network import TimmNetwork


def model_names() -> tuple[str, ...]:
    """The names that `timm.create_model` knows from here."""
    return tuple(default_cfgs)


def _default_cfg(network: LibraryNetwork) -> dict[str, Any]:
    blueprint, weights = network.blueprint, network.weights
    last = blueprint.layers[-1].resolution
    cfg: dict[str, Any] = {
        "url": "",
        "num_classes": blueprint.num_classes,
        "input_size": (blueprint.in_channels, blueprint.resolution, blueprint.resolution),
        "pool_size": (last, last),
        # As betanas.data decodes: the short side is scaled and the centre of the long side is kept.
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": weights.mean if weights else IMAGENET_DEFAULT_MEAN,
        "std": weights.std if weights else IMAGENET_DEFAULT_STD,
        "first_conv": "layers.0.0",
        "classifier": "classifier",
        "license": "apache-2.0",
        "description": network.found,
    }
    if weights:
        cfg |= {"file": str(weights.path), "label_names": weights.classes}
    return cfg


def _entry_point(network: LibraryNetwork) -> Callable[..., Any]:
    def create(pretrained: bool = False, **kwargs: Any) -> Any:
        return build_model_with_cfg(
            partial(TimmNetwork, network.blueprint),
            network.name,
            pretrained,
            feature_cfg={"flatten_sequential": True, "out_indices": _every_map(network)},
            **kwargs,
        )

    # timm's registry goes by the function's name.
    create.__name__ = create.__qualname__ = network.name
    create.__doc__ = f"{network.name}: {network.found}."
    return create


def _every_map(network: LibraryNetwork) -> tuple[int, ...]:
    """Indices of all feature maps: how many there are depends on the resolution, where timm's default is five."""
    return tuple(range(len({layer.resolution for layer in network.blueprint.layers})))


# timm's `register_model` reads this module's `default_cfgs` and lists the models in its `__all__`.
default_cfgs = generate_default_cfgs({name: _default_cfg(network) for name, network in library_networks().items()})
__all__ = ["default_cfgs", "model_names"]

for _network in library_networks().values():
    register_model(_entry_point(_network))
