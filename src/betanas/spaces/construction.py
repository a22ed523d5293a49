"""How a BetaNet is constructed from its parameters (`betanet.md`, section 3), for many vectors at once.

Everything here works on arrays whose first axis runs over vectors. Padding lies at the end of the second axis.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaincinv

from betanas.blocks import cna, fmbc, mbc
from betanas.blueprint import BlueprintBatch, BoolArray, FloatArray, IntArray, LayerArrays

# Stochastic depth's drop probability at the first and the last layer (Table 2 of the report, SDP0 and SDP1).
FIRST_DROP_PATH = 0.0
LAST_DROP_PATH = 0.2

# Subtracted before the ceil, so that a quantile that lands on a layer up to floating-point noise takes that layer.
_CLAIM_SLACK = 1e-9


def contracted_sides(resolution: int | IntArray, contractions: IntArray) -> IntArray:
    """Side of an image's feature map after a number of contractions, ceil(R / 2**contractions): at least one pixel.

    Args:
        resolution: R, one for all or shape [n].
        contractions: shape [n or 1, m], as the answer's is [n, m].
    """
    # A right shift rounds down, so that of the negative rounds up.
    sides: IntArray = -(-np.reshape(resolution, (-1, 1)) >> contractions)
    return sides


def count_contractions(k: FloatArray, resolution: int | IntArray) -> IntArray:
    """L: the contractions until the side is below 2**k; at least one, the head's. Shape [n]."""
    sides = contracted_sides(resolution, np.arange(int(np.max(resolution)).bit_length())[None])
    above: IntArray = (sides >= np.exp2(k)[:, None]).sum(axis=1)
    return np.maximum(above, 1)


def count_layers(contractions: IntArray, layers_per_contraction: FloatArray) -> IntArray:
    """N = int(K * L), and room for every contraction. Shape [n]."""
    return np.maximum((layers_per_contraction * contractions).astype(np.int64), contractions)


def relative_depth(depth: IntArray, width: int) -> FloatArray:
    """i/(N-1) for every layer, 0 where N = 1. Shape [n, width]; beyond a network's last layer it exceeds 1."""
    return np.arange(width) / np.maximum(depth - 1, 1)[:, None]


def drop_path(along: FloatArray) -> FloatArray:
    """Stochastic depth's drop probability of layers at a relative depth (section 3, rule 8)."""
    return FIRST_DROP_PATH + (LAST_DROP_PATH - FIRST_DROP_PATH) * along


def midpoint_depth(depth: IntArray, width: int) -> FloatArray:
    """(i+0.5)/N for every layer. Shape [n, width]."""
    return (np.arange(width) + 0.5) / depth[:, None]


def beta_quantile(a: FloatArray, b: FloatArray, q: FloatArray) -> FloatArray:
    """The quantile function of Beta(10**a, 10**b) at q. Shapes [n], [n], [n, m] -> [n, m]."""
    return np.asarray(betaincinv(np.power(10.0, a)[:, None], np.power(10.0, b)[:, None], q))


def beta_cumulative(a: FloatArray, b: FloatArray, x: FloatArray, where: BoolArray) -> FloatArray:
    """The cumulative function of Beta(10**a, 10**b) at x, and 0 outside `where`: most layers need no value.

    Shapes [n], [n], [n, m], [n, m] -> [n, m].
    """
    row, column = np.nonzero(where)
    values = np.zeros(x.shape)
    values[row, column] = betainc(np.power(10.0, a)[row], np.power(10.0, b)[row], x[row, column])
    return values


def place_layers(
    a: FloatArray, b: FloatArray, count: IntArray, depth: IntArray, first: FloatArray | float = 0.0
) -> BoolArray:
    """Choose `count` of `depth` layers by the quantiles of Beta(10**a, 10**b) (section 3, rule 4).

    Each quantile s/L wants the first layer at or beyond it. Claims come in ascending order, so a claim on a taken
    layer moves to the layer after the previous one; claims that run past the end fill the free layers before it,
    nearest first, which bounds the s-th chosen layer by N - L + s.

    Args:
        a: log10 of the distribution's first shape parameter, shape [n].
        b: log10 of its second, shape [n].
        count: L, how many layers to choose, shape [n].
        depth: N, how many there are, shape [n]; never less than `count`.
        first: the relative depth at which the first quantile lies, the others between it and the end; shape [n].

    Returns:
        Shape [n, max(depth)], true at the chosen layers. Layer 0 always is where `first` is 0.
    """
    rows, slots = len(depth), int(count.max())
    slot = np.arange(slots)
    quantile = np.minimum(slot / count[:, None], 1.0)
    start = np.reshape(first, (-1, 1))
    along = start + (1.0 - start) * beta_quantile(a, b, quantile)
    claim = np.ceil(along * (depth - 1)[:, None] - _CLAIM_SLACK).astype(np.int64)
    # Placing claim c_s at max(c_s, p_(s-1) + 1) is a running maximum of c_s - s.
    position = np.maximum.accumulate(claim - slot, axis=1) + slot
    position = np.minimum(position, (depth - count)[:, None] + slot)
    chosen = np.zeros((rows, int(depth.max())), dtype=np.bool_)
    row, column = np.nonzero(slot < count[:, None])
    chosen[row, position[row, column]] = True
    return chosen


