"""What the page does: follow the studies, brush, pick trials, compare them, ask something of the search."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from betanas.analysis.dashboard import views
from betanas.analysis.dashboard.brush import Brush, brushed, dragged, typed
from betanas.analysis.dashboard.feed import TrialDetails
from betanas.analysis.dashboard.followed import FollowedStudies, freeze
from betanas.analysis.dashboard.page import choice
from betanas.analysis.dashboard.parts import (
    comparison,
    curve_panel,
    pick_button,
    problem,
    shown,
    study_card,
    trial_list,
    trial_panel,
)
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.wording import of_trials
from betanas.errors import BetanasError
from betanas.search.store.store import Request

FOCUS = choice("focus")
_LISTED = 10
_REQUESTS: dict[str, tuple[Request, str]] = {
    "pause": ("pause", "ends after the trials that are being trained"),
    "go-on": ("run", "goes on"),
    "confirm-stop": ("stop", "ends now"),
}
# More running curves than this cannot be told apart.
_MOST_RUNNING = 12


def connect(app: Dash, followed: FollowedStudies) -> None:
    """Register every callback."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("betanas", "theme"),
        Output("theme", "data"),
        Input(choice("theme-choice"), "data"),
        Input("tick", "n_intervals"),
        State("theme", "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("betanas", "jump"), Output("jumped", "data"), Input("picks", "data")
    )
    buttons = {"type": "choice-button", "name": MATCH, "value": ALL}
    kept = {"type": "choice", "name": MATCH}
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("betanas", "choose"),
        Output(kept, "data"),
        Output(buttons, "aria-pressed"),
        Input(buttons, "n_clicks"),
        Input(kept, "data"),
        State(buttons, "id"),
    )
    _follow(app, followed)
    _show_state(app, followed)
    if len(followed.feeds) > 1:
        _show_overlay(app, followed)
    _brush(app, followed)
    _show_parameters(app, followed)
    _show_trials(app, followed)
    _pick(app, followed)
    _show_chosen(app, followed)
    _control(app, followed)


def _outputs(prop: str, *names: str) -> list[Output]:
    return [Output(name, prop) for name in names]


def _inputs(prop: str, *names: str | dict[str, str]) -> list[Input]:
    return [Input(name, prop) for name in names]


def _states(prop: str, *names: str | dict[str, str]) -> list[State]:
    return [State(name, prop) for name in names]


def _figure_outputs(*names: str) -> list[Output]:
    return [
        Output(f"{name}-{part}", prop)
        for name in names
        for part, prop in (("graph", "figure"), ("width", "style"), ("caption", "children"))
    ]


def _follow(app: Dash, followed: FollowedStudies) -> None:
    def follow(_ticks: int | None, known: list[int]) -> list[int]:
        versions = followed.versions()
        if versions == known:
            raise PreventUpdate
        return versions

    app.callback(Output("versions", "data"), Input("tick", "n_intervals"), State("versions", "data"))(follow)


def _show_state(app: Dash, followed: FollowedStudies) -> None:
    def show(_versions: list[int], theme: Any, focus: Any) -> tuple[Any, ...]:
        theme, study = _theme(theme), followed.place(focus)
        seen = followed.look()
        snapshot = seen[study].snapshot
        running = views.running_trials(snapshot)[-_MOST_RUNNING:]
        figure = views.curves_view("Trained now", [(f"trial {trial.index}", trial) for trial in running])
        buttons = [pick_button("running", study, trial.index) for trial in running]
        alive, paused = views.searching(snapshot), snapshot.state == "paused"
        return (
            [study_card(name, one) for name, one in zip(followed.names, seen, strict=True)],
            buttons or "No trial is being trained now.",
            not running,
            *shown(figure, theme),
            not alive or paused,
            not (alive and paused),
            not alive,
            search_hint(snapshot, followed.feeds[study].shown_location),
            snapshot.plan.search.trials if ctx.triggered_id in (None, FOCUS, "theme") else no_update,
        )

    lists = _outputs("children", "cards", "running-list")
    buttons = _outputs("disabled", "pause", "go-on", "stop")
    hint = [Output("search-hint", "children"), Output("planned", "value")]
    frame = [Output("running-frame", "hidden"), *_figure_outputs("running")]
    app.callback(*lists, *frame, *buttons, *hint, *_inputs("data", "versions", "theme", FOCUS))(show)


def search_hint(snapshot: StudySnapshot, location: str) -> str:
    """What the buttons do now, or how to resume."""
    if not views.searching(snapshot):
        ended = "The search has ended after a pause" if snapshot.state == "paused" else "No search works on this study"
        return f"{ended}: there is no process to stop or to go on. Resume it with: betanas resume {quote(location)}"
    if snapshot.state == "running":
        return "Pause ends the search after the trials that are being trained; stop ends it now."
    return "The search ends after the trials that are being trained, unless it is told to go on."


