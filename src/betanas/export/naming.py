"""What the layers of a blueprint are called in generated source, and so in its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from betanas.blueprint import Blueprint, Layer
from betanas.export.sidecar import Sidecar


@dataclass(frozen=True)
class Stage:
    """Layers between two contractions.

    Attributes:
        name: of the attribute that holds them.
        first: number of the first layer in the blueprint.
        layers: one or more.
        side: of the feature map that enters, in pixels.
    """

    name: str
    first: int
    layers: tuple[Layer, ...]
    side: int


def stages(blueprint: Blueprint) -> tuple[Stage, ...]:
    """The layers after the first, divided before every contraction."""
    groups: list[list[Layer]] = []
    for layer in blueprint.layers[1:]:
        if layer.stride == 2 or not groups:
            groups.append([])
        groups[-1].append(layer)
    found, first = [], 1
    for number, group in enumerate(groups, start=1):
        side = blueprint.layers[first - 1].resolution
        found.append(Stage(f"stage{number}", first, tuple(group), side))
        first += len(group)
    return tuple(found)


def source_names(sidecar: Sidecar, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's weights under the names that its generated source gives them."""
    blueprint = sidecar.blueprint
    if blueprint is None:
        return {f"network.{name}": tensor for name, tensor in weights.items()}
    prefixes = {"layers.0.": "stem."}
    for stage in stages(blueprint):
        for place in range(len(stage.layers)):
            prefixes[f"layers.{stage.first + place}."] = f"{stage.name}.{place}."
    renamed = {}
    for name, tensor in weights.items():
        layer = ".".join(name.split(".")[:2]) + "."
        renamed[prefixes[layer] + name.removeprefix(layer) if layer in prefixes else name] = tensor
    return renamed
