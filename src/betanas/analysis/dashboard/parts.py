"""Pieces of the page as Dash components. React shows every word from a study as text, so none of it becomes HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html

from betanas.analysis import wording
from betanas.analysis.dashboard.feed import Seen, TrialDetails
from betanas.analysis.dashboard.views import curves_view, searching
from betanas.analysis.figures.architecture import schematic
from betanas.analysis.figures.style import ThemeName, with_theme
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.history import seconds_left, totals
from betanas.quantities import format_latency
from betanas.search.bounds import on_bounds
from betanas.search.chance import advice
from betanas.search.records import TrialRecord

# Half of plotly's own resolution for WebGL: without a graphics card that halves the time of a redraw.
GRAPH_CONFIG: Any = {"displaylogo": False, "displayModeBar": False, "responsive": True, "plotGlPixelRatio": 1}
_FILL: Any = {"height": "100%"}
_WAITING: Any = {
    "data": [],
    "layout": {"height": 420, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"},
}
_WAITING["layout"] |= {"xaxis": {"visible": False}, "yaxis": {"visible": False}}

Shown = tuple[go.Figure, dict[str, str], list[Any]]


def aria(**words: str) -> dict[str, Any]:
    """Attributes for those who cannot see the page, for Dash components that name them with a hyphen."""
    return {f"aria-{name}": value for name, value in words.items()}


def shown(figure: go.Figure, theme: ThemeName) -> Shown:
    """A figure as the page holds it: themed, its least width and its height, its caption with the alternative text."""
    meta = figure.layout.meta
    words = [meta["caption"], html.Span(f" {meta['alt']}", className="unseen")]
    size = {"minWidth": f"{meta['min_width']}px", "height": f"{figure.layout.height}px"}
    return with_theme(figure, theme), size, words


def frame(name: str, label: str) -> html.Figure:
    """An empty frame; its figure, width and caption come with the first update."""
    return _frame(label, dcc.Graph(id=f"{name}-graph", figure=_WAITING, config=GRAPH_CONFIG, style=_FILL), name)


def still(figure: go.Figure, theme: ThemeName, label: str) -> html.Figure:
    """A frame with a figure that is replaced as a whole."""
    themed, width, words = shown(figure, theme)
    return _frame(label, dcc.Graph(figure=themed, config=GRAPH_CONFIG, style=_FILL), None, width, words)


def _frame(
    label: str, graph: dcc.Graph, name: str | None, width: dict[str, str] | None = None, words: list[Any] | None = None
) -> html.Figure:
    ids: dict[str, Any] = {} if name is None else {"id": f"{name}-width"}
    caption: dict[str, Any] = {} if name is None else {"id": f"{name}-caption"}
    return html.Figure(
        [
            html.Div(
                html.Div(graph, style=width or {"height": "420px"}, **ids),
                className="scroll",
                tabIndex="0",
                role="group",
                **aria(label=label),
            ),
            html.Figcaption(words or [], **caption),
        ]
    )


def facts(pairs: Sequence[tuple[str, str]], style: str = "facts") -> html.Dl:
    """Names and values."""
    return html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in pairs], className=style)


def table(grid: wording.Grid, first: Sequence[Any] | None = None) -> html.Div:
    """A table for reading; `first` takes the place of its first column."""
    kinds = ["number" if numeric else "" for numeric in grid.numeric]
    head = [html.Th(text, scope="col", className=kind) for text, kind in zip(grid.headings, kinds, strict=True)]
    rows = [[html.Td(cell, className=kind) for cell, kind in zip(row, kinds, strict=True)] for row in grid.cells]
    for row, button in zip(rows, first or (), strict=False):
        row[0] = html.Td(button)
    body = html.Tbody([html.Tr(row) for row in rows])
    return html.Div(
        html.Table([html.Caption(grid.caption), html.Thead(html.Tr(head)), body]),
        className="scroll",
        tabIndex="0",
        role="group",
        **aria(label=grid.caption),
    )


def folded(title: str, content: Any, *, is_open: bool = False) -> html.Details:
    """Something that can be folded away."""
    return html.Details([html.Summary(title), content], open=is_open)


def problem(words: str) -> html.P:
    """Something that went wrong."""
    return html.P(words, className="problem")


def study_card(name: str, seen: Seen) -> html.Div:
    """How a study stands."""
    snapshot = seen.snapshot
    counted = totals(snapshot)
    done = counted.trials - counted.running
    planned = max(counted.planned or 0, done)
    label = f"{done:,} of {planned:,} trials have ended" if counted.planned else f"{done:,} trials have ended"
    return html.Div(
        [
            html.H3([name, " ", html.Span(snapshot.state, className=f"state {snapshot.state}")]),
            html.Progress(value=str(min(done, planned)), max=str(max(planned, 1)), **aria(label=label)),
            html.P(f"{label}; {counted.infeasible:,} infeasible, {counted.failed:,} failed.", className="quiet"),
            facts((*wording.key_numbers(snapshot), *_time_left(snapshot)), "numbers"),
            *([problem(said)] if (said := advice(snapshot.plan, snapshot.trials)) else []),
            *([html.P(said, className="quiet")] if (said := on_bounds(snapshot.plan, snapshot.trials)) else []),
            *([problem(f"It could not be read just now. {seen.problem}")] if seen.problem else []),
        ],
        className="card",
    )


def _time_left(snapshot: StudySnapshot) -> tuple[tuple[str, str], ...]:
    left = seconds_left(snapshot) if searching(snapshot) else None
    return () if left is None else (("Time left", f"about {wording.seconds_text(left)}"),)


def pick_button(place: str, study: int, trial: int, text: str | None = None) -> html.Button:
    """A button that shows a trial."""
    identity = {"type": "pick", "place": place, "study": study, "trial": trial}
    return html.Button(text or f"Trial {trial}", id=identity, type="button", className="pick", n_clicks=0)


def trial_list(title: str, place: str, study: int, trials: Sequence[TrialRecord], snapshot: StudySnapshot) -> html.Div:
    """Trials with a button each."""
    scale = snapshot.measure.scale
    objective = "Top-1 (%)" if snapshot.measure.unit == "%" else "Objective"
    rows = [
        {
            "Trial": f"trial {trial.index}",
            "State": trial.state + (f" ({trial.cause})" if trial.cause else ""),
            "Suggested by": trial.origin,
            objective: wording.NONE if trial.objective is None else f"{trial.objective * scale:.2f}",
            "Parameters": wording.count_text(trial.params),
            **({wording.PREDICTED_ANSWER: _answer(snapshot, trial)} if snapshot.latencies else {}),
            "Training": wording.seconds_text(trial.training_seconds),
        }
        for trial in trials
    ]
    return table(wording.grid(rows, title), [pick_button(place, study, trial.index) for trial in trials])


def _answer(snapshot: StudySnapshot, trial: TrialRecord) -> str:
    seconds = snapshot.latencies.get(trial.index)
    return wording.NONE if seconds is None else format_latency(seconds)


def trial_panel(name: str, details: TrialDetails, theme: ThemeName) -> html.Article:
    """One trial: how it ended, what it cost, its architecture, layers, vector, attempts and log."""
    record, blueprint = details.record, details.blueprint
    vector = [{"Parameter": key, "Value": f"{value:.4f}"} for key, value in record.vector.items()]
    attempts = [
        {
            "Attempt": one["number"],
            "Started (UTC)": f"{one['started']:%Y-%m-%d %H:%M:%S}" if one["started"] else wording.NONE,
            "Ended (UTC)": f"{one['ended']:%Y-%m-%d %H:%M:%S}" if one["ended"] else wording.NONE,
            "Cause": one["cause"] or wording.NONE,
            "Reason": one["reason"] or wording.NONE,
        }
        for one in details.attempts
    ]
    return html.Article(
        [
            html.H3(name),
            facts(wording.trial_facts(record, details.latency)),
            still(
                schematic(blueprint, title=f"Architecture of trial {record.index}"), theme, f"Architecture of {name}"
            ),
            folded("Layers", table(wording.layer_grid(blueprint))),
            folded("Parameter vector", table(wording.grid(vector, f"Parameter vector of {name}"))),
            *([folded("Attempts", table(wording.grid(attempts, f"Attempts at {name}")))] if attempts else []),
            folded(
                "Log",
                html.Pre(details.log, tabIndex="0", **aria(label=f"Log of {name}"))
                if details.log
                else html.P("It printed nothing, or nothing was kept."),
                is_open=bool(details.log),
            ),
        ]
    )


def comparison(first: tuple[str, TrialDetails], second: tuple[str, TrialDetails]) -> html.Div:
    """Two trials' facts and vectors beside each other."""
    (one_name, one), (other_name, other) = first, second
    # Two trials of the same number belong to two studies, and one compared with itself needs two columns all the same.
    names = (one_name, other_name if other_name != one_name else f"{other_name} (again)")
    records = (one.record, other.record)
    told = [dict(wording.trial_facts(each.record, each.latency)) for each in (one, other)]
    keys = dict.fromkeys(key for found in told for key in found)
    rows = [
        {"Fact": key, **{name: found.get(key, wording.NONE) for name, found in zip(names, told, strict=True)}}
        for key in keys
    ]
    vectors = []
    for key in dict.fromkeys(key for record in records for key in record.vector):
        a, b = (record.vector.get(key) for record in records)
        texts = [wording.NONE if value is None else f"{value:.4f}" for value in (a, b)]
        apart = wording.NONE if a is None or b is None else f"{b - a:+.4f}"
        vectors.append({"Parameter": key, **dict(zip(names, texts, strict=True)), "Difference": apart})
    return html.Div(
        [
            table(wording.grid(rows, "The two trials side by side.")),
            folded("Parameter vectors side by side", table(wording.grid(vectors, "Second minus first.")), is_open=True),
        ]
    )


def curve_panel(trials: Sequence[tuple[str, TrialDetails]], theme: ThemeName) -> html.Figure:
    """The learning curves of the chosen trials in one figure."""
    named = [(name, details.record) for name, details in trials]
    return still(
        curves_view("Learning curve" if len(named) == 1 else "Learning curves", named), theme, "Learning curve"
    )
