"""Spaces with other blocks: every network of a space without squeeze-excitation, and with one activation.

Squeeze-excitation and SiLU are what costs most outside large processors: a global average and two tiny convolutions in
the middle of a block, and an exponential for every value, neither of which 8-bit arithmetic or a phone's accelerator
does well. MobileNetV2 has neither, and ReLU6 bounds what its activations can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from betanas.blocks import BLOCKS, Activation, Blocks
from betanas.blueprint import Blueprint, BlueprintBatch, FloatArray

if TYPE_CHECKING:
    from betanas.spaces.base import SearchSpace


def with_activation(batch: BlueprintBatch, activation: Activation) -> BlueprintBatch:
    """The same networks without squeeze-excitation, and with one activation throughout."""
    layers = batch.layers
    chosen = np.where(batch.present, int(activation), 0)
    return replace(batch, layers=replace(layers, squeeze=np.zeros_like(layers.squeeze), activation=chosen))


@cache
def variant_of(space: type[SearchSpace], blocks: Blocks) -> type[SearchSpace]:
    """The class of a space's variant: the space itself in everything but the networks that its vectors describe.

    What the vectors decide of squeeze-excitation and activation alone (`SearchSpace.block_parameters`) is fixed at the
    middle of its ranges: there is nothing to search in it.
    """
    activation = BLOCKS[blocks]
    if activation is None:
        return space

    def blueprint(self: SearchSpace, vector: Mapping[str, float], **images: Any) -> Blueprint:
        return with_activation(BlueprintBatch.of([space.blueprint(self, vector, **images)]), activation)[0]

    def blueprints(self: SearchSpace, vectors: FloatArray, **images: Any) -> BlueprintBatch:
        return with_activation(space.blueprints(self, vectors, **images), activation)

    own = {
        "__doc__": f"{space.__doc__} Without squeeze-excitation, and with {activation.name} throughout.",
        "__module__": space.__module__,
        "ordinary": space,
        "blocks": blocks,
        "presets": {
            name: {
                parameter: searched.middle if parameter in space.block_parameters else searched
                for parameter, searched in ranges.items()
            }
            for name, ranges in space.presets.items()
        },
        "blueprint": blueprint,
        "blueprints": blueprints,
    }
    return type(space.__name__, (space,), own)
