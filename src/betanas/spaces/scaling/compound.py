"""EfficientNet's compound scaling of a found blueprint: depth, width and resolution grow together."""

from __future__ import annotations

import math

import numpy as np

from betanas.blueprint import KINDS, BlueprintBatch, BoolArray, FloatArray, IntArray
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

        out = _scaled(found.channels_out[0, source], width)
        into = np.concatenate([[found.in_channels], out[:-1]])
        kind = found.kind[0, source]
        hidden_before = found.hidden[0, source]
        # By input channels, not by width: a repeated layer has its stage's channels, where the layer that it repeats
        # may be the one that changes them.
        wider = into / found.channels_in[0, source]
        hidden = np.where(kind == KINDS.index("CNA"), 0, _scaled(hidden_before, wider))
        squeeze = np.where(
            kind == KINDS.index("MBC"), _scaled(found.squeeze[0, source], hidden / np.maximum(hidden_before, 1)), 0
        )
        stride = np.where(first, found.stride[0, source], 1)
        residual = (kind != KINDS.index("CNA")) & (stride == 1) & (into == out)
        drop = np.where(first, found.drop_path[0, source], np.maximum.accumulate(found.drop_path[0, source]))
        return BlueprintBatch(
            resolution=resolution,
            in_channels=found.in_channels,
            num_classes=found.num_classes,
            present=np.ones((1, len(source)), dtype=np.bool_),
            kind=kind[None],
            channels_in=into[None],
            channels_out=out[None],
            stride=stride[None],
            hidden=hidden[None],
            squeeze=squeeze[None],
            side=contracted_sides_at(stride[None] == 2, resolution),
            expansion=found.expansion[:, source],
            se_ratio=found.se_ratio[:, source],
            drop_path=np.where(residual, drop, 0.0)[None],
            depth=np.array([len(source)], dtype=np.int64),
            latent=_scaled(found.latent, width),
        )

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
    kind = batch.kind[0, :depth]
    begins = (batch.stride[0, :depth] == 2) | (batch.channels_in[0, :depth] != batch.channels_out[0, :depth])
    begins[1:] |= kind[1:] != kind[:-1]
    begins[:2] = True
    starts = np.nonzero(begins)[0]
    return [(int(start), int(length)) for start, length in zip(starts, np.diff([*starts, depth]), strict=True)]


def _scaled(values: IntArray | FloatArray, factor: float | FloatArray) -> IntArray:
    """Rounded half up, so that growing never makes two unequal numbers equal, and never below 1."""
    return np.maximum(np.floor(values * factor + 0.5).astype(np.int64), 1)
