from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from betanas.analysis import snapshot as module
from betanas.analysis.snapshot import StudySnapshot
from betanas.search.objectives import Compound
from betanas.search.records import TrialRecord
from betanas.search.store.store import Store
from betanas.search.study import Study


def test_reading_a_study_gives_its_records_and_the_winners_network(stored_study: Path) -> None:
    with Study.open(stored_study) as study:
        read = StudySnapshot.of(study)
        assert read.trials == study.trials(curves=True)
        assert read.name == "digits"
        assert read.best is not None
        assert read.blueprints == {read.best.index: study.blueprint(read.best.index)}
        assert {one.kind for one in read.attachments} == {"surrogate", "comparison", "confirmation", "profile"}


def test_the_trials_are_read_once(stored_study: Path, monkeypatch) -> None:
    reads = []
    read = Store.trials

    def counted(store: Store, **asked: Any) -> tuple[TrialRecord, ...]:
        reads.append(asked.get("apart"))
        return read(store, **asked)

    monkeypatch.setattr(Store, "trials", counted)
    with Study.open(stored_study) as study:
        for curves in (True, False):
            reads.clear()
            assert StudySnapshot.of(study, curves=curves).state == study.state
            assert reads.count(None) == 2  # the other is the state's, asked for by itself


def test_only_the_leaders_curves_are_read_of_a_large_study(stored_study: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_CURVES", 10)
    monkeypatch.setattr(module, "LEADING_CURVES", 5)
    with Study.open(stored_study) as study:
        read = StudySnapshot.of(study)
        assert [t.index for t in read.trials if t.curve] == sorted(t.index for t in read.ranked[:5])
        assert not any(t.curve for t in StudySnapshot.of(study, curves=False).trials)


def test_usable_trials_are_those_with_a_result(snapshot: StudySnapshot) -> None:
    assert {t.state for t in snapshot.usable} == {"completed", "stopped"}
    assert all(t.objective is not None for t in snapshot.usable)
    assert any(t.repeat_of is not None for t in snapshot.usable)
    assert all(t.repeat_of is None for t in snapshot.ranked)
    objectives = [t.objective for t in snapshot.ranked]
    assert objectives == sorted(objectives, reverse=True)


def test_the_best_trial_has_completed(snapshot: StudySnapshot) -> None:
    first = replace(snapshot.ranked[0], state="stopped")
    trials = tuple(first if t.index == first.index else t for t in snapshot.trials)
    assert replace(snapshot, trials=trials).best == snapshot.ranked[1]


def test_the_objective_is_shown_in_percent_where_it_is_the_accuracy(snapshot: StudySnapshot) -> None:
    assert snapshot.measure.title == "Validation top-1 accuracy (%)"
    assert snapshot.measure.text(0.6255) == "62.55%"
    trials = tuple(replace(t, objective=t.objective and t.objective * 0.9) for t in snapshot.trials)
    other = replace(snapshot, trials=trials, plan=snapshot.plan.changed(objective=Compound("params", 5e6)))
    assert other.measure.title == "Objective accuracy x (parameters / 5.00M)^-0.07"
    assert other.measure.text(0.6255) == "0.63"


def test_the_matrix_holds_vectors_in_the_order_of_the_ranges(snapshot: StudySnapshot) -> None:
    matrix = snapshot.matrix()
    assert matrix.shape == (len(snapshot.trials), 15)
    assert matrix[3].tolist() == [snapshot.trials[3].vector[name] for name in snapshot.plan.search.ranges]
    assert snapshot.matrix(()).shape == (0, 15)
    assert np.isfinite(matrix).all()


def test_the_newest_attachment_of_a_kind_stands(snapshot: StudySnapshot) -> None:
    newest = replace(snapshot.attachments[0], created=snapshot.attachments[0].created.replace(year=2030), name="later")
    both = replace(snapshot, attachments=(newest, *snapshot.attachments))
    assert both.attachment("surrogate") is newest
    assert both.attachment("surrogate", "gpei") is snapshot.attachments[0]
    assert both.attachment("scaling") is None
