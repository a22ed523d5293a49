"""The search's surrogate as its attachment describes it, and what it says of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.documents import attached, readable
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray
from betanas.search.propose.surrogate_document import (
    FORMAT_VERSION,
    Contour,
    CrossValidation,
    FeatureRelevance,
    LeftOut,
    ParameterRelevance,
    PredictedBest,
    Slice,
    SurrogateDocument,
)


@dataclass(frozen=True, slots=True)
class ImportanceRow:
    """How much a parameter matters.

    Attributes:
        parameter: its name.
        importance: the surrogate's total-effect index; None without a surrogate.
        relevance: the surrogate's inverse length scale, scaled to sum to 1 over parameters and the features of
            networks that the surrogate sees beside them; None without a surrogate.
        lengthscale: as a part of the range; None without a surrogate.
        rank_correlation: Spearman's, between the parameter and the objective over the usable trials; None where
            either does not vary. It needs no surrogate, but sees monotonic effects alone.
    """

    parameter: str
    importance: float | None
    relevance: float | None
    lengthscale: float | None
    rank_correlation: float | None


def surrogate_of(snapshot: StudySnapshot) -> SurrogateDocument:
    """A study's newest surrogate.

    Raises:
        MissingDataError: there is none.
        AnalysisError: its document is damaged.
    """
    missing = "This study holds no surrogate: its strategy has no model, or the model has seen too few trials."
    return attached(snapshot, "surrogate", parse_surrogate, missing)


def parse_surrogate(document: Mapping[str, Any]) -> SurrogateDocument:
    """Read what `SurrogateDocument.to_dict` wrote.

    Raises:
        AnalysisError: it is damaged, or of a newer format.
    """
    with readable("A surrogate's document", document, FORMAT_VERSION):
        validation = document["cross_validation"]
        points = tuple(LeftOut(**point) for point in validation["points"])
        surrogate = SurrogateDocument(
            model=str(document["model"]),
            observations=int(document["observations"]),
            noise=float(document["noise"]),
            parameters=tuple(ParameterRelevance(**entry) for entry in document["parameters"]),
            fixed={name: float(value) for name, value in document["fixed"].items()},
            best=PredictedBest(**document["best"]),
            cross_validation=CrossValidation(**{**validation, "points": points}),
            slices=tuple(Slice(**entry) for entry in document["slices"]),
            contours=tuple(Contour(**entry) for entry in document["contours"]),
            features=tuple(FeatureRelevance(**entry) for entry in document.get("features", ())),
        )
        _check_shapes(surrogate)
        return surrogate


def importance(snapshot: StudySnapshot) -> Table[ImportanceRow]:
    """Every searched parameter, the most important first: by the surrogate where there is one, else by correlation.

    Raises:
        MissingDataError: there is no surrogate, and fewer than three trials have a result.
    """
    told: dict[str, ParameterRelevance] = {}
    if snapshot.attachment("surrogate") is not None:
        told = {entry.name: entry for entry in surrogate_of(snapshot).parameters}
    elif len(snapshot.ranked) < 3:
        raise MissingDataError("The importance of parameters needs at least three trials with a result.")
    correlations = _rank_correlations(snapshot)
    rows = []
    for name in [name for name, searched in snapshot.ranges.items() if not searched.fixed]:
        entry = told.get(name)
        modelled = {field: getattr(entry, field, None) for field in ("importance", "relevance", "lengthscale")}
        rows.append(ImportanceRow(name, rank_correlation=correlations[name], **modelled))

    def weight(row: ImportanceRow) -> float:
        return abs(row.rank_correlation or 0.0) if row.importance is None else row.importance

    return Table(tuple(sorted(rows, key=weight, reverse=True)))


def model_best(snapshot: StudySnapshot) -> Mapping[str, float] | None:
    """The vector that the surrogate expects to be best, with every parameter of the space; None without a surrogate."""
    if snapshot.attachment("surrogate") is None:
        return None
    surrogate = surrogate_of(snapshot)
    vector = {**surrogate.fixed, **surrogate.best.vector}
    return {name: float(vector[name]) for name in snapshot.ranges}


def _rank_correlations(snapshot: StudySnapshot) -> dict[str, float | None]:
    objectives = np.array([trial.objective for trial in snapshot.ranked], dtype=np.float64)
    matrix = snapshot.matrix(snapshot.ranked)
    return {name: _spearman(matrix[:, column], objectives) for column, name in enumerate(snapshot.ranges)}


def _spearman(x: FloatArray, y: FloatArray) -> float | None:
    """Spearman's rank correlation; scipy.stats, which has it too, takes longer to import than the whole report."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(_mean_ranks(x), _mean_ranks(y))[0, 1])


def _mean_ranks(values: FloatArray) -> FloatArray:
    """Ranks, the same for equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts + 1 + ends) / 2)[inverse])


def _check_shapes(surrogate: SurrogateDocument) -> None:
    for cut in surrogate.slices:
        lengths = {len(cut.values), len(cut.mean), len(cut.deviation), len(cut.feasible)}
        if len(lengths) != 1:
            raise ValueError(f"the slice of {cut.parameter} has columns of unequal length")
    for plane in surrogate.contours:
        shape = (len(plane.y_values), len(plane.x_values))
        if any(np.shape(grid) != shape for grid in (plane.mean, plane.deviation, plane.feasible)):
            raise ValueError(f"the contour of {plane.x} and {plane.y} has grids of unequal shape")
