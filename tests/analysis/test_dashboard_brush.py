"""Brushing: what is dragged or typed decides which trials are shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.analysis.dashboard.brush import OBJECTIVE, Brush, axes_of, brushed, dragged, draw_brush, typed
from betanas.analysis.dashboard.views import parallel_view
from betanas.analysis.errors import AnalysisError
from betanas.analysis.figures.style import plain
from betanas.analysis.snapshot import StudySnapshot
from betanas.errors import QuantityError


def indices(snapshot: StudySnapshot) -> set[int]:
    return {trial.index for trial in snapshot.trials}


def test_an_interval_keeps_the_trials_within(snapshot: StudySnapshot) -> None:
    kept = indices(brushed(snapshot, typed(Brush(), "k=2:2.5", snapshot)))
    assert kept == {trial.index for trial in snapshot.trials if 2 <= trial.vector["k"] <= 2.5}
    assert 0 < len(kept) < len(snapshot.trials)


def test_the_objective_is_in_the_unit_that_is_shown_and_leaves_out_trials_without_one(snapshot: StudySnapshot) -> None:
    kept = indices(brushed(snapshot, typed(Brush(), "objective = 30:40", snapshot)))
    assert kept == {t.index for t in snapshot.trials if t.objective is not None and 0.3 <= t.objective <= 0.4}
    assert kept


def test_an_interval_to_the_end_of_the_axis_holds_what_lies_beyond(snapshot: StudySnapshot) -> None:
    low, high = snapshot.plan.search.ranges["k"]
    outside = replace(snapshot.trials[0], vector={**snapshot.trials[0].vector, "k": high + 5})
    study = replace(snapshot, trials=(outside, *snapshot.trials[1:]))
    assert 0 in indices(brushed(study, Brush({"k": ((high - 0.1, high),)})))
    assert 0 not in indices(brushed(study, Brush({"k": ((low, high - 0.1),)})))


@given(first=st.floats(1.5, 4.0), second=st.floats(1.5, 4.0), third=st.floats(2.0, 5.0), fourth=st.floats(2.0, 5.0))
def test_two_axes_keep_what_each_keeps_in_any_order(
    snapshot: StudySnapshot, first: float, second: float, third: float, fourth: float
) -> None:
    one = Brush({"k": (tuple(sorted((first, second))),)})
    other = Brush({"K": (tuple(sorted((third, fourth))),)})
    both = Brush({**one.intervals, **other.intervals})
    swapped = Brush({**other.intervals, **one.intervals})
    assert indices(brushed(snapshot, both)) == indices(brushed(snapshot, one)) & indices(brushed(snapshot, other))
    assert indices(brushed(snapshot, both)) == indices(brushed(snapshot, swapped))


def test_what_plotly_reports_is_understood(snapshot: StudySnapshot) -> None:
    brush = dragged(Brush(), {"dimensions[0].constraintrange": [[2.0, 3.0]]}, snapshot)
    assert brush.intervals == {"k": ((2.0, 3.0),)}
    brush = dragged(brush, {"dimensions[1].constraintrange": [[[2.0, 2.5], [3.0, 3.5]]]}, snapshot)
    assert brush.intervals["K"] == ((2.0, 2.5), (3.0, 3.5))
    assert "K=2:2.5 or 3:3.5" in brush.words()
    brush = dragged(brush, {"dimensions[0].constraintrange": None}, snapshot)
    assert list(brush.intervals) == ["K"]
    assert dragged(brush, {"dimensions[99].constraintrange": [[0, 1]], "line.color": 1}, snapshot) == brush


def test_axes_that_were_moved_keep_their_meaning(snapshot: StudySnapshot) -> None:
    names = axes_of(snapshot, Brush())
    moved = [names[1], names[0], *names[2:]]
    labels = [{"label": "top-1 %" if name == OBJECTIVE else plain(name)} for name in moved]
    brush = dragged(Brush(), {"dimensions": [labels]}, snapshot)
    assert brush.order == tuple(moved)
    assert list(dragged(brush, {"dimensions[0].constraintrange": [[2, 3]]}, snapshot).intervals) == [names[1]]
    figure = parallel_view(snapshot, brush)
    assert [one.label for one in figure.data[0].dimensions][:2] == [names[1], names[0]]
    assert dragged(Brush(), {"dimensions": [labels[:3]]}, snapshot) == Brush(), "half an order is none"


def test_a_brush_is_drawn_where_it_was_and_ticks_do_not_swallow_it(snapshot: StudySnapshot) -> None:
    dimensions = parallel_view(snapshot, Brush({"K": ((2.5, 3.0),), "k": ((2, 2.5), (3, 3.5))})).data[0].dimensions
    assert tuple(dimensions[1].constraintrange) == (2.5, 3.0)
    assert [list(one) for one in dimensions[0].constraintrange] == [[2, 2.5], [3, 3.5]]
    assert all(one.tickvals is None for one in dimensions)
    assert draw_brush(parallel_view(snapshot, Brush()), Brush({"foreign": ((0, 1),)}), snapshot)


def test_a_brush_survives_the_browser(snapshot: StudySnapshot) -> None:
    brush = Brush({"k": ((2.0, 3.0),), OBJECTIVE: ((10.0, 20.0), (30.0, 40.0))}, axes_of(snapshot, Brush()))
    assert Brush.from_json(json.loads(json.dumps(brush.to_json()))) == brush
    assert Brush.from_json(None) == Brush()


def test_an_axis_of_another_study_decides_nothing(snapshot: StudySnapshot) -> None:
    assert indices(brushed(snapshot, Brush({"foreign": ((0.0, 1.0),)}))) == indices(snapshot)


@pytest.mark.parametrize(
    ("text", "error"),
    [("nothing=0:1", AnalysisError), ("k=4:2", AnalysisError), ("k", QuantityError), ("k=a:b", QuantityError)],
)
def test_what_cannot_be_a_filter_is_refused(snapshot: StudySnapshot, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        typed(Brush(), text, snapshot)


def test_a_study_without_results_can_be_brushed(empty_snapshot: StudySnapshot) -> None:
    assert brushed(empty_snapshot, Brush({OBJECTIVE: ((0.0, 1.0),)})).trials == ()
