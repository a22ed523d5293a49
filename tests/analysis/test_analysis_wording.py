from __future__ import annotations

from dataclasses import replace

from betanas.analysis import wording
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.confirmation import winner
from betanas.search.records import Widening
from betanas.search.settings import Limits
from betanas.spaces import Range


def test_cells_are_readable() -> None:
    assert [wording.cell_text(value) for value in (None, True, 3.14159, 12345, "x", 0.00001234)] == [
        wording.NONE,
        "yes",
        "3.142",
        "12,345",
        "x",
        "1.234e-05",
    ]


def test_columns_of_numbers_are_found() -> None:
    made = wording.grid([{"a": "1.2 s", "b": None, "c": "x1"}, {"a": wording.NONE, "b": -3, "c": "y"}], "caption")
    assert made.numeric == (True, True, False)
    assert made.cells[1] == (wording.NONE, "-3", "y")
    assert wording.grid([], "none").cells == ()


def test_the_summary_of_a_single_trial(snapshot: StudySnapshot) -> None:
    words = wording.summary(replace(snapshot, trials=(snapshot.best,), attachments=(), state="running"))
    assert words[1] == "Of 1 trial (120 planned), 1 gave a result; 20.0 s of training in all. The study is running."
    assert len(words) == 3


def test_the_first_numbers_are_the_winners_as_in_the_text(snapshot: StudySnapshot) -> None:
    won, numbers = winner(snapshot), dict(wording.key_numbers(snapshot))
    assert numbers["Winner"] == won.label != f"trial {snapshot.best.index}"
    assert numbers["Mean accuracy"] == wording.percent(won.confirmed.mean)
    assert numbers["Parameters"] == wording.count_text(won.blueprint.num_params)
    assert numbers["Epochs a trial"] == "6"
    text = " ".join(wording.summary(snapshot))
    assert f"{won.label} has the best mean accuracy: {numbers['Mean accuracy']}" in text
    assert "It is the winner" in text


def test_a_study_at_chance_is_not_celebrated(snapshot: StudySnapshot) -> None:
    trials = tuple(replace(t, top1=0.1, objective=0.1) if t.top1 is not None else t for t in replace(snapshot).trials)
    words = " ".join(wording.summary(replace(snapshot, trials=trials, attachments=())))
    assert "No network has learned anything yet" in words
    assert "The best is" not in words
    assert "above the median" not in words


def test_a_winner_on_a_bound_is_said(snapshot: StudySnapshot) -> None:
    alone = replace(snapshot, attachments=())
    assert wording.at_bounds(alone, winner(alone).vector) == []
    vector = {**snapshot.best.vector, "K": 2.0, "E0": 6.0}
    trials = tuple(replace(t, vector=vector) if t.index == snapshot.best.index else t for t in snapshot.trials)
    text = " ".join(wording.summary(replace(alone, trials=trials)))
    assert "K (2), E0 (6)" in text
    assert "--range K=LOW:HIGH" in text


def test_leaders_on_a_bound_and_what_was_widened_are_said(snapshot: StudySnapshot) -> None:
    best = snapshot.best
    vector = {**best.vector, "E0": 6.0}
    trials = tuple(replace(best, index=index, vector=vector, objective=0.5 + index / 100) for index in range(15))
    alone = replace(
        snapshot, attachments=(), trials=trials, blueprints=dict.fromkeys(range(15), snapshot.blueprints[best.index])
    )
    text = " ".join(wording.summary(alone))
    assert "The best trials crowd the upper end of E0 (6; 5 of 5)" in text
    assert "betanas resume STUDY --widen --trials N" in text
    assert "The winner lies at the end" not in text, "said once"
    widened = replace(snapshot.plan, widenings=(Widening("E0", 1.0, 8.5, 9, 4, 5),))
    text = " ".join(wording.summary(replace(alone, plan=widened)))
    assert "The search widened E0 to 1:8.5 after trial 9." in text
    assert "The best trials crowd" not in text
    assert replace(alone, plan=widened).ranges["E0"] == Range(1.0, 8.5)


def test_parameters_are_explained_where_their_space_does(snapshot: StudySnapshot) -> None:
    made = wording.vector_grid(snapshot, {"Trial 1": snapshot.best.vector})
    assert made.headings[-1] == "What it decides"
    assert dict(zip(made.headings, made.cells[1], strict=True))["What it decides"] == "layers for each contraction"
    plan = replace(snapshot.plan, search=replace(snapshot.plan.search, space="/tmp/mine.py"))
    assert wording.vector_grid(replace(snapshot, plan=plan), {}).headings == ("Parameter", "Searched range")


def test_an_objective_that_is_no_accuracy_has_no_percent(snapshot: StudySnapshot) -> None:
    trials = tuple(replace(t, objective=t.objective and 2 * t.objective) for t in snapshot.trials)
    made = replace(snapshot, trials=trials)
    assert "objective accuracy 1.25" in " ".join(wording.summary(made))
    assert dict(wording.key_numbers(replace(made, attachments=())))["Best"] == "1.25"


def test_limits_are_spelt_out(snapshot: StudySnapshot) -> None:
    limits = Limits(params=30_000_000, memory=20 * 2**30, lookahead=((384, 50_000_000),))
    facts = dict(wording.plan_facts(replace(snapshot, plan=replace(snapshot.plan, limits=limits))))
    assert facts["Limits"] == (
        "parameters at most 30.00M; training memory at most 20.00 GiB; parameters at most 50.00M at R=384"
    )


def test_a_trials_facts_leave_out_what_is_unknown(snapshot: StudySnapshot) -> None:
    failed = next(t for t in snapshot.trials if t.state == "failed")
    facts = dict(wording.trial_facts(failed))
    assert facts["State"] == "failed (non_finite)"
    assert facts["Reason"].startswith("The loss became NaN")
    assert "Top-1" not in facts


def test_a_session_without_an_end_was_cut_off(snapshot: StudySnapshot) -> None:
    grid = wording.session_grid(snapshot)
    assert grid.cells[0][2] == wording.NONE
    assert grid.cells[0][3].startswith("no sign of life after 2026-03-01")
    assert grid.cells[1][3] == "finished"


def test_equal_environments_are_listed_once(snapshot: StudySnapshot) -> None:
    assert wording.environment_grid(snapshot).headings == ("", "Session 0")
    other = (snapshot.sessions[0], replace(snapshot.sessions[1], versions={"python": "3.12.0"}))
    grid = wording.environment_grid(replace(snapshot, sessions=other))
    assert grid.headings == ("", "Session 0", "Session 1")
    assert ("torch", "2.14.1", wording.NONE) in grid.cells


def test_many_failures_are_cut_short(snapshot: StudySnapshot) -> None:
    failed = next(t for t in snapshot.trials if t.state == "failed")
    grid = wording.failure_grid(replace(snapshot, trials=(failed,) * 25))
    assert len(grid.cells) == 20
    assert grid.caption == "What failed: the first 20 of 25 trials."
