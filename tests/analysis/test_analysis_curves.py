from __future__ import annotations

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.curves import learning_curves


def test_curves_come_best_trial_first_and_complete(snapshot: StudySnapshot) -> None:
    table = learning_curves(snapshot)
    assert len(table) == sum(len(t.curve) for t in snapshot.trials)
    order = list(dict.fromkeys(table.column("index")))
    assert order == [t.index for t in snapshot.ranked]
    assert table.rows[0].rank == 1
    assert table.rows[0].accuracy == snapshot.best.curve[0].accuracy


def test_only_the_best_are_given_where_so_asked(snapshot: StudySnapshot) -> None:
    assert len(set(learning_curves(snapshot, best=3).column("index"))) == 3
