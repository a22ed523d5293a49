from __future__ import annotations

from dataclasses import replace

from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.history import history, leaders, outcomes, totals


def test_the_running_best_never_falls_and_skips_trials_without_a_result(snapshot: StudySnapshot) -> None:
    table = history(snapshot)
    assert len(table) == len(snapshot.trials)
    best = None
    for row, trial in zip(table, snapshot.trials, strict=True):
        if row.objective is not None:
            best = row.objective if best is None else max(best, row.objective)
        assert row.running_best == best
        assert (row.objective is None) == (trial.state in ("infeasible", "failed", "running"))
    assert table.column("running_best")[-1] == snapshot.best.objective


def test_a_result_of_a_failed_trial_does_not_count(snapshot: StudySnapshot) -> None:
    failed = next(t for t in snapshot.trials if t.state == "failed")
    trials = tuple(replace(t, objective=2.0) if t.index == failed.index else t for t in snapshot.trials)
    table = history(replace(snapshot, trials=trials))
    assert table.rows[failed.index].objective is None
    assert max(v for v in table.column("running_best") if v is not None) < 1


def test_leaders_are_the_best_distinct_networks(snapshot: StudySnapshot) -> None:
    table = leaders(snapshot, 10)
    assert table.column("rank") == list(range(1, 11))
    keys = [snapshot.trials[index].blueprint_key for index in table.column("index")]
    assert len(set(keys)) == 10
    assert table.rows[0].objective == snapshot.best.objective
    flat = table.to_rows()[0]
    assert flat["k"] == snapshot.best.vector["k"]
    assert "vector" not in flat


def test_outcomes_add_up_and_carry_a_reason(snapshot: StudySnapshot) -> None:
    table = outcomes(snapshot)
    assert sum(table.column("trials")) == len(snapshot.trials)
    failed = [row for row in table if row.state == "failed"]
    assert failed
    assert all(row.cause == "non_finite" and "NaN" in row.example for row in failed)


def test_totals_count_a_repeat_as_usable_but_not_its_seconds(snapshot: StudySnapshot) -> None:
    counted = totals(snapshot)
    assert counted.usable + counted.infeasible + counted.failed + counted.running == counted.trials == 120
    trained = [t for t in snapshot.usable if t.repeat_of is None]
    assert len(trained) < counted.usable
    assert counted.training_seconds == sum(t.training_seconds for t in trained)
    assert counted.best == snapshot.best.objective
    assert counted.wall_seconds > counted.training_seconds


def test_a_study_without_trials_counts_nothing(empty_snapshot: StudySnapshot) -> None:
    counted = totals(empty_snapshot)
    assert (counted.trials, counted.usable, counted.best, counted.median, counted.wall_seconds) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert history(empty_snapshot).to_rows() == []
    assert leaders(empty_snapshot).rows == ()
