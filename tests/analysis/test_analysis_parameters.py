from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.parameters import normalise, normalised_parameters
from betanas.spaces import Range


def test_normalising_maps_a_range_to_zero_and_one() -> None:
    ranges = {"a": Range(-0.5, 0.5), "b": Range(2, 10), "fixed": Range(3, 3)}
    shares = normalise(np.array([[-0.5, 10, 3], [0.0, 4, 3]]), ranges)
    assert shares.tolist() == [[0.0, 1.0, 0.5], [0.5, 0.25, 0.5]]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=5), st.floats(-10, 10), st.floats(0.01, 10))
def test_normalising_can_be_undone(values: list[float], low: float, span: float) -> None:
    shares = normalise(np.array(values)[:, None], {"a": Range(low, low + span)})
    np.testing.assert_allclose(low + shares[:, 0] * span, values, atol=1e-9)


def test_every_trial_has_a_row_and_ranks_follow_the_objective(snapshot: StudySnapshot) -> None:
    table = normalised_parameters(snapshot)
    assert len(table) == len(snapshot.trials)
    assert all(0 <= share <= 1 for row in table for share in row.vector.values())
    assert table.rows[snapshot.best.index].rank == 1
    assert all(row.rank is None for row in table if row.objective is None)
