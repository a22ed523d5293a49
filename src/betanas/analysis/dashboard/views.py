"""What the dashboard draws of one study, or of several: pure functions of snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from betanas.analysis.dashboard.brush import Brush, draw_brush
from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.costs import LABELS, log_axis, pareto_front, unit_of
from betanas.analysis.figures.curves import accuracy_against_time, named_curves
from betanas.analysis.figures.history import best_so_far, trial_history
from betanas.analysis.figures.palette import series_style
from betanas.analysis.figures.parallel import parallel_axes
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import series
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.curves import learning_curves
from betanas.analysis.tables.history import history
from betanas.analysis.tables.parameters import normalised_parameters
from betanas.analysis.tables.pareto import pareto, traded_cost
from betanas.search.records import TrialRecord

NamedStudies = Sequence[tuple[str, StudySnapshot]]


def blank(title: str, words: str) -> go.Figure:
    """A figure that has nothing to show yet, and says so."""
    figure = go.Figure()
    figure.add_annotation(text=plain(words), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font_size=14)
    hidden: dict[str, Any] = {"xaxis_visible": False, "yaxis_visible": False}
    return finish(figure, title=title, caption=words, alt=words, height=220, **hidden)


def history_view(snapshot: StudySnapshot) -> go.Figure:
    """Every trial in order."""
    if not snapshot.trials:
        return blank("Trial history", "There is no trial to show.")
    figure = trial_history(history(snapshot), snapshot.measure)
    # The line of the best so far lies over the trials that raised it and would catch their clicks.
    return figure.for_each_trace(
        lambda trace: trace.update(hoverinfo="skip", hovertemplate=None), lambda trace: trace.customdata is None
    )


def time_view(snapshot: StudySnapshot) -> go.Figure:
    """Every learning curve."""
    return _or_blank("Accuracy against training time", lambda: accuracy_against_time(learning_curves(snapshot)))


def pareto_view(snapshot: StudySnapshot) -> go.Figure:
    """Accuracy against the cost that it is traded against."""
    cost = traded_cost(snapshot)
    title = f"Accuracy against {LABELS[cost].lower()}"
    return _or_blank(title, lambda: pareto_front(pareto(snapshot, cost), snapshot.measure, cost))


def parallel_view(snapshot: StudySnapshot, brush: Brush) -> go.Figure:
    """Parallel axes with the brush drawn on them."""

    def build() -> go.Figure:
        figure = parallel_axes(normalised_parameters(snapshot), snapshot.ranges, snapshot.measure)
        return draw_brush(figure, brush, snapshot)

    return _or_blank("Parameters of all trials", build)


def searching(snapshot: StudySnapshot) -> bool:
    """Whether a process is working on the study: after a pause it ends with its last trial."""
    ended = bool(snapshot.sessions) and snapshot.sessions[-1].ending != ""
    return snapshot.state == "running" or (snapshot.state == "paused" and not ended)


def running_trials(snapshot: StudySnapshot) -> tuple[TrialRecord, ...]:
    """The trials that are being trained now; one that was cut off is not."""
    if not searching(snapshot):
        return ()
    return tuple(trial for trial in snapshot.trials if trial.state == "running")


def curves_view(title: str, trials: Sequence[tuple[str, TrialRecord]]) -> go.Figure:
    """Learning curves of named trials, of one study or of several."""
    drawn = [(name, trial.curve) for name, trial in trials if trial.curve]
    if not drawn:
        return blank(title, "No learning curve has been recorded yet.")
    caption = "Validation top-1 accuracy against training seconds (evaluation and start-up do not count)."
    return named_curves(dict(drawn), title=title, caption=caption, height=360, showlegend=True)


def overlaid_history(studies: NamedStudies) -> go.Figure:
    """The running best of several studies over their trials, with the trials behind it."""
    figure, ends = go.Figure(), []
    for place, (name, snapshot) in enumerate(studies):
        style, measure, rows = series_style(place), snapshot.measure, history(snapshot).rows
        usable = {row.index: row.objective * measure.scale for row in rows if row.objective is not None}
        if not usable:
            continue
        group: dict[str, Any] = {"legendgroup": str(place), "customdata": [[place, index] for index in usable]}
        x, y, hover = list(usable), list(usable.values()), "trial %{x}: %{y:.2f}"
        dots = series(x, y, f"{name}: trials", style, "markers", hover=hover, size=6, marker_opacity=0.45, **group)
        figure.add_trace(dots)
        figure.add_trace(best_so_far(rows, measure, f"{name}: best so far", style, group=str(place)))
        ends.append(f"{plain(name)} {max(usable.values()):.2f}{measure.unit}")
    title = "Studies by trial"
    if not ends:
        return blank(title, "No trial of these studies has a result yet.")
    return finish(
        figure,
        title=title,
        caption="Each study's trials in the order of suggestion, and its best so far.",
        alt=f"Scatter plot with a step line for each study. Best so far: {', '.join(ends)}.",
        x="Trial",
        y=_shared_title(studies),
    )


def overlaid_costs(studies: NamedStudies) -> go.Figure:
    """Accuracy against parameters for several studies."""
    title = "Studies by parameters"
    known = [(name, one, [trial for trial in one.usable if trial.params]) for name, one in studies]
    sizes = [trial.params for _, _, trials in known for trial in trials]
    if not sizes:
        return blank(title, "No trial of these studies has a result yet.")
    unit, factor = unit_of("params", max(sizes))
    figure = go.Figure()
    for place, (name, snapshot, trials) in enumerate(known):
        style, scale = series_style(place), snapshot.measure.scale
        x, y = [trial.params * factor for trial in trials], [(trial.objective or 0.0) * scale for trial in trials]
        told = [[place, trial.index] for trial in trials]
        hover = f"trial %{{customdata[1]}}: %{{y:.2f}} at %{{x:.2f}} {unit}"
        figure.add_trace(series(x, y, name, style, "markers", hover=hover, customdata=told, marker_opacity=0.7))
    return finish(
        figure,
        title=title,
        caption="Every usable trial of each study against the parameters of its network.",
        alt=f"Scatter plot of {len(sizes)} trials of {len(studies)} studies.",
        xaxis=log_axis(f"Parameters ({unit})", min(sizes) * factor, max(sizes) * factor),
        y=_shared_title(studies),
        showlegend=True,
    )


def _shared_title(studies: NamedStudies) -> str:
    titles = {snapshot.measure.title for _, snapshot in studies if snapshot.usable}
    return titles.pop() if len(titles) == 1 else "Objective"


def _or_blank(title: str, build: Callable[[], go.Figure]) -> go.Figure:
    try:
        return build()
    except MissingDataError as error:
        return blank(title, error.rule)
