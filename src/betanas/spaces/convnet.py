"""The space `convnet`: from plain convolutional networks over ResNet-like to EfficientNet-like ones.

Like a BetaNet it is continuous and self-similar: the number of contractions follows from the resolution, and the same
vector at a larger resolution gives a deeper and wider network of the same build. What a BetaNet fixes is a parameter
here: the stem's width, where the first contraction lies, plain convolutions beside the blocks, the activation,
squeeze-excitation, pooled contractions, and whether there are latent channels at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from betanas.blocks import Activation, cna, fmbc, mbc
from betanas.blueprint import BlueprintBatch, BoolArray, FloatArray, IntArray, LayerArrays
from betanas.spaces import construction
from betanas.spaces.base import ArraySpace, Range

# From the quickest to the one that is used most in searched networks; neighbours are alike.
ACTIVATIONS = (Activation.ReLU, Activation.ReLU6, Activation.Hardswish, Activation.SiLU)

# Latent channels below this part of the full width would be a bottleneck before the classifier, which no known network
# has: there are none then.
LEAST_LATENT = 0.5

_SHAPE = Range(-2.0, 2.0)
_SHARE = Range(0.0, 1.0)

# Four 3x3 convolutions to 16, 32, 64 and 128 channels at 32 pixels, each with a 2x2 max pool: `plain4`.
_PLAIN = {
    "k": 2.0, "K": 1.0, "first": 0.0, "Da": 0.0, "Db": 0.0, "stem": 16.0, "G0": 4.0, "Wa": 0.0, "Wb": 0.0, "G1": 0.0,
    "plain": 1.0, "fused": 0.0, "E0": 1.0, "E1": 1.0, "squeeze": 0.0, "S": 24.0, "activation": 0.5, "pooled": 1.0,
}  # fmt: skip


class ConvNet(ArraySpace):
    """18 parameters: plain, ResNet-like and EfficientNet-like networks, and what lies between them."""

    name: ClassVar[str] = "convnet"
    block_parameters: ClassVar[tuple[str, ...]] = ("squeeze", "S", "activation")
    domain: ClassVar[Mapping[str, Range]] = {
        "k": Range(0.01, 16.0),
        "K": Range(1.0, 20.0),
        "first": _SHARE,
        "Da": _SHAPE,
        "Db": _SHAPE,
        "stem": Range(1.0, 512.0),
        "G0": Range(0.05, 50.0),
        "Wa": _SHAPE,
        "Wb": _SHAPE,
        "G1": Range(0.0, 50.0),
        "plain": _SHARE,
        "fused": _SHARE,
        "E0": Range(0.25, 20.0),
        "E1": Range(0.25, 20.0),
        "squeeze": _SHARE,
        "S": Range(1.0, 100.0),
        "activation": Range(0.0, 4.0),
        "pooled": _SHARE,
    }
    meanings: ClassVar[Mapping[str, str]] = {
        "k": "log2 of the largest side allowed in the last feature map: fewer contractions where it is large",
        "K": "layers for each contraction",
        "first": "relative depth of the first contraction: 0 is the stem",
        "Da": "where the other contractions lie: early where it is small",
        "Db": "where the other contractions lie: early where it is large",
        "stem": "channels of the first layer",
        "G0": "channels of the last layer, for each pixel of the image's side",
        "Wa": "how the width grows at the contractions: early where it is small",
        "Wb": "how the width grows at the contractions: early where it is large",
        "G1": "latent channels before the average pool, in widths of the last layer; below 0.5 there are none",
        "plain": "share of the layers, from the image on, that are plain 3x3 convolutions",
        "fused": "share of the others, from there on, that are Fused-MBConv; the rest is MBConv",
        "E0": "expansion of the first layer",
        "E1": "expansion of the last layer",
        "squeeze": "share of the depth, from the end back, where MBConv has squeeze-excitation",
        "S": "hidden channels for each channel of the squeeze-excitation",
        "activation": "0 to 1 ReLU, to 2 ReLU6, to 3 Hardswish, to 4 SiLU",
        "pooled": "share of the depth, from the image on, where contractions are max pools instead of strides",
    }
    designs: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "plain": _PLAIN,
        # Two convolutions between contractions, and twice the channels at the start.
        "plain, deeper": _PLAIN | {"k": 3.0, "K": 2.0, "first": 0.2, "stem": 32.0},
        # ResNet20's stem, stages, widths and residuals; a block is a 3x3 and a 1x1 convolution, not two 3x3 ones.
        "resnet": _PLAIN | {"k": 3.5, "K": 5.0, "first": 0.42, "G0": 2.0, "plain": 0.0, "fused": 1.0, "pooled": 0.0},
        # MobileNetV2's blocks behind a stem that keeps the image's side.
        "mobilenet": _PLAIN
        | {"k": 3.0, "K": 3.0, "first": 0.3, "G0": 3.0, "plain": 0.0, "E0": 3.0, "E1": 6.0, "activation": 1.5,
           "pooled": 0.0},
        # EfficientNet-B0's strided stem of 32 channels, SiLU, squeeze-excitation, expansion 6 and latent channels.
        "efficientnet": _PLAIN
        | {"k": 3.0, "K": 3.45, "stem": 32.0, "G0": 320 / 224, "G1": 4.0, "plain": 0.0, "E0": 6.0, "E1": 6.0,
           "squeeze": 1.0, "activation": 3.5, "pooled": 0.0},
    }  # fmt: skip
    # docs/spaces.md gives the reason of each range.
    presets: ClassVar[Mapping[str, Mapping[str, Range]]] = {
        "default": {
            "k": Range(1.5, 4.0),
            "K": Range(1.0, 5.0),
            "first": Range(0.0, 0.5),
            "Da": Range(-0.5, 0.5),
            "Db": Range(-0.5, 0.5),
            "stem": Range(8.0, 64.0),
            "G0": Range(1.0, 6.0),
            "Wa": Range(-0.5, 0.5),
            "Wb": Range(-0.5, 0.5),
            "G1": Range(0.0, 4.0),
            "plain": _SHARE,
            "fused": _SHARE,
            "E0": Range(1.0, 6.0),
            "E1": Range(1.0, 6.0),
            "squeeze": _SHARE,
            "S": Range(4.0, 30.0),
            "activation": Range(0.0, 4.0),
            "pooled": _SHARE,
        }
    }

    def construct(
        self, columns: Mapping[str, FloatArray], resolution: int | IntArray, num_classes: int, in_channels: int
    ) -> BlueprintBatch:
        """See `ArraySpace.construct`; docs/spaces.md says the rules."""
        contractions = construction.count_contractions(columns["k"], resolution)
        depth = construction.count_layers(contractions, columns["K"])
        contraction = construction.place_layers(columns["Da"], columns["Db"], contractions, depth, columns["first"])
        present = np.arange(contraction.shape[1]) < depth[:, None]
        middle = construction.midpoint_depth(depth, contraction.shape[1])
        along = construction.relative_depth(depth, contraction.shape[1])
        into, out = _widths(columns, contraction, resolution, in_channels)

        def until(name: str) -> BoolArray:
            reached: BoolArray = middle < columns[name][:, None]
            return reached

        plain = until("plain")
        plain[:, 0] = True
        fused_until = columns["plain"] + (1.0 - columns["plain"]) * columns["fused"]
        mobile = ~plain & ~(middle < fused_until[:, None])
        expansion = columns["E0"][:, None] + (columns["E1"] - columns["E0"])[:, None] * along
        ratio = np.broadcast_to(columns["S"][:, None], middle.shape)
        hidden = np.where(plain, 0, np.maximum((into * expansion).astype(np.int64), 1))
        squeezed = mobile & (middle >= 1.0 - columns["squeeze"][:, None])
        residual = ~plain & ~contraction & (into == out)
        activation = np.array(ACTIVATIONS)[np.minimum(columns["activation"].astype(np.int64), len(ACTIVATIONS) - 1)]
        arrays = {
            "kind": np.where(plain, cna.KIND.code, np.where(mobile, mbc.KIND.code, fmbc.KIND.code)),
            "in_channels": into,
            "out_channels": out,
            "stride": np.where(contraction, 2, 1),
            "hidden": hidden,
            "squeeze": np.where(squeezed, np.maximum((hidden / ratio).astype(np.int64), 1), 0),
            "expansion": expansion,
            "se_ratio": ratio,
            "drop_path": np.where(residual, construction.drop_path(along), 0.0),
            "resolution": construction.contracted_sides_at(contraction, resolution),
            "activation": np.broadcast_to(activation[:, None], middle.shape),
            "pooled": contraction & until("pooled"),
        }
        latent = np.floor(columns["G1"] * columns["G0"] * resolution).astype(np.int64)
        return BlueprintBatch(
            resolution=resolution,
            in_channels=in_channels,
            num_classes=num_classes,
            layers=LayerArrays(**{name: np.where(present, values, 0) for name, values in arrays.items()}),
            depth=depth,
            latent=np.where(columns["G1"] < LEAST_LATENT, 0, np.maximum(latent, 1)),
        )


def _widths(
    columns: Mapping[str, FloatArray], contraction: BoolArray, resolution: int | IntArray, in_channels: int
) -> tuple[IntArray, IntArray]:
    """Channels into and out of every layer, shape [n, m] both.

    From the stem to the full width, which is not below the stem's, by equal factors: `Wa = Wb = 0` gives networks that
    double their width where they halve their side. The width changes at the contractions alone, the stem apart.
    """
    changes = contraction.copy()
    changes[:, 0] = False
    steps = np.cumsum(changes, axis=1) / np.maximum(changes.sum(axis=1), 1)[:, None]
    progress = construction.beta_cumulative(columns["Wa"], columns["Wb"], steps, changes)
    stem = np.floor(columns["stem"] + 0.5)
    growth = np.maximum(columns["G0"] * resolution, stem) / stem
    width = np.floor(stem[:, None] * growth[:, None] ** progress + 0.5).astype(np.int64)
    changes[:, 0] = True
    return construction.hold_widths(width, changes, in_channels)
