from __future__ import annotations

from dataclasses import replace

import pytest

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.figures.confirmation import confirmed_leaders
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.confirmation import confirmation_table, label_of, winner
from betanas.analysis.wording import summary


def without(snapshot: StudySnapshot) -> StudySnapshot:
    return replace(snapshot, attachments=tuple(one for one in snapshot.attachments if one.kind != "confirmation"))


def test_candidates_come_best_mean_first_beside_the_search(snapshot: StudySnapshot) -> None:
    table = confirmation_table(snapshot)
    second, third = snapshot.ranked[1], snapshot.ranked[2]
    first = table.rows[0]
    assert first.candidate == f"trial {second.index}"
    assert first.searched == second.top1
    assert first.mean == pytest.approx(second.top1 - 0.004)
    # Student's t with two degrees of freedom: 4.3027 deviations of 0.003 over the root of 3.
    assert first.high - first.low == pytest.approx(2 * 4.302653 * 0.003 / 3**0.5, rel=1e-5)
    row = next(row for row in table if row.candidate == f"trial {third.index}")
    assert (row.runs, row.failed) == (2, 1)


def test_the_confirmed_network_wins(snapshot: StudySnapshot) -> None:
    won = winner(snapshot)
    assert won.trial == snapshot.ranked[1].index
    assert won.vector == snapshot.ranked[1].vector
    assert won.blueprint.num_params == snapshot.ranked[1].params
    assert won.confirmed.n == 3
    assert f"Of 3 candidates trained again with fresh seeds, trial {won.trial} has" in " ".join(summary(snapshot))


def test_without_confirmation_the_best_trial_wins(snapshot: StudySnapshot, empty_snapshot: StudySnapshot) -> None:
    won = winner(without(snapshot))
    assert (won.trial, won.confirmed) == (snapshot.best.index, None)
    assert won.blueprint is snapshot.blueprints[snapshot.best.index]
    with pytest.raises(MissingDataError, match="completed trial"):
        winner(empty_snapshot)
    with pytest.raises(MissingDataError, match="betanas confirm"):
        confirmation_table(without(snapshot))


def test_a_candidate_with_one_training_has_no_interval_and_the_models_best_a_name(snapshot: StudySnapshot) -> None:
    kept = snapshot.attachment("confirmation")
    runs = [{"seed": 1, "top1": 0.9, "top5": None, "training_seconds": 1.0, "reason": ""}]
    one = replace(kept, document={**kept.document, "trial": None, "runs": runs})
    none = replace(kept, name="x", document={**kept.document, "runs": []})
    made = replace(snapshot, attachments=(none, one))
    rows = confirmation_table(made).rows
    assert (rows[0].candidate, rows[0].mean, rows[0].low, rows[0].searched) == ("model's best", 0.9, None, None)
    assert (rows[1].mean, rows[1].runs) == (None, 0)
    assert winner(made).label == label_of(None)
    figure = confirmed_leaders(confirmation_table(made))
    assert list(figure.data[0].y) == ["model's best"]
    assert list(figure.data[0].error_x.array) == [0]


def test_a_damaged_confirmation_is_refused_but_does_not_sink_the_summary(snapshot: StudySnapshot) -> None:
    broken = replace(snapshot, attachments=(replace(snapshot.attachment("confirmation"), document={"trial": 1}),))
    with pytest.raises(AnalysisError, match="damaged"):
        winner(broken)
    assert len(summary(broken)) >= 4
