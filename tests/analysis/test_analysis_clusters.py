from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.clusters import cluster_leaders, cluster_table, standardise


def three_groups(snapshot: StudySnapshot) -> StudySnapshot:
    """Twelve trials around three far corners, four each, the first corner the best."""
    rng = np.random.default_rng(0)
    corners = [(0.1, 0.1), (0.9, 0.1), (0.5, 0.9)]
    template = snapshot.best
    trials = []
    for index in range(12):
        x, y = np.array(corners[index % 3]) + 0.01 * rng.standard_normal(2)
        vector = {**template.vector, "k": float(x), "K": float(y)}
        value = 0.5 - 0.1 * (index % 3) - 0.001 * index
        trials.append(
            replace(
                template, index=index, vector=vector, blueprint_key=str(index), objective=value, top1=value, curve=()
            )
        )
    return replace(snapshot, trials=tuple(trials))


def test_separate_groups_become_clusters_with_their_means(snapshot: StudySnapshot) -> None:
    made = three_groups(snapshot)
    clustering = cluster_leaders(made, count=3)
    assert clustering.count == 3
    for row in clustering.means:
        inside = [m for m in clustering.members if f"Cluster {m.cluster}" == row.name]
        assert len({m.index % 3 for m in inside}) == 1
        assert len(inside) == row.trials == 4
        assert row.mean_objective == pytest.approx(np.mean([m.objective for m in inside]))
        assert row.vector["k"] == pytest.approx(np.mean([m.vector["k"] for m in inside]))


def test_clusters_are_numbered_along_the_dendrogram(snapshot: StudySnapshot) -> None:
    clustering = cluster_leaders(snapshot)
    along = clustering.clusters[clustering.order].tolist()
    assert along == sorted(along)
    assert sorted(clustering.order.tolist()) == list(range(len(clustering.members)))
    assert len(clustering.members) == 30
    assert clustering.count == 4


def test_equal_vectors_count_once(snapshot: StudySnapshot) -> None:
    made = three_groups(snapshot)
    twin = replace(made.trials[0], index=12, objective=0.9, top1=0.9)
    members = cluster_leaders(replace(made, trials=(*made.trials, twin)), count=3).members
    assert len(members) == 12
    assert members.rows[0].index == 12


def test_scaling_a_parameter_changes_no_cluster(snapshot: StudySnapshot) -> None:
    made = three_groups(snapshot)
    stretched = tuple(replace(t, vector={**t.vector, "k": 1000 * t.vector["k"] - 7}) for t in made.trials)
    before = cluster_leaders(made, count=3)
    after = cluster_leaders(replace(made, trials=stretched), count=3)
    np.testing.assert_array_equal(before.clusters, after.clusters)


def test_standardised_columns_have_mean_zero_and_deviation_one() -> None:
    scaled = standardise(np.array([[1.0, 5, 3], [2, 5, 9], [6, 5, 0]]))
    assert scaled.shape == (3, 2)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1)


def test_the_table_is_laid_out_like_tables_5_and_6(snapshot: StudySnapshot) -> None:
    clustering = cluster_leaders(snapshot)
    rows = cluster_table(clustering, snapshot.best.vector)
    assert list(rows[0]) == ["Cluster", "Best", "Cluster 0", "Cluster 1", "Cluster 2", "Cluster 3"]
    assert rows[0]["Cluster"] == "Mean eval."
    assert rows[0]["Best"] is None
    assert rows[0]["Cluster 0"] == pytest.approx(100 * clustering.means.rows[0].mean_objective)
    assert [row["Cluster"] for row in rows[1:]] == list(snapshot.plan.search.ranges)
    assert rows[1]["Best"] == snapshot.best.vector["k"]
    assert "Best" not in cluster_table(clustering, None)[0]


def test_too_few_or_equal_trials_cannot_be_clustered(snapshot: StudySnapshot, empty_snapshot: StudySnapshot) -> None:
    with pytest.raises(MissingDataError, match="at least three trials"):
        cluster_leaders(empty_snapshot)
    made = three_groups(snapshot)
    same = tuple(replace(t, vector=made.trials[0].vector) for t in made.trials)
    with pytest.raises(MissingDataError, match="at least three"):
        cluster_leaders(replace(made, trials=same))
