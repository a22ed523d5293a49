"""EfficientNet's compound scaling of a found blueprint: depth, width and resolution grow together."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np

from betanas.blueprint import BlueprintBatch, BoolArray, FloatArray, IntArray
from betanas.spaces.construction import contracted_sides_at
from betanas.spaces.scaling.rules import Knobs, Origin, ScalingRule


class Compound(ScalingRule):
    """alpha**phi times the layers, beta**phi times the channels, gamma**phi times the side (Tan and Le, 2019).

    The resolution decides phi = log(R/R0) / log(gamma). Each stage (a layer that changes the side, the channels or the
    kind, with the equal ones after it) has ceil(alpha**phi * n) layers; the head is not repeated. Channels are rounded
    to the nearest whole number, not to multiples of 8, so that phi = 0 gives the found network itself.
    """

    name = "compound"
    summary = "EfficientNet's alpha, beta, gamma and phi on the found network"

    def __init__(self, origin: Origin, knobs: Knobs) -> None:
        super().__init__(origin, knobs)
        self._found = origin.batch(origin.space.to_array([origin.vector]), origin.resolution)
        self._stages = _stages(self._found)
        self.settings = {"alpha": knobs.alpha, "beta": knobs.beta, "gamma": knobs.gamma}

    def batch(self, resolution: int) -> BlueprintBatch:
        """The network at a resolution, as a batch of one."""
        found = self._found
        phi = math.log(resolution / self.origin.resolution) / math.log(self.settings["gamma"])
        source, first = self._layers(self.settings["alpha"] ** phi)
        width = self.settings["beta"] ** phi

        layers = found.layers
        out = _scaled(layers.out_channels[0, source], width)
        into = np.concatenate([[found.in_channels], out[:-1]])
        hidden_before, squeeze_before = layers.hidden[0, source], layers.squeeze[0, source]
        # By input channels, not by width: a repeated layer has its stage's channels, where the layer that it repeats
        # may be the one that changes them.
        wider = into / layers.in_channels[0, source]
        hidden = np.where(hidden_before > 0, _scaled(hidden_before, wider), 0)
        more_hidden = hidden / np.maximum(hidden_before, 1)
        stride = np.where(first, layers.stride[0, source], 1)
        scaled = replace(
            layers,
            **{field.name: getattr(layers, field.name)[:, source] for field in fields(layers)}
            | {
                "in_channels": into[None],
                "out_channels": out[None],
                "stride": stride[None],
                "hidden": hidden[None],
                "squeeze": np.where(squeeze_before > 0, _scaled(squeeze_before, more_hidden), 0)[None],
                "resolution": contracted_sides_at(stride[None] == 2, resolution),
                "pooled": layers.pooled[:, source] & first,
            },
        )
        batch = replace(
            found,
            resolution=resolution,
            layers=scaled,
            depth=np.array([len(source)], dtype=np.int64),
            latent=np.where(found.latent > 0, _scaled(found.latent, width), 0),
        )
        drop = np.where(first, layers.drop_path[0, source], np.maximum.accumulate(layers.drop_path[0, source]))
        return replace(batch, layers=replace(scaled, drop_path=np.where(batch.residual, drop, 0.0)))

    def _layers(self, depth: float) -> tuple[IntArray, BoolArray]:
        """Which found layer each layer is made after, and whether it is the one that begins its stage."""
        source, first = [], []
        for start, length in self._stages:
            # Less the noise of a power near a whole number, which would add a layer at phi = 0.
            count = 1 if start == 0 else max(math.ceil(depth * length - 1e-9), 1)
            source += [start + place * length // count for place in range(count)]
            first += [place == 0 for place in range(count)]
        return np.array(source, dtype=np.int64), np.array(first, dtype=np.bool_)


def _stages(batch: BlueprintBatch) -> list[tuple[int, int]]:
    """First layer and length of every stage of the batch's only network; the head is one of its own."""
    depth = int(batch.depth[0])
    layers, kind = batch.layers, batch.layers.kind[0, :depth]
    begins = (layers.stride[0, :depth] == 2) | (layers.in_channels[0, :depth] != layers.out_channels[0, :depth])
    begins[1:] |= kind[1:] != kind[:-1]
    begins[:2] = True
    starts = np.nonzero(begins)[0]
    return [(int(start), int(length)) for start, length in zip(starts, np.diff([*starts, depth]), strict=True)]


def _scaled(values: IntArray | FloatArray, factor: float | FloatArray) -> IntArray:
    """Rounded half up, so that growing never makes two unequal numbers equal, and never below 1."""
    return np.maximum(np.floor(values * factor + 0.5).astype(np.int64), 1)
