"""Multiply-accumulates of a forward pass: exact for what torch's flop counter counts (which prints twice as many)."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import KINDS, BlueprintBatch, IntArray
from betanas.cost.saturation import saturated


def count_macs(batch: BlueprintBatch) -> IntArray:
    """Multiply-accumulates of one image through every blueprint, shape [n].

    Convolutions and the linear layer count; norms, activations, pooling and biases do not, as in the flop counters of
    torch and fvcore.
    """
    i, o, h, q, side_in, side = (
        values.astype(np.float64)
        for values in (
            batch.channels_in, batch.channels_out, batch.hidden, batch.squeeze, batch.side_in, batch.side,
        )
    )  # fmt: skip
    pixels_in, pixels = side_in**2, side**2
    per_kind = {
        "CNA": 9 * i * o * pixels,
        "FMBC": (9 * i * h + h * o) * pixels,
        "MBC": i * h * pixels_in + (9 * h + h * o) * pixels + 2 * h * q,
    }
    layers = np.choose(batch.kind, [per_kind[kind] for kind in KINDS])
    latent = batch.latent.astype(np.float64)
    classifier = batch.last_channels * latent * batch.last_side**2 + latent * batch.num_classes
    return saturated(np.where(batch.present, layers, 0.0).sum(axis=1) + classifier)
