"""Trainable parameters (`betanet.md`, section 4): exact."""

from __future__ import annotations

import numpy as np

from betanas.blueprint import BlueprintBatch, IntArray


def count_params(batch: BlueprintBatch) -> IntArray:
    """Trainable parameters of every blueprint, shape [n].

    Convolutions have no bias and are followed by batch norm (two parameters a channel); the two 1x1 convolutions of a
    squeeze-excitation have biases and no norm.
    """
    layers = np.zeros(batch.present.size, dtype=np.int64)
    for group in batch.groups:
        layers[group.places] = sum(step.parameters for step in group.block.steps(group, group.squeezed))
    last, latent, features = batch.last_channels, batch.latent, batch.num_features
    classifier = (last * latent + 2 * latent) + (features * batch.num_classes + batch.num_classes)
    total: IntArray = layers.reshape(batch.present.shape).sum(axis=1) + classifier
    return total
