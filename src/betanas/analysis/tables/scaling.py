"""How parameters, multiply-accumulates and memory grow with the resolution (Figure 28), for any vector or scaling rule.

A comparison of scaling rules is an attachment of kind `scaling` whose document is

    {"format": 1, "title": str,
     "rows": [{"rule": str, "resolution": int, "params": int, "macs": int, "memory": int}, ...]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.confirmation import winner
from betanas.analysis.tables.documents import attached, readable
from betanas.analysis.tables.surrogate import model_best
from betanas.analysis.tables.table import Table
from betanas.cost import count_macs, count_params, training_memory
from betanas.spaces import SearchSpace, available_spaces, get_space, published

FORMAT_VERSION = 1

# The report's range, 64 to 1,024 pixels.
RESOLUTIONS = tuple(range(64, 1025, 32))


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """One vector's network at one resolution.

    Attributes:
        name: of the vector, or of the scaling rule.
        resolution: side of the image, in pixels.
        params, macs: of the network.
        memory: predicted bytes of a training step.
    """

    name: str
    resolution: int
    params: int
    macs: int
    memory: int


def scaling(
    space: SearchSpace,
    vectors: Mapping[str, Mapping[str, float]],
    *,
    num_classes: int,
    in_channels: int = 3,
    batch_size: int = 100,
    resolutions: Sequence[int] = RESOLUTIONS,
) -> Table[ScalingRow]:
    """Costs of vectors of one space from small to large images, vector by vector.

    Raises:
        VectorError: a vector does not fit the space.
        SpaceError: a resolution is out of bounds.
    """
    matrix = space.to_array(vectors.values())
    costs = []
    for resolution in resolutions:
        batch = space.blueprints(matrix, resolution=resolution, num_classes=num_classes, in_channels=in_channels)
        memory = training_memory(batch, batch_size)
        costs.append((resolution, count_params(batch), count_macs(batch), memory))
    return Table(
        tuple(
            ScalingRow(name, resolution, int(params[row]), int(macs[row]), int(memory[row]))
            for row, name in enumerate(vectors)
            for resolution, params, macs, memory in costs
        )
    )


def installed_space(snapshot: StudySnapshot) -> SearchSpace:
    """The study's search space, where it is one that is installed.

    A study may name a Python file. It is not run: a report must be safe to make of anybody's study.

    Raises:
        MissingDataError: the space is not registered.
    """
    if snapshot.plan.search.space not in available_spaces():
        raise MissingDataError(
            "Networks at other resolutions need the search space's code, and a report runs none that a study names.",
            value=snapshot.plan.search.space,
            hint="Register the space in Python and make the report there.",
        )
    return get_space(snapshot.plan.search.space, blocks=snapshot.plan.search.blocks)


def scaling_of(snapshot: StudySnapshot) -> Table[ScalingRow]:
    """Costs of the winner, of the model's best and of the published vector from small to large images.

    Raises:
        MissingDataError: there is no winner yet, or the space is not registered.
    """
    space, won, plan = installed_space(snapshot), winner(snapshot), snapshot.plan
    vectors: dict[str, Mapping[str, float]] = {f"winner ({won.label})": won.vector}
    expected = model_best(snapshot)
    if expected is not None and won.trial is not None:
        vectors["model's best"] = expected
    if space.name in ("betanet2", "betanet3"):
        vectors["published"] = published(space.name)
    sizes: dict[str, Any] = {"num_classes": len(plan.classes), "in_channels": plan.in_channels}
    return scaling(space, vectors, batch_size=plan.batch_size, **sizes)


def parse_scaling(document: Mapping[str, Any]) -> Table[ScalingRow]:
    """Read a comparison of scaling rules.

    Raises:
        AnalysisError: it is damaged, or of a newer format.
    """
    fields = ("resolution", "params", "macs", "memory")
    with readable("A scaling result", document, FORMAT_VERSION):
        rows = tuple(ScalingRow(str(row["rule"]), *(int(row[field]) for field in fields)) for row in document["rows"])
    if not rows or min(min(row.params, row.macs, row.memory, row.resolution) for row in rows) < 1:
        raise AnalysisError("A scaling result must hold networks of positive costs.")
    return Table(rows)


def scaling_rules_of(snapshot: StudySnapshot) -> Table[ScalingRow]:
    """A study's newest comparison of scaling rules.

    Raises:
        MissingDataError: there is none.
        AnalysisError: it is damaged.
    """
    missing = "This study holds no scaling result."
    return attached(snapshot, "scaling", parse_scaling, missing, hint="Make one: betanas scale.")
