"""Trainable parameters (`betanet.md`, section 4): exact."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import KINDS, BlueprintBatch, IntArray


def count_params(batch: BlueprintBatch) -> IntArray:
    """Trainable parameters of every blueprint, shape [n].

    Convolutions have no bias and are followed by batch norm (two parameters a channel); the two 1x1 convolutions of a
    squeeze-excitation have biases and no norm.
    """
    i, o, h, q = batch.channels_in, batch.channels_out, batch.hidden, batch.squeeze
    per_kind = {
        "CNA": 9 * i * o + 2 * o,
        "FMBC": (9 * i * h + 2 * h) + (h * o + 2 * o),
        "MBC": (i * h + 2 * h) + (9 * h + 2 * h) + (h * q + q) + (q * h + h) + (h * o + 2 * o),
    }
    layers = np.choose(batch.kind, [per_kind[kind] for kind in KINDS])
    last, latent = batch.last_channels, batch.latent
    classifier = (last * latent + 2 * latent) + (latent * batch.num_classes + batch.num_classes)
    total: IntArray = np.where(batch.present, layers, 0).sum(axis=1) + classifier
    return total
