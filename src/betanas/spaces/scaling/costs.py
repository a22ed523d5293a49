"""What rules' networks cost, resolution by resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from betanas.blueprint import BlueprintBatch, IntArray
from betanas.cost import count_macs, count_params, training_memory
from betanas.spaces.scaling.rules import ScalingRule, VectorRule

Measure = Literal["params", "macs", "memory"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

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

    Networks of different resolutions are counted together, and those of a space's vectors constructed together.

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
        for batch, columns in batches_of(rule, sides):
            for measure, table in counted.items():
                if measure == "memory":
                    table[row, columns] = training_memory(batch, batch_size, dtype=dtype)
                else:
                    table[row, columns] = (count_params if measure == "params" else count_macs)(batch)
    return tuple(
        CostTable(rule.name, sides, {measure: table[row] for measure, table in counted.items()})
        for row, rule in enumerate(rules)
    )


def batches_of(rule: ScalingRule, sides: IntArray) -> Iterator[tuple[BlueprintBatch, slice]]:
    """A rule's networks at ascending resolutions, together as far as they can be, and which of these they belong to."""
    for start in range(0, len(sides), _TOGETHER):
        columns = slice(start, start + _TOGETHER)
        part = sides[columns]
        if isinstance(rule, VectorRule):
            yield rule.origin.batch(np.array([list(rule.vector(int(side)).values()) for side in part]), part), columns
        else:
            yield BlueprintBatch.joined([rule.batch(int(side)) for side in part]), columns