def _show_overlay(app: Dash, followed: FollowedStudies) -> None:
    def show(_versions: list[int], theme: Any, brush: Mapping[str, Any] | None) -> tuple[Any, ...]:
        theme, seen = _theme(theme), followed.look()
        key = ("overlay", tuple(one.version for one in seen), theme, freeze(brush))

        def make() -> tuple[Any, ...]:
            kept = Brush.from_json(brush)
            studies = [(name, brushed(one.snapshot, kept)) for name, one in zip(followed.names, seen, strict=True)]
            return (
                *shown(views.overlaid_history(studies), theme),
                *shown(views.overlaid_costs(studies), theme),
            )

        return followed.once(key, make)

    figures = _figure_outputs("overlaid-history", "overlaid-costs")
    app.callback(*figures, *_inputs("data", "versions", "theme", "brush"))(show)


def _show_parameters(app: Dash, followed: FollowedStudies) -> None:
    def show(_drawn: Any, redraw: int, theme: Any, focus: Any, brush: Mapping[str, Any] | None) -> tuple[Any, ...]:
        theme, study = _theme(theme), followed.place(focus)
        seen = followed.feeds[study].look()
        key = ("parallel", study, seen.version, theme, freeze(brush), redraw)
        return followed.once(key, lambda: shown(views.parallel_view(seen.snapshot, Brush.from_json(brush)), theme))

    # The slowest figure to draw waits until the others are there; it is not drawn anew for a brush of its own.
    causes, states = _inputs("data", "trials-drawn", "redraw"), _states("data", "theme", FOCUS, "brush")
    app.callback(*_figure_outputs("parallel"), *causes, *states)(show)


def _show_trials(app: Dash, followed: FollowedStudies) -> None:
    def show(
        _versions: list[int], theme: Any, focus: Any, brush: Mapping[str, Any] | None, drawn: Any
    ) -> tuple[Any, ...]:
        theme, study = _theme(theme), followed.place(focus)
        seen = followed.feeds[study].look()

        def make() -> tuple[Any, ...]:
            kept = Brush.from_json(brush)
            snapshot = brushed(seen.snapshot, kept)
            latest = snapshot.trials[: -_LISTED - 1 : -1]
            count, everything = len(snapshot.trials), len(seen.snapshot.trials)
            words = f"All {of_trials(everything)} are shown."
            if kept.intervals:
                words = f"{count:,} of {of_trials(everything)} are shown: those with {kept.words()}."
            return (
                *shown(views.history_view(snapshot), theme),
                *shown(views.time_view(snapshot), theme),
                *shown(views.pareto_view(snapshot), theme),
                trial_list("The best trials", "leaders", study, snapshot.ranked[:_LISTED], snapshot),
                trial_list("The latest trials", "latest", study, latest, snapshot),
                words,
            )

        made = followed.once(("trials", study, seen.version, theme, freeze(brush)), make)
        now = [study, seen.version, theme]
        return *made, no_update if now == drawn else now

    figures = _figure_outputs("history", "time", "pareto")
    lists = _outputs("children", "leaders", "latest", "brush-words")
    causes = _inputs("data", "versions", "theme", FOCUS, "brush")
    app.callback(*figures, *lists, Output("trials-drawn", "data"), *causes, State("trials-drawn", "data"))(show)


def _brush(app: Dash, followed: FollowedStudies) -> None:
    def change(
        moved: Any, _added: Any, _entered: Any, _cleared: Any, focus: Any, text: str | None, data: Any, redraw: int
    ) -> tuple[Any, ...]:
        snapshot = followed.feeds[followed.place(focus)].look().snapshot
        brush, cause = Brush.from_json(data), ctx.triggered_id
        if cause == "parallel-graph":
            # Only the first trace is the axes; the others carry the legend's entries.
            if not moved or not isinstance(moved[0], dict):
                raise PreventUpdate
            return dragged(brush, moved[0], snapshot).to_json(), no_update, "", no_update
        if cause in ("clear-filters", FOCUS):
            return None, redraw + 1, "", ""
        if not text:
            raise PreventUpdate
        try:
            return typed(brush, text, snapshot).to_json(), redraw + 1, "", ""
        except BetanasError as error:
            return no_update, no_update, str(error), no_update

    changed = [*_outputs("data", "brush", "redraw"), Output("filter-problem", "children"), Output("filter", "value")]
    added = [Input("add-filter", "n_clicks"), Input("filter", "n_submit"), Input("clear-filters", "n_clicks")]
    causes = [Input("parallel-graph", "restyleData"), *added, Input(FOCUS, "data")]
    states = [State("filter", "value"), *_states("data", "brush", "redraw")]
    app.callback(*changed, *causes, *states, prevent_initial_call=True)(change)


