"""Hierarchical clusters of the best trials (section 7.1 of the report; Tables 5 and 6, Figures 20, 21, 24 and 25)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Member:
    """One of the clustered trials."""

    index: int
    cluster: int
    objective: float
    vector: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """A column of Tables 5 and 6: a cluster's mean evaluation and mean vector, or the model's best.

    Attributes:
        name: `Cluster 0` and so on, or `Best`.
        trials: how many trials it holds; 0 for the model's best, which was not trained.
        mean_objective: mean over its trials; None for the model's best.
        vector: mean parameters.
    """

    name: str
    trials: int
    mean_objective: float | None
    vector: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Clustering:
    """The best trials, clustered by Ward's method on standardised parameters.

    Attributes:
        members: the trials, best first.
        merges: scipy's linkage matrix, shape [n - 1, 4].
        clusters: number of each member's cluster, shape [n]; clusters are numbered along the dendrogram.
        order: members along the dendrogram's leaves, shape [n].
        count: clusters found.
        means: a row a cluster.
    """

    members: Table[Member]
    merges: FloatArray
    clusters: IntArray
    order: IntArray
    count: int
    means: Table[ClusterRow]


def standardise(rows: FloatArray) -> FloatArray:
    """Columns with mean 0 and deviation 1, shape [n, varying]; one that does not vary is left out."""
    deviation = rows.std(axis=0)
    varying = deviation > 1e-12
    return np.asarray((rows[:, varying] - rows[:, varying].mean(axis=0)) / deviation[varying])


def cluster_leaders(snapshot: StudySnapshot, *, best: int = 30, count: int = 4) -> Clustering:
    """Cluster the best trials; of trials with the same vector only the best counts.

    Args:
        snapshot: the study.
        best: how many of the best trials.
        count: clusters wanted; fewer where there are fewer distinct trials.

    Raises:
        MissingDataError: fewer than three usable trials, or vectors that are all equal.
    """
    distinct = {tuple(trial.vector[name] for name in snapshot.ranges): trial for trial in reversed(snapshot.ranked)}
    chosen = tuple(sorted(distinct.values(), key=lambda trial: (-(trial.objective or 0.0), trial.index)))[:best]
    if len(chosen) < 3:
        hint = "Let the search run on: betanas resume STUDY."
        raise MissingDataError("Clusters need at least three trials with a result.", value=len(chosen), hint=hint)
    rows = snapshot.matrix(chosen)
    scaled = standardise(rows)
    if not scaled.shape[1]:
        raise MissingDataError("Clusters need trials that differ in at least one parameter.", value="equal vectors")
    merges = linkage(scaled, method="ward")
    order = leaves_list(merges).astype(np.int64)
    labels = fcluster(merges, t=min(count, len(chosen)), criterion="maxclust")
    along = list(dict.fromkeys(labels[order].tolist()))
    clusters = np.array([along.index(label) for label in labels.tolist()], dtype=np.int64)
    objectives = np.array([trial.objective for trial in chosen], dtype=np.float64)
    names = list(snapshot.ranges)

    def mean_of(cluster: int) -> ClusterRow:
        inside = clusters == cluster
        vector = dict(zip(names, rows[inside].mean(axis=0).tolist(), strict=True))
        return ClusterRow(f"Cluster {cluster}", int(inside.sum()), float(objectives[inside].mean()), vector)

    members = tuple(
        Member(trial.index, int(cluster), float(trial.objective or 0.0), dict(trial.vector))
        for trial, cluster in zip(chosen, clusters, strict=True)
    )
    means = Table(tuple(mean_of(cluster) for cluster in range(len(along))))
    return Clustering(Table(members), merges, clusters, order, len(along), means)


def cluster_table(
    clustering: Clustering, model_best: Mapping[str, float] | None, *, scale: float = 100.0
) -> list[dict[str, float | str | None]]:
    """Tables 5 and 6: a row for the mean evaluation and one for each parameter; columns Best and the clusters.

    Args:
        clustering: of the best trials.
        model_best: the model's best vector; None leaves the column out.
        scale: factor of the evaluations: 100 prints accuracies in percent.
    """
    columns: list[ClusterRow] = [*clustering.means]
    if model_best is not None:
        columns.insert(0, ClusterRow("Best", 0, None, model_best))
    first: dict[str, float | str | None] = {"Cluster": "Mean eval."}
    for column in columns:
        first[column.name] = None if column.mean_objective is None else column.mean_objective * scale
    rows = [first]
    rows += [
        {"Cluster": name, **{column.name: column.vector[name] for column in columns}}
        for name in clustering.means.rows[0].vector
    ]
    return rows
