"""Multiply-accumulates of a forward pass: exact for what torch's flop counter counts (which prints twice as many)."""

from __future__ import annotations

import numpy as np

from betanas.blocks import ConvNorm
from betanas.blueprint import BlueprintBatch, FloatArray, IntArray, LayerGroup
from betanas.cost.saturation import saturated


def count_macs(batch: BlueprintBatch) -> IntArray:
    """Multiply-accumulates of one image through every blueprint, shape [n].

    Convolutions and the linear layer count; norms, activations, pooling and biases do not, as in the flop counters of
    torch and fvcore.
    """
    before, after = (
        batch.entering.ravel().astype(np.float64) ** 2,
        batch.layers.resolution.ravel().astype(np.float64) ** 2,
    )
    layers = np.zeros(batch.present.size)
    for group in batch.groups:
        layers[group.places] = _of_group(group, before[group.places], after[group.places])
    latent, features = batch.latent.astype(np.float64), batch.num_features.astype(np.float64)
    classifier = batch.last_channels * latent * batch.last_resolution**2 + features * batch.num_classes
    return saturated(layers.reshape(batch.present.shape).sum(axis=1) + classifier)


def _of_group(group: LayerGroup, before: FloatArray, after: FloatArray) -> FloatArray:
    """Of layers of one form, shape [layers]; the pixels of their inputs and outputs are given."""
    total, pixels = np.zeros(len(group.places)), before
    for step in group.block.steps(group, group.squeezed):
        if not isinstance(step, ConvNorm):
            total += step.weights
            continue
        if step.contracts and not group.pooled:
            pixels = after
        total += step.weights * pixels
        if step.contracts:
            pixels = after
    return total
