"""What rules' networks cost, resolution by resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from betanas.blueprint import BlueprintBatch, IntArray
from betanas.cost import count_macs, count_params, training_memory
from betanas.spaces.betanet import BetaNet
from betanas.spaces.scaling.rules import ScalingRule, VectorRule

Measure = Literal["params", "macs", "memory"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

# The arrays of a batch that have a column for each layer.
_LAYER_ARRAYS = [
    field.name
    for field in fields(BlueprintBatch)
    if field.name not in ("resolution", "in_channels", "num_classes", "depth", "latent")
]

# Networks constructed together: enough to make numpy's overhead small, few enough for the caches.
_TOGETHER = 256


@dataclass(frozen=True)
class CostTable:
    """Costs of one rule's networks.

    Attributes:
        rule: its name.
        resolutions: ascending, shape [n].
        costs: by measure, shape [n] each: parameters, multiply-accumulates, bytes of a training step.
    """

    rule: str
    resolutions: IntArray
    costs: Mapping[Measure, IntArray]


def tabulate(
    rules: Sequence[ScalingRule],
    resolutions: Sequence[int],
    *,
    measures: Sequence[Measure] = MEASURES,
    batch_size: int = 100,
    dtype: str = "float32",
) -> tuple[CostTable, ...]:
    """Count the costs of every rule's network at every resolution.

    Networks of different resolutions are counted together, and those of a BetaNet's vectors constructed together.

    Args:
        rules: whose networks.
        resolutions: ascending.
        measures: what to count; memory takes longer than the others.
        batch_size: images a training step, for the memory.
        dtype: of a training step's activations, for the memory.

    Raises:
        QuantityError: the batch is empty, or the data type unknown.
    """
    counted: dict[Measure, IntArray] = {
        measure: np.zeros((len(rules), len(resolutions)), dtype=np.int64) for measure in measures
    }
    sides = np.array(resolutions, dtype=np.int64)
    for row, rule in enumerate(rules):
        for batch, columns in _batches(rule, sides):
            for measure, table in counted.items():
                if measure == "memory":
                    table[row, columns] = training_memory(batch, batch_size, dtype=dtype)
                else:
                    table[row, columns] = (count_params if measure == "params" else count_macs)(batch)
    return tuple(
        CostTable(rule.name, sides, {measure: table[row] for measure, table in counted.items()})
        for row, rule in enumerate(rules)
    )


def _batches(rule: ScalingRule, sides: IntArray) -> Iterator[tuple[BlueprintBatch, slice]]:
    """A rule's networks, and which of the resolutions they belong to."""
    for start in range(0, len(sides), _TOGETHER):
        columns = slice(start, start + _TOGETHER)
        if isinstance(rule, VectorRule) and isinstance(rule.origin.space, BetaNet):
            yield _constructed(rule, rule.origin.space, sides[columns]), columns
        else:
            yield _stacked([rule.batch(int(side)) for side in sides[columns]]), columns


def _constructed(rule: VectorRule, space: BetaNet, sides: IntArray) -> BlueprintBatch:
    return space.blueprints(
        np.array([list(rule.vector(int(side)).values()) for side in sides]),
        resolution=sides,
        num_classes=rule.origin.num_classes,
        in_channels=rule.origin.in_channels,
    )


def _stacked(batches: Sequence[BlueprintBatch]) -> BlueprintBatch:
    """Batches of one network each as one batch: counting takes as long for many networks as for one."""
    first, width = batches[0], max(batch.present.shape[1] for batch in batches)

    def padded(name: str) -> Any:
        rows = np.zeros((len(batches), width), dtype=getattr(first, name).dtype)
        for row, batch in zip(rows, batches, strict=True):
            values = getattr(batch, name)[0]
            row[: len(values)] = values
        return rows

    return BlueprintBatch(
        resolution=np.array([batch.resolution for batch in batches], dtype=np.int64),
        in_channels=first.in_channels,
        num_classes=first.num_classes,
        **{name: padded(name) for name in _LAYER_ARRAYS},
        depth=np.concatenate([batch.depth for batch in batches]),
        latent=np.concatenate([batch.latent for batch in batches]),
    )
