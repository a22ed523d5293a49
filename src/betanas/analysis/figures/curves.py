"""Learning curves: the leaders', all trials' (accuracy against seconds) and a comparison's (Figures 26 and 27)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.palette import BLUE, GREY, VERMILLION, SeriesStyle, series_style, translucent
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import panels, series
from betanas.analysis.tables.comparison import ComparedNetwork, Comparison, mean_curve
from betanas.analysis.tables.curves import CurveRow
from betanas.analysis.tables.table import Table

# More curves than this are a smear; the others are thinned evenly.
_MOST_THIN_CURVES = 300

_TIME_AXES: dict[str, Any] = {
    "x": "Training time (seconds)", "y": "Validation top-1 accuracy (%)", "xaxis_rangemode": "tozero"
}  # fmt: skip
_PANELS: dict[str, Any] = {"height": 620, "margin": {"t": 84}, "legend": {"y": -0.14}}


class Point(Protocol):
    """What a learning curve is made of: training seconds, and the accuracy after them in [0, 1]."""

    @property
    def seconds(self) -> float:
        """Training seconds."""

    @property
    def accuracy(self) -> float:
        """Validation top-1 accuracy."""


def named_curves(curves: Mapping[str, Sequence[Point]], *, title: str, caption: str, **layout: Any) -> go.Figure:
    """Learning curves, each with a look of its own."""
    figure = go.Figure()
    for place, (name, points) in enumerate(curves.items()):
        x, y = [point.seconds for point in points], [100 * point.accuracy for point in points]
        hover = "%{x:.1f} s: %{y:.2f}%"
        figure.add_trace(series(x, y, name, series_style(place), "lines+markers", hover=hover, size=6))
    ends = ", ".join(f"{plain(name)}: {100 * points[-1].accuracy:.2f}%" for name, points in curves.items())
    alt = f"Line plot of {len(curves)} learning curves. Last value of each: {ends}."
    return finish(figure, title=title, caption=caption, alt=alt, **_TIME_AXES, **layout)


def leader_curves(table: Table[CurveRow], *, best: int = 6) -> go.Figure:
    """Accuracy of the best trials against training seconds.

    Raises:
        MissingDataError: no curve was recorded.
    """
    leading = [rows for rows in _by_trial(table) if rows[0].rank is not None and rows[0].rank <= best]
    if not leading:
        raise MissingDataError("Learning curves need trials that were evaluated while they trained.")
    return named_curves(
        {f"{rows[0].rank}. trial {rows[0].index}": rows for rows in leading},
        title="Learning curves of the leaders",
        caption=f"Validation top-1 accuracy of the best {len(leading)} trials while they trained, against training "
        "seconds (evaluation and start-up do not count).",
    )


def accuracy_against_time(table: Table[CurveRow], *, best: int = 10) -> go.Figure:
    """Accuracy against training seconds for all trials: the best drawn strong, the others thin.

    Raises:
        MissingDataError: no curve was recorded.
    """
    groups = _by_trial(table)
    if not groups:
        raise MissingDataError("Accuracy against training seconds needs trials that were evaluated while they trained.")
    strong = [rows for rows in groups if rows[0].rank is not None and rows[0].rank <= best]
    weak = [rows for rows in groups if rows[0].rank is None or rows[0].rank > best]
    kept = [weak[place] for place in np.linspace(0, len(weak) - 1, min(len(weak), _MOST_THIN_CURVES)).astype(int)]
    figure = go.Figure()
    for name, members, colour, width in (
        ("other trials", kept, translucent(BLUE, 0.28), 1.0),
        (f"best {len(strong)}", strong, VERMILLION, 2.2),
    ):
        if members:
            figure.add_trace(_joined(name, members, colour, width))
    thinned = f" {len(kept)} of the {len(weak)} others are drawn." if len(kept) < len(weak) else ""
    return finish(
        figure,
        title="Accuracy against training time",
        caption=f"Validation top-1 accuracy of {len(groups)} trials against training seconds. All trials share the "
        f"same budget, so that curves are comparable across network sizes.{thinned}",
        alt=f"Line plot of {len(strong) + len(kept)} learning curves; the best {len(strong)} stand out.",
        **_TIME_AXES,
    )


def comparison_curves(comparison: Comparison) -> go.Figure:
    """Figure 26: a column for each benchmark network, with the searched networks of its resolution beside it.

    Raises:
        MissingDataError: no network has a curve.
    """
    drawn = [network for network in comparison.networks if network.curves]
    benchmarks = [network for network in drawn if network.role == "benchmark"]
    searched = [network for network in drawn if network.role != "benchmark"]
    if benchmarks:
        benchmarks.sort(key=lambda network: network.resolution)
        columns = [
            (mark.name, [mark, *(own for own in searched if own.resolution == mark.resolution)]) for mark in benchmarks
        ]
    else:
        columns = [
            (f"R={side}", [own for own in searched if own.resolution == side]) for side in comparison.resolutions
        ]
    return finish(
        _panels(comparison, [column for column in columns if column[1]]),
        title="Training histories compared",
        caption="Validation top-1 accuracy against epoch (top) and training time (bottom), mean over seeds. Each "
        "column compares the searched networks with one benchmark network of the same resolution.",
        alt=f"Line plots in {len(columns)} columns comparing {len(drawn)} networks.",
        min_width=max(320, 240 * len(columns)),
        **_PANELS,
    )


def resolution_curves(comparison: Comparison) -> go.Figure:
    """Figure 27: a column for each family that was trained at more than one resolution.

    Raises:
        MissingDataError: no family was.
    """
    families: dict[str, list[ComparedNetwork]] = {}
    for network in sorted(comparison.networks, key=lambda network: network.resolution):
        if network.curves:
            families.setdefault(network.family, []).append(network)
    columns = [(name, own) for name, own in families.items() if own[0].resolution != own[-1].resolution]
    return finish(
        _panels(comparison, columns),
        title="The same networks at two resolutions",
        caption="Top-1 accuracy of each family before and after scaling, against epoch (top) and training time "
        "(bottom), mean over seeds.",
        alt=f"Line plots of {len(columns)} families at several resolutions.",
        min_width=max(320, 240 * len(columns)),
        **_PANELS,
    )


def _panels(comparison: Comparison, columns: list[tuple[str, list[ComparedNetwork]]]) -> go.Figure:
    if not columns:
        raise MissingDataError("Training histories need a comparison whose networks kept their curves.")
    across = min(0.04, 0.5 / len(columns))
    figure = panels([name for name, _ in columns], rows=2, across=across, down=0.14, shared_yaxes="all")
    # A column holds one benchmark network at most, and its heading names it: one style serves them all.
    looks = {"benchmark network of the column": SeriesStyle(GREY)}
    shown: set[str] = set()
    for column, (_, members) in enumerate(columns, start=1):
        for network in members:
            curve = mean_curve(network)
            if curve is None:
                continue
            own = network.role != "benchmark"
            entry = comparison.label(network) if own else next(iter(looks))
            style = looks.setdefault(entry, series_style(len(looks) - 1))
            for row, x in ((1, curve.epochs), (2, curve.seconds / 60)):
                legend: dict[str, Any] = {"legendgroup": plain(entry), "showlegend": entry not in shown}
                y, hover, width = curve.accuracies * 100, "%{x:.1f}: %{y:.2f}%", 2 if own else 3.5
                line = series(x, y, entry, style, hover=hover, width=width, **legend)
                figure.add_trace(line, row=row, col=column)
                shown.add(entry)
    figure.update_xaxes(title_text="Epoch", rangemode="tozero", row=1)
    figure.update_xaxes(title_text="Time (minutes)", rangemode="tozero", row=2)
    return figure.update_yaxes(title_text="Top-1 accuracy (%)", col=1)


def _by_trial(table: Table[CurveRow]) -> list[list[CurveRow]]:
    return [list(rows) for _, rows in groupby(table, key=lambda row: row.index)]


def _joined(name: str, members: list[list[CurveRow]], colour: str, width: float) -> go.Scatter:
    """Many curves as one series with gaps between them, which a browser draws at once."""
    x = [value for rows in members for value in (*(row.seconds for row in rows), np.nan)]
    y = [value for rows in members for value in (*(100 * row.accuracy for row in rows), np.nan)]
    indices = np.repeat([rows[0].index for rows in members], [len(rows) + 1 for rows in members]).astype(np.int32)
    hover = "trial %{customdata}: %{y:.2f}% after %{x:.1f} s"
    style = SeriesStyle(colour)
    return series(x, y, name, style, hover=hover, width=width, customdata=indices, connectgaps=False)
