from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.analysis.errors import MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.pareto import on_front, pareto

points = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=25)


@given(points)
def test_the_front_is_what_comparing_every_pair_gives(made: list[tuple[int, int]]) -> None:
    costs, values = (np.array(column, dtype=float) for column in zip(*made, strict=True))
    expected = [
        not any((c <= cost and v >= value) and (c < cost or v > value) for c, v in made) for cost, value in made
    ]
    assert on_front(costs, values).tolist() == expected


@pytest.mark.parametrize("cost", ["params", "macs", "memory"])
def test_the_best_trial_lies_on_every_front(snapshot: StudySnapshot, cost) -> None:
    table = pareto(snapshot, cost)
    best = next(row for row in table if row.index == snapshot.best.index)
    assert best.front
    assert table.column("cost") == sorted(table.column("cost"))
    front = [row.objective for row in table if row.front]
    assert front == sorted(front)


def test_no_front_without_a_result(empty_snapshot: StudySnapshot) -> None:
    with pytest.raises(MissingDataError, match="Pareto"):
        pareto(empty_snapshot)