def hold_widths(width_at: IntArray, changes: BoolArray, in_channels: int) -> tuple[IntArray, IntArray]:
    """Channels into and out of every layer, where only the layers in `changes` take their width.

    Args:
        width_at: the width a layer would take, shape [n, m].
        changes: whether it takes it, shape [n, m]; the others keep their input's.
        in_channels: channels of the image.
    """
    rows, columns = width_at.shape
    latest = np.maximum.accumulate(np.where(changes, np.arange(columns), -1), axis=1)
    held = np.take_along_axis(width_at, np.maximum(latest, 0), axis=1)
    out = np.where(latest >= 0, held, in_channels)
    image = np.full((rows, 1), in_channels, dtype=np.int64)
    return np.concatenate([image, out[:, :-1]], axis=1), out


def interpolate_widths(progress: FloatArray, full_width: FloatArray, in_channels: int) -> IntArray:
    """int(C + (G0*R - C) * progress): truncated, not rounded, and never below one channel."""
    width = in_channels + (full_width[:, None] - in_channels) * progress
    return np.maximum(width.astype(np.int64), 1)


def assemble(
    *,
    resolution: int | IntArray,
    in_channels: int,
    num_classes: int,
    depth: IntArray,
    contraction: BoolArray,
    channels_in: IntArray,
    channels_out: IntArray,
    latent: IntArray,
    fused_until: FloatArray,
    expansion: tuple[FloatArray, FloatArray],
    se_ratio: tuple[FloatArray, FloatArray],
) -> BlueprintBatch:
    """Rules 6 to 8: kinds, expansion, squeeze-excitation and stochastic depth on layers whose widths are known.

    Args:
        resolution: side of the image, in pixels: one for all, or shape [n].
        in_channels: channels of the image.
        num_classes: classes to tell apart.
        depth: N, shape [n].
        contraction: whether a layer has stride 2, shape [n, m].
        channels_in: input channels of every layer, shape [n, m].
        channels_out: output channels of every layer, shape [n, m].
        latent: channels before the classifier, shape [n].
        fused_until: B, the depth at which FMBC gives way to MBC, shape [n].
        expansion: first and last layer's expansion ratio, shape [n] each.
        se_ratio: first and last layer's squeeze-excitation bottleneck ratio, shape [n] each.
    """
    width = contraction.shape[1]
    present = np.arange(width) < depth[:, None]
    along = relative_depth(depth, width)

    def ramp(first_and_last: tuple[FloatArray, FloatArray]) -> FloatArray:
        first, last = first_and_last
        return np.where(present, first[:, None] + (last - first)[:, None] * along, 0.0)

    kind = np.where(midpoint_depth(depth, width) < fused_until[:, None], fmbc.KIND.code, mbc.KIND.code)
    kind[:, 0] = cna.KIND.code
    plain = kind == cna.KIND.code
    expansions, se_ratios = ramp(expansion), ramp(se_ratio)
    hidden = np.where(plain, 0, np.maximum((channels_in * expansions).astype(np.int64), 1))
    squeezes = kind == mbc.KIND.code
    squeeze = np.where(squeezes, np.maximum((hidden / np.where(present, se_ratios, 1.0)).astype(np.int64), 1), 0)
    residual = ~plain & ~contraction & (channels_in == channels_out)
    drops = np.where(residual, drop_path(along), 0.0)

    def masked(values: IntArray) -> IntArray:
        return np.where(present, values, 0)

    return BlueprintBatch(
        resolution=resolution,
        in_channels=in_channels,
        num_classes=num_classes,
        layers=LayerArrays(
            kind=masked(kind.astype(np.int64)),
            in_channels=masked(channels_in),
            out_channels=masked(channels_out),
            stride=masked(np.where(contraction, 2, 1)),
            hidden=masked(hidden),
            squeeze=masked(squeeze),
            expansion=expansions,
            se_ratio=se_ratios,
            drop_path=np.where(present, drops, 0.0),
            resolution=masked(contracted_sides_at(contraction, resolution)),
            activation=np.zeros(kind.shape, dtype=np.int64),
            pooled=np.zeros(kind.shape, dtype=np.bool_),
        ),
        depth=depth,
        latent=latent,
    )


def contracted_sides_at(contraction: BoolArray, resolution: int | IntArray) -> IntArray:
    """Side of every layer's output: the input contracted once for each contraction so far. Shape [n, m]."""
    return contracted_sides(resolution, np.cumsum(contraction, axis=1))
