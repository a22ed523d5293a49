"""The blueprint: the architecture that a parameter vector and a resolution describe, as data.

A `Blueprint` is what a person reads, stores and builds; a `BlueprintBatch` holds many of them as padded arrays, so
that thousands of candidates are constructed and priced in one go. Both describe the same networks in the same words: a
blueprint is one row of a batch, and everything `betanas.cost` counts, it counts on batches.
"""

from betanas.blueprint.batch import BlueprintBatch, LayerArrays, LayerGroup
from betanas.blueprint.layer import Layer
from betanas.blueprint.network import TABLE_HEADINGS, Blueprint, TableRow
from betanas.blueprint.numbers import BoolArray, FloatArray, IntArray, contracted
from betanas.blueprint.plain import PLAIN_NETWORKS, plain_network

__all__ = [
    "PLAIN_NETWORKS",
    "TABLE_HEADINGS",
    "Blueprint",
    "BlueprintBatch",
    "BoolArray",
    "FloatArray",
    "IntArray",
    "Layer",
    "LayerArrays",
    "LayerGroup",
    "TableRow",
    "contracted",
    "plain_network",
]
