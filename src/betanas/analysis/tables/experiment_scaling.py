"""`betanas experiment scaling` as tables: rank correlations between scales, uplift, every network at every scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from betanas.analysis.tables.experiment import ends, of_experiment
from betanas.analysis.tables.table import Table


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """Rank correlations between two resolutions, with 95% intervals.

    Attributes:
        kind: `equal epochs` or `equal seconds`.
        small, large: the resolutions.
        vectors: how many have a ranking.
        spearman, kendall: the correlations; None where they are undefined.
        seeds_small, seeds_large: Spearman correlation between single seeds at either resolution.
    """

    kind: str
    small: int
    large: int
    vectors: int
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    kendall: float | None
    kendall_low: float | None
    kendall_high: float | None
    seeds_small: float | None
    seeds_large: float | None


@dataclass(frozen=True, slots=True)
class UpliftRow:
    """Mean gain for each doubling of a cost, in points of accuracy with its 95% interval, over vectors."""

    kind: str
    cost: str
    vectors: int
    points: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ScaleRow:
    """A vector's network at one resolution: mean accuracy of its completed trainings, in percent, and their spread."""

    kind: str
    vector: str
    resolution: int
    params: int
    macs: int
    trainings: int
    percent: float | None
    lowest: float | None
    highest: float | None


def agreement_table(document: Mapping[str, Any]) -> Table[AgreementRow]:
    """Rank correlations of every pair of resolutions.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        noise = {(each["kind"], each["resolution"]): each["spearman"] for each in document["noise"]}
        return Table(
            tuple(
                AgreementRow(
                    str(each["kind"]),
                    int(each["small"]),
                    int(each["large"]),
                    int(each["vectors"]),
                    *ends(each["spearman"]),
                    *ends(each["kendall"]),
                    noise.get((each["kind"], each["small"])),
                    noise.get((each["kind"], each["large"])),
                )
                for each in document["pairs"]
            )
        )


def uplift_table(document: Mapping[str, Any]) -> Table[UpliftRow]:
    """Uplift per doubling of multiply-accumulates and of parameters.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        rows = ((each["kind"], each["cost"], each["interval"]) for each in document["uplifts"])
        return Table(tuple(UpliftRow(str(kind), str(cost), int(i["n"]), *ends(i, 100)) for kind, cost, i in rows))


def scale_table(document: Mapping[str, Any]) -> Table[ScaleRow]:
    """Every network at every resolution.

    Raises:
        AnalysisError: the result is damaged.
    """
    with of_experiment(document):
        groups: dict[tuple[str, str, int], list[Mapping[str, Any]]] = defaultdict(list)
        for each in document["trainings"]:
            groups[str(each["kind"]), str(each["network"]), int(each["resolution"])].append(each)
        rows = []
        for (kind, vector, resolution), trainings in groups.items():
            percents = [100 * float(each["accuracy"]) for each in trainings if each["accuracy"] is not None]
            params, macs = (int(trainings[0][cost]) for cost in ("params", "macs"))
            mean = float(np.mean(percents)) if percents else None
            ends_of = (min(percents, default=None), max(percents, default=None))
            rows.append(ScaleRow(kind, vector, resolution, params, macs, len(percents), mean, *ends_of))
        return Table(tuple(rows))
