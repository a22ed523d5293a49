"""What the dashboard draws of one study, or of several: pure functions of snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import plotly.graph_objects as go

from betanas.analysis.dashboard.brush import Brush, draw_brush
from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.costs import log_axis, pareto_front, unit_of
from betanas.analysis.figures.curves import accuracy_against_time
from betanas.analysis.figures.history import trial_history
from betanas.analysis.figures.palette import series_style
from betanas.analysis.figures.parallel import parallel_axes
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.curves import learning_curves
from betanas.analysis.tables.history import history
from betanas.analysis.tables.parameters import normalised_parameters
from betanas.analysis.tables.pareto import pareto
from betanas.search.records import TrialRecord

NamedStudies = Sequence[tuple[str, StudySnapshot]]


def blank(title: str, words: str) -> go.Figure:
    """A figure that has nothing to show yet, and says so."""
    figure = go.Figure()
    figure.add_annotation(
        text=plain(words), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14}
    )
    return finish(
        figure, title=title, caption=words, alt=words, height=220, xaxis={"visible": False}, yaxis={"visible": False}
    )


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
    """Accuracy against parameters."""
    return _or_blank("Accuracy against parameters", lambda: pareto_front(pareto(snapshot), snapshot.measure))


def parallel_view(snapshot: StudySnapshot, brush: Brush) -> go.Figure:
    """Parallel axes with the brush drawn on them."""

    def build() -> go.Figure:
        figure = parallel_axes(normalised_parameters(snapshot), snapshot.ranges, snapshot.measure)
        return draw_brush(figure, brush, snapshot)

    return _or_blank("Parameters of all trials", build)


def running_trials(snapshot: StudySnapshot) -> tuple[TrialRecord, ...]:
    """The trials that are being trained now; one that was cut off is not."""
    if snapshot.state not in ("running", "paused"):
        return ()
    return tuple(trial for trial in snapshot.trials if trial.state == "running")


def curves_view(title: str, trials: Sequence[tuple[str, TrialRecord]]) -> go.Figure:
    """Learning curves of named trials, of one study or of several."""
    drawn = [(name, trial.curve) for name, trial in trials if trial.curve]
    if not drawn:
        return blank(title, "No learning curve has been recorded yet.")
    figure = go.Figure()
    for place, (name, curve) in enumerate(drawn):
        style = series_style(place)
        figure.add_trace(
            go.Scatter(
                x=compact([point.seconds for point in curve]),
                y=compact([100 * point.accuracy for point in curve]),
                mode="lines+markers",
                name=plain(name),
                line={"color": style.colour, "dash": style.dash, "width": 2},
                marker={"symbol": style.symbol, "size": 6},
                hovertemplate="%{x:.1f} s: %{y:.2f}%<extra>%{fullData.name}</extra>",
            )
        )
    ends = ", ".join(f"{plain(name)}: {100 * curve[-1].accuracy:.2f}%" for name, curve in drawn)
    return finish(
        figure,
        title=title,
        caption="Validation top-1 accuracy against training seconds (evaluation and start-up do not count).",
        alt=f"Line plot of {len(drawn)} learning curves. Last value of each: {ends}.",
        height=360,
        xaxis={"title": {"text": "Training time (seconds)"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "Validation top-1 accuracy (%)"}},
        showlegend=True,
    )


def overlaid_history(studies: NamedStudies) -> go.Figure:
    """The running best of several studies over their trials, with the trials behind it."""
    figure = go.Figure()
    ends = []
    for place, (name, snapshot) in enumerate(studies):
        style, scale = series_style(place), snapshot.measure.scale
        rows = [row for row in history(snapshot) if row.running_best is not None]
        if not rows:
            continue
        usable = [row for row in rows if row.objective is not None]
        figure.add_trace(
            go.Scatter(
                x=[row.index for row in usable],
                y=compact([(row.objective or 0.0) * scale for row in usable]),
                customdata=[[place, row.index] for row in usable],
                mode="markers",
                name=f"{plain(name)}: trials",
                legendgroup=str(place),
                marker={"color": style.colour, "symbol": style.symbol, "size": 6, "opacity": 0.45},
                hovertemplate="trial %{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
            )
        )
        kept = [rows[0], *(b for a, b in pairwise(rows) if b.running_best != a.running_best), rows[-1]]
        figure.add_trace(
            go.Scatter(
                x=[row.index for row in kept],
                y=compact([(row.running_best or 0.0) * scale for row in kept]),
                mode="lines",
                name=f"{plain(name)}: best so far",
                legendgroup=str(place),
                line={"color": style.colour, "dash": style.dash, "width": 2.5, "shape": "hv"},
                hoverinfo="skip",
            )
        )
        ends.append(f"{plain(name)} {snapshot.measure.text(rows[-1].running_best or 0.0)}")
    title = "Studies by trial"
    if not ends:
        return blank(title, "No trial of these studies has a result yet.")
    return finish(
        figure,
        title=title,
        caption="Each study's trials in the order of suggestion, and its best so far.",
        alt=f"Scatter plot with a step line for each study. Best so far: {', '.join(ends)}.",
        xaxis={"title": {"text": "Trial"}},
        yaxis={"title": {"text": _shared_title(studies)}},
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
        style = series_style(place)
        figure.add_trace(
            go.Scatter(
                x=compact([trial.params * factor for trial in trials]),
                y=compact([(trial.objective or 0.0) * snapshot.measure.scale for trial in trials]),
                customdata=[[place, trial.index] for trial in trials],
                mode="markers",
                name=plain(name),
                marker={"color": style.colour, "symbol": style.symbol, "size": 7, "opacity": 0.7},
                hovertemplate=f"trial %{{customdata[1]}}: %{{y:.2f}} at %{{x:.2f}} {unit}"
                "<extra>%{fullData.name}</extra>",
            )
        )
    return finish(
        figure,
        title=title,
        caption="Every usable trial of each study against the parameters of its network.",
        alt=f"Scatter plot of {len(sizes)} trials of {len(studies)} studies.",
        xaxis=log_axis(f"Parameters ({unit})", min(sizes) * factor, max(sizes) * factor),
        yaxis={"title": {"text": _shared_title(studies)}},
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
