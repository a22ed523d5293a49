"""What rules' networks cost, resolution by resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from betanas.blueprint import BlueprintBatch, IntArray
from betanas.cost import count_macs, count_params, training_memory
from betanas.spaces.scaling.rules import ScalingRule, VectorRule

Measure = Literal["params", "macs", "memory"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


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

    Rules that move a vector of one space are constructed together: one batch for each resolution.

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
    moving = [(row, rule) for row, rule in enumerate(rules) if isinstance(rule, VectorRule)]
    others = [(row, rule) for row, rule in enumerate(rules) if not isinstance(rule, VectorRule)]

    def count(batch: BlueprintBatch, rows: list[int], column: int) -> None:
        for measure, table in counted.items():
            if measure == "memory":
                table[rows, column] = training_memory(batch, batch_size, dtype=dtype)
            else:
                table[rows, column] = (count_params if measure == "params" else count_macs)(batch)

    for column, resolution in enumerate(resolutions):
        if moving:
            origin = moving[0][1].origin
            vectors = np.array([list(rule.vector(resolution).values()) for _, rule in moving])
            count(origin.batch(vectors, resolution), [row for row, _ in moving], column)
        for row, rule in others:
            count(rule.batch(resolution), [row], column)
    sides = np.array(resolutions, dtype=np.int64)
    return tuple(
        CostTable(rule.name, sides, {measure: table[row] for measure, table in counted.items()})
        for row, rule in enumerate(rules)
    )
