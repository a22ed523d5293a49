"""The page's skeleton: headings, controls and empty frames, which the callbacks fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from betanas.analysis.dashboard.followed import FollowedStudies
from betanas.analysis.dashboard.parts import aria, frame

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}{%config%}{%scripts%}{%renderer%}</body>
</html>"""


def layout(followed: FollowedStudies, *, refresh: float) -> html.Div:
    """The page.

    Args:
        followed: the followed studies.
        refresh: seconds between two looks.
    """
    several = len(followed.feeds) > 1
    kept: dict[str, Any] = {
        "versions": followed.versions(),
        "redraw": 0,
        "picks": {"first": None, "second": None, "jump": 0},
    }
    kept |= dict.fromkeys(("theme", "brush", "jumped", "shown-trials", "trials-drawn"))
    sections = [_now(followed, several), *([_overlaid()] if several else []), _trials(), _parameters(), _chosen()]
    return html.Div(
        [
            html.A("Skip to the content", href="#content", className="skip"),
            dcc.Interval(id="tick", interval=round(refresh * 1000)),
            *(dcc.Store(id=name, data=data) for name, data in kept.items()),
            _header(followed),
            html.Main(sections, id="content"),
        ]
    )


def _header(followed: FollowedStudies) -> html.Header:
    themes = [("auto", "As the system"), ("light", "Light"), ("dark", "Dark")]
    title = html.Div([html.P("BetaNAS dashboard", className="kind"), html.H1(", ".join(followed.names))])
    return html.Header([title, _choice("Theme", "theme-choice", themes, "auto")])


def _now(followed: FollowedStudies, several: bool) -> html.Section:
    number = dcc.Input(id="planned", type="number", min=1, step=1)
    planned = _field("Trials planned", "planned", number, _button("Set", "set-planned"))
    buttons: list[Any] = [_button(text, name, disabled=True) for text, name in (("Pause", "pause"), ("Go on", "go-on"))]
    buttons += [_button("Stop", "stop", disabled=True, className="alarming"), planned]
    question = "Stop the search now? Trials that are being trained are cut off; betanas resume goes on with the study."
    search = html.Fieldset(
        [
            html.Legend("The search"),
            html.Div(buttons, className="row"),
            html.P(id="search-hint", className="quiet"),
            html.P(id="search-answer", role="status"),
            dcc.ConfirmDialog(id="confirm-stop", message=question),
        ]
    )
    curves = frame("running", "Learning curves of the trials that are trained now")
    return _section(
        "Now",
        "now",
        html.Div(id="cards", className="cards"),
        html.Div(_choice("Study shown below", "focus", list(enumerate(followed.names)), 0), hidden=not several),
        search,
        html.H3("Trained now"),
        html.Div(id="running-list", className="row"),
        html.Div(curves, id="running-frame", hidden=True),
    )


def _overlaid() -> html.Section:
    shown = {"overlaid-history": "trial", "overlaid-costs": "parameters"}
    frames = [frame(name, f"Studies overlaid by {by}") for name, by in shown.items()]
    return _section("Studies overlaid", "overlaid", html.Div(frames, className="pair"))


def _parameters() -> html.Section:
    hint = "Drag along an axis, or type an interval: every other view then shows those trials alone."
    typed = dcc.Input(id="filter", type="text", value="", placeholder="k=2:4", autoComplete="off")
    filters = [
        _field("Keep only", "filter", typed, _button("Add", "add-filter")),
        _button("Show all trials", "clear-filters"),
    ]
    return _section(
        "Parameters",
        "parameters",
        html.P(hint, className="quiet"),
        frame("parallel", "Parallel axes of all parameters"),
        html.Div(filters, className="row"),
        html.P(id="brush-words", role="status"),
        html.P(id="filter-problem", role="alert"),
    )


def _trials() -> html.Section:
    below = [frame("time", "Accuracy against training time"), frame("pareto", "Accuracy against parameters")]
    return _section(
        "Trials",
        "trials",
        html.P("Click a point, or a button in the tables, to see that trial.", className="quiet"),
        frame("history", "Trial history"),
        html.Div(below, className="pair"),
        html.Div([html.Div(id="leaders"), html.Div(id="latest")], className="pair"),
    )


def _chosen() -> html.Section:
    target = [("first", "the first trial"), ("second", "the second trial, beside it")]
    numbers = [
        _field(text, name, _trial_number(name))
        for text, name in (("First trial", "first-trial"), ("Second trial", "second-trial"))
    ]
    return _section(
        "A trial, and another beside it",
        "chosen",
        html.Div([*numbers, _button("Take the second away", "clear-second")], className="row"),
        _choice("A click shows", "click-target", target, "first"),
        html.Div(html.P("No trial is chosen yet.", className="quiet"), id="chosen"),
        tabIndex="-1",
    )


def _section(title: str, name: str, *content: Any, **heading: Any) -> html.Section:
    named = {"id": f"{name}-section", **aria(labelledby=f"{name}-heading")}
    return html.Section([html.H2(title, id=f"{name}-heading", **heading), *content], **named)


def _button(text: str, name: str, **settings: Any) -> html.Button:
    return html.Button(text, id=name, type="button", **settings)


def _field(label: str, name: str, given: dcc.Input, *buttons: html.Button) -> html.Span:
    return html.Span([html.Label(label, htmlFor=name), given, *buttons], className="field")


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
