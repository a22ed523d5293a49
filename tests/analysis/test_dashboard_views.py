"""What the dashboard draws, as figures and as components."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("dash")

from dash import html

from betanas.analysis.dashboard import parts, views
from betanas.analysis.dashboard.brush import Brush
from betanas.analysis.dashboard.callbacks import search_hint
from betanas.analysis.dashboard.feed import Seen, TrialDetails
from betanas.analysis.snapshot import StudySnapshot
from betanas.training.result import CurvePoint


def text_of(component: object) -> str:
    """Every word of a component, figures left out."""
    if isinstance(component, str):
        return component
    if isinstance(component, (list, tuple)):
        return " ".join(text_of(one) for one in component)
    return text_of(getattr(component, "children", None) or "")


def details(snapshot: StudySnapshot, index: int) -> TrialDetails:
    return TrialDetails(snapshot.trials[index], next(iter(snapshot.blueprints.values())), (), "")


def test_every_view_tells_of_an_empty_study(empty_snapshot: StudySnapshot) -> None:
    figures = [
        views.history_view(empty_snapshot),
        views.time_view(empty_snapshot),
        views.pareto_view(empty_snapshot),
        views.parallel_view(empty_snapshot, Brush()),
        views.overlaid_history([("a", empty_snapshot)]),
        views.overlaid_costs([("a", empty_snapshot)]),
        views.curves_view("Curves", []),
    ]
    for figure in figures:
        assert figure.layout.meta["alt"] == figure.layout.annotations[0].text
        assert figure.layout.meta["caption"]


def test_every_point_of_the_history_can_be_clicked(snapshot: StudySnapshot) -> None:
    figure = views.history_view(snapshot)
    clickable = {index for trace in figure.data if trace.customdata is not None for index in trace.customdata}
    assert clickable == {trial.index for trial in snapshot.trials}
    assert all(trace.hoverinfo == "skip" for trace in figure.data if trace.customdata is None)


def test_overlaid_studies_keep_their_places(snapshot: StudySnapshot) -> None:
    shorter = replace(snapshot, trials=snapshot.trials[:30])
    studies = [("<b>one</b>", snapshot), ("two", shorter)]
    history = views.overlaid_history(studies)
    assert [trace.name for trace in history.data][::2] == ["&lt;b&gt;one&lt;/b&gt;: trials", "two: trials"]
    costs = views.overlaid_costs(studies)
    for figure in (history, costs):
        for place, (_, study) in enumerate(studies):
            found = {
                (row[0], row[1])
                for trace in figure.data
                if trace.customdata is not None
                for row in trace.customdata
                if row[0] == place
            }
            assert found == {(place, trial.index) for trial in study.usable}
        assert figure.layout.yaxis.title.text == "Validation top-1 accuracy (%)"


def test_studies_of_different_objectives_share_no_unit(snapshot: StudySnapshot) -> None:
    other = replace(
        snapshot, trials=tuple(replace(t, objective=None if t.top1 is None else t.top1 / 2) for t in snapshot.trials)
    )
    assert views.overlaid_history([("a", snapshot), ("b", other)]).layout.yaxis.title.text == "Objective"


def test_after_a_pause_the_process_is_gone(snapshot: StudySnapshot) -> None:
    last = snapshot.sessions[-1]
    asked = replace(snapshot, state="paused", sessions=(*snapshot.sessions[:-1], replace(last, ending="")))
    gone = replace(snapshot, state="paused", sessions=(*snapshot.sessions[:-1], replace(last, ending="paused")))
    assert views.searching(asked)
    assert not views.searching(gone)
    assert "unless it is told to go on" in search_hint(asked, "runs/a")
    assert "has ended after a pause" in search_hint(gone, "my runs/a")
    assert "betanas resume 'my runs/a'" in search_hint(gone, "my runs/a")
    card = str(parts.study_card("digits", Seen(1, replace(asked, state="running"))))
    assert "Time left" in card
    assert "Time left" not in str(parts.study_card("digits", Seen(1, gone)))


def test_only_a_living_search_has_running_trials(snapshot: StudySnapshot) -> None:
    trial = replace(snapshot.trials[0], state="running")
    cut = replace(snapshot, trials=(trial,), state="interrupted")
    assert views.running_trials(cut) == ()
    assert views.running_trials(replace(cut, state="running")) == (trial,)


def test_curves_of_named_trials(snapshot: StudySnapshot) -> None:
    curve = (CurvePoint(1.0, 1, 0.1, 2.0, 0.25), CurvePoint(2.0, 2, 0.2, 1.0, 0.5))
    trial = replace(snapshot.trials[0], curve=curve)
    figure = views.curves_view("Learning curves", [("one", trial), ("none", replace(trial, curve=()))])
    assert len(figure.data) == 1
    assert list(figure.data[0].y) == [25.0, 50.0]
    assert "one: 50.00%" in figure.layout.meta["alt"]


def test_two_trials_side_by_side_name_their_difference(snapshot: StudySnapshot) -> None:
    first, second = snapshot.ranked[0].index, snapshot.ranked[1].index
    shown = parts.comparison(("A", details(snapshot, first)), ("B", details(snapshot, second)))
    words = text_of(shown)
    difference = snapshot.trials[second].vector["k"] - snapshot.trials[first].vector["k"]
    assert f"{difference:+.4f}" in words
    for index in (first, second):
        assert f"{100 * (snapshot.trials[index].top1 or 0):.2f}%" in words


def test_a_trial_beside_itself_has_two_columns(snapshot: StudySnapshot) -> None:
    one = ("A", details(snapshot, 0))
    assert "A (again)" in text_of(parts.comparison(one, one))


def test_words_of_a_stranger_stay_words(hostile_snapshot: StudySnapshot) -> None:
    """Components hold strings, which React shows as text; nothing may be raw HTML, a link or a script."""
    panel = parts.trial_panel("Trial 0", details(hostile_snapshot, 13), "dark")

    def walk(component: object) -> None:
        if isinstance(component, (list, tuple)):
            for one in component:
                walk(one)
        elif component is not None and not isinstance(component, (str, int, float)):
            assert not isinstance(component, (html.A, html.Script, html.Iframe, html.Img))
            assert "dangerously_allow_html" not in component.to_plotly_json()["props"]
            walk(getattr(component, "children", None))

    walk(panel)
    assert "<script>" in text_of(panel)


def test_a_figure_is_handed_over_with_its_theme_size_and_words(snapshot: StudySnapshot) -> None:
    figure, size, words = parts.shown(views.parallel_view(snapshot, Brush()), "dark")
    assert figure.layout.template.layout.paper_bgcolor == "#14181d"
    assert size["height"] == "460px"
    assert int(size["minWidth"].removesuffix("px")) > 380
    assert figure.layout.meta["alt"] in text_of(words)
