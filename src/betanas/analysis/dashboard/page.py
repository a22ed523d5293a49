"""The page's skeleton: headings, controls and empty frames, which the callbacks fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from betanas.analysis.dashboard.desk import Desk
from betanas.analysis.dashboard.parts import aria, frame

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}{%config%}{%scripts%}{%renderer%}</body>
</html>"""


def layout(desk: Desk, *, refresh: float) -> html.Div:
    """The page.

    Args:
        desk: the followed studies.
        refresh: seconds between two looks.
    """
    several = len(desk.feeds) > 1
    return html.Div(
        [
            html.A("Skip to the content", href="#content", className="skip"),
            dcc.Interval(id="tick", interval=round(refresh * 1000)),
            dcc.Store(id="versions", data=desk.versions()),
            dcc.Store(id="theme"),
            dcc.Store(id="brush"),
            dcc.Store(id="redraw", data=0),
            dcc.Store(id="picks", data={"first": None, "second": None, "jump": 0}),
            dcc.Store(id="jumped"),
            dcc.Store(id="shown-trials"),
            dcc.Store(id="trials-drawn"),
            _header(desk),
            html.Main(
                [
                    _now(desk, several),
                    *([_overlaid()] if several else []),
                    _trials(),
                    _parameters(),
                    _chosen(),
                ],
                id="content",
            ),
        ]
    )


def _header(desk: Desk) -> html.Header:
    return html.Header(
        [
            html.Div([html.P("BetaNAS dashboard", className="kind"), html.H1(", ".join(desk.names))]),
            _choice("Theme", "theme-choice", [("auto", "As the system"), ("light", "Light"), ("dark", "Dark")], "auto"),
        ]
    )


def _now(desk: Desk, several: bool) -> html.Section:
    studies = _choice("Study shown below", "focus", list(enumerate(desk.names)), 0)
    return html.Section(
        [
            html.H2("Now", id="now-heading"),
            html.Div(id="cards", className="cards"),
            html.Div(studies, hidden=not several),
            html.Fieldset(
                [
                    html.Legend("The search"),
                    html.Div(
                        [
                            html.Button("Pause", id="pause", type="button", disabled=True),
                            html.Button("Go on", id="go-on", type="button", disabled=True),
                            html.Button("Stop", id="stop", type="button", disabled=True, className="alarming"),
                            html.Span(
                                [
                                    html.Label("Trials planned", htmlFor="planned"),
                                    dcc.Input(id="planned", type="number", min=1, step=1),
                                    html.Button("Set", id="set-planned", type="button"),
                                ],
                                className="field",
                            ),
                        ],
                        className="row",
                    ),
                    html.P(id="search-hint", className="quiet"),
                    html.P(id="search-answer", role="status"),
                    dcc.ConfirmDialog(
                        id="confirm-stop",
                        message="Stop the search now? Trials that are being trained are cut off; betanas resume goes "
                        "on with the study.",
                    ),
                ]
            ),
            html.H3("Trained now"),
            html.Div(id="running-list", className="row"),
            html.Div(
                frame("running", "Learning curves of the trials that are trained now"), id="running-frame", hidden=True
            ),
        ],
        **aria(labelledby="now-heading"),
    )


def _overlaid() -> html.Section:
    return html.Section(
        [
            html.H2("Studies overlaid", id="overlaid-heading"),
            html.Div(
                [
                    frame("overlaid-history", "Studies overlaid by trial"),
                    frame("overlaid-costs", "Studies overlaid by parameters"),
                ],
                className="pair",
            ),
        ],
        **aria(labelledby="overlaid-heading"),
    )


def _parameters() -> html.Section:
    return html.Section(
        [
            html.H2("Parameters", id="parameters-heading"),
            html.P(
                "Drag along an axis, or type an interval: every other view then shows those trials alone.",
                className="quiet",
            ),
            frame("parallel", "Parallel axes of all parameters"),
            html.Div(
                [
                    html.Span(
                        [
                            html.Label("Keep only", htmlFor="filter"),
                            dcc.Input(id="filter", type="text", value="", placeholder="k=2:4", autoComplete="off"),
                            html.Button("Add", id="add-filter", type="button"),
                        ],
                        className="field",
                    ),
                    html.Button("Show all trials", id="clear-filters", type="button"),
                ],
                className="row",
            ),
            html.P(id="brush-words", role="status"),
            html.P(id="filter-problem", role="alert"),
        ],
        **aria(labelledby="parameters-heading"),
    )


def _trials() -> html.Section:
    return html.Section(
        [
            html.H2("Trials", id="trials-heading"),
            html.P("Click a point, or a button in the tables, to see that trial.", className="quiet"),
            frame("history", "Trial history"),
            html.Div(
                [frame("time", "Accuracy against training time"), frame("pareto", "Accuracy against parameters")],
                className="pair",
            ),
            html.Div([html.Div(id="leaders"), html.Div(id="latest")], className="pair"),
        ],
        **aria(labelledby="trials-heading"),
    )


def _chosen() -> html.Section:
    target = [("first", "the first trial"), ("second", "the second trial, beside it")]
    return html.Section(
        [
            html.H2("A trial, and another beside it", id="chosen-heading", tabIndex="-1"),
            html.Div(
                [
                    html.Span(
                        [html.Label(label, htmlFor=f"{name}-trial"), _trial_number(f"{name}-trial")], className="field"
                    )
                    for name, label in (("first", "First trial"), ("second", "Second trial"))
                ]
                + [html.Button("Take the second away", id="clear-second", type="button")],
                className="row",
            ),
            _choice("A click shows", "click-target", target, "first"),
            html.Div(html.P("No trial is chosen yet.", className="quiet"), id="chosen"),
        ],
        id="chosen-section",
        **aria(labelledby="chosen-heading"),
    )


def _trial_number(name: str) -> dcc.Input:
    # A number field complains in the browser's console when it is emptied.
    return dcc.Input(id=name, type="text", inputMode="numeric", value="", debounce=True, autoComplete="off")


def choice(name: str) -> dict[str, str]:
    """Where the browser keeps what was chosen of a row of buttons."""
    return {"type": "choice", "name": name}


def _choice(label: str, name: str, options: Sequence[tuple[Any, str]], value: Any) -> html.Fieldset:
    """A row of buttons of which one is pressed: Dash's radio buttons have no name for a screen reader."""
    buttons = [
        html.Button(
            text,
            id={"type": "choice-button", "name": name, "value": key},
            type="button",
            **aria(pressed="true" if key == value else "false"),
        )
        for key, text in options
    ]
    kept = dcc.Store(id=choice(name), data=value, storage_type="local" if name == "theme-choice" else "memory")
    return html.Fieldset([html.Legend(label), kept, html.Div(buttons, className="row")], id=name, className="choices")