def _pick(app: Dash, followed: FollowedStudies) -> None:
    clickable = ["history-graph", "time-graph", "pareto-graph"]
    overlaid = ["overlaid-history-graph", "overlaid-costs-graph"] if len(followed.feeds) > 1 else []

    def pick(*given: Any) -> tuple[Any, ...]:
        *clicks, _buttons, first, second, _cleared, target, focus, picks = given
        study, cause = followed.place(focus), ctx.triggered_id
        chosen = {"first": picks.get("first"), "second": picks.get("second"), "jump": picks.get("jump", 0)}
        if cause == "clear-second":
            chosen["second"] = None
        elif cause in ("first-trial", "second-trial"):
            number = str((first if cause == "first-trial" else second) or "").strip()
            chosen[cause.removesuffix("-trial")] = [study, int(number)] if number.isdecimal() else None
        else:
            found = _clicked(cause, dict(zip((*clickable, *overlaid), clicks, strict=True)), study)
            if not followed.is_pick(found):
                raise PreventUpdate
            chosen["second" if target == "second" else "first"] = found
            chosen["jump"] += 1
        return chosen, *(str(chosen[name][1]) if chosen[name] else "" for name in ("first", "second"))

    numbers = ("first-trial", "second-trial")
    buttons = Input({"type": "pick", "place": ALL, "study": ALL, "trial": ALL}, "n_clicks")
    typed_in = [*_inputs("value", *numbers), Input("clear-second", "n_clicks")]
    causes = [*_inputs("clickData", *clickable, *overlaid), buttons, *typed_in]
    states = _states("data", choice("click-target"), FOCUS, "picks")
    picked = [Output("picks", "data"), *_outputs("value", *numbers)]
    app.callback(*picked, *causes, *states, prevent_initial_call=True)(pick)


def _clicked(cause: Any, clicks: Mapping[str, Any], study: int) -> list[Any] | None:
    """The study and trial of a click; a button that has just been drawn was not clicked."""
    if isinstance(cause, Mapping):
        return [cause["study"], cause["trial"]] if ctx.triggered[0]["value"] else None
    points = (clicks.get(cause) or {}).get("points") or [{}]
    found = points[0].get("customdata")
    return found if isinstance(found, list) else [study, found]


def _show_chosen(app: Dash, followed: FollowedStudies) -> None:
    def show(picks: Mapping[str, Any], theme: Any, _versions: list[int], before: Any) -> tuple[Any, Any]:
        theme = _theme(theme)
        wanted = [picks.get(name) for name in ("first", "second")]
        found: list[tuple[str, TrialDetails]] = []
        problems = []
        for pick in wanted:
            if not followed.is_pick(pick):
                continue
            study, trial = pick  # type: ignore[misc]
            try:
                found.append((followed.trial_name(study, trial), followed.feeds[study].details(trial)))
            except BetanasError as error:
                problems.append(str(error))
        key = [theme, wanted, problems]
        key += [[one.record.state, one.record.attempts, len(one.record.curve), len(one.log)] for _, one in found]
        if key == before:
            raise PreventUpdate
        if not found and not problems:
            return html.P("No trial is chosen yet.", className="quiet"), key
        parts: list[Any] = [problem(words) for words in problems]
        if found:
            parts.append(curve_panel(found, theme))
        if len(found) == 2:
            parts.append(comparison(found[0], found[1]))
        panels = [trial_panel(name, details, theme) for name, details in found]
        return [*parts, html.Div(panels, className="pair" if len(panels) == 2 else "")], key

    changed, known = [Output("chosen", "children"), Output("shown-trials", "data")], State("shown-trials", "data")
    app.callback(*changed, *_inputs("data", "picks", "theme", "versions"), known)(show)


def _control(app: Dash, followed: FollowedStudies) -> None:
    app.callback(Output("confirm-stop", "displayed"), Input("stop", "n_clicks"), prevent_initial_call=True)(
        lambda _clicks: True
    )

    def ask(_pause: Any, _go_on: Any, _stop: Any, _planned: Any, focus: Any, number: Any) -> str:
        feed = followed.feeds[followed.place(focus)]
        try:
            match ctx.triggered_id:
                case "pause" | "go-on" | "confirm-stop" as button:
                    request, answer = _REQUESTS[button]
                    feed.request(request)
                    return f"Asked: the search {answer}."
                case _:
                    if not isinstance(number, int):
                        return "The number of trials must be a whole number."
                    feed.set_trials_planned(number)
                    return f"The search is to run {of_trials(number)}."
        except BetanasError as error:
            return str(error)

    causes = [*_inputs("n_clicks", "pause", "go-on"), Input("confirm-stop", "submit_n_clicks")]
    causes += [Input("set-planned", "n_clicks")]
    states = [State(FOCUS, "data"), State("planned", "value")]
    app.callback(Output("search-answer", "children"), *causes, *states, prevent_initial_call=True)(ask)


def _theme(theme: Any) -> Any:
    """The theme that the browser has settled on; before that there is nothing to draw."""
    if theme not in ("light", "dark"):
        raise PreventUpdate
    return theme
