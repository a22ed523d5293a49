"""What a network looks like, in a few numbers that are known before it is trained."""

from __future__ import annotations

import numpy as np

from betanas.blocks import fmbc
from betanas.blueprint import BlueprintBatch, FloatArray
from betanas.cost import count_macs, count_params

NETWORK_FEATURES = (
    "parameters (log)",
    "multiply-accumulates (log)",
    "depth",
    "contractions",
    "last side (log)",
    "last channels (log)",
    "latent channels (log)",
    "fused part of layers",
    "residual part of layers",
)


def network_features(batch: BlueprintBatch) -> FloatArray:
    """The `NETWORK_FEATURES` of n networks, shape [n, features].

    What training within a fixed time depends on is how much work an image is and what shape the network has, which
    the parameters of a space decide together: a model that is shown the outcome need not learn the construction.
    """
    depth = batch.depth.astype(np.float64)
    return np.column_stack(
        [
            np.log(count_params(batch)),
            np.log(count_macs(batch)),
            depth,
            (batch.layers.stride == 2).sum(axis=1),
            np.log(batch.last_resolution),
            np.log(batch.last_channels),
            np.log(batch.num_features),
            (batch.present & (batch.layers.kind == fmbc.KIND.code)).sum(axis=1) / depth,
            batch.residual.sum(axis=1) / depth,
        ]
    )
