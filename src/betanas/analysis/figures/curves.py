"""Learning curves: the leaders', all trials' (accuracy against seconds) and a comparison's (Figures 26 and 27)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.palette import BLUE, GREY, VERMILLION, SeriesStyle, series_style, translucent
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.tables.comparison import ComparedNetwork, Comparison, mean_curve
from betanas.analysis.tables.curves import CurveRow
from betanas.analysis.tables.table import Table

# More curves than this are a smear; the others are thinned evenly.
_MOST_THIN_CURVES = 300

_TIME_AXES: dict[str, Any] = {
    "xaxis": {"title": {"text": "Training time (seconds)"}, "rangemode": "tozero"},
    "yaxis": {"title": {"text": "Validation top-1 accuracy (%)"}},
}


def leader_curves(table: Table[CurveRow], *, best: int = 6) -> go.Figure:
    """Accuracy of the best trials against training seconds.

    Raises:
        MissingDataError: no curve was recorded.
    """
    leading = [rows for _, rows in _by_trial(table) if rows[0].rank is not None and rows[0].rank <= best]
    return finish(
        _lines(leading),
        title="Learning curves of the leaders",
        caption=f"Validation top-1 accuracy of the best {len(leading)} trials while they trained, against training "
        "seconds (evaluation and start-up do not count).",
        alt=f"Line plot of {len(leading)} learning curves.",
        **_TIME_AXES,
    )


def trial_curves(table: Table[CurveRow], indices: Sequence[int]) -> go.Figure:
    """Accuracy of chosen trials against training seconds, side by side.

    Raises:
        MissingDataError: no curve of theirs was recorded.
    """
    chosen = [rows for index, rows in _by_trial(table) if index in set(indices)]
    names = ", ".join(str(rows[0].index) for rows in chosen)
    return finish(
        _lines(chosen),
        title="Learning curves",
        caption=f"Validation top-1 accuracy of the trials {names} while they trained, against training seconds "
        "(evaluation and start-up do not count).",
        alt=f"Line plot of {len(chosen)} learning curves.",
        **_TIME_AXES,
    )


def accuracy_against_time(table: Table[CurveRow], *, best: int = 10) -> go.Figure:
    """Accuracy against training seconds for all trials: the best drawn strong, the others thin.

    Raises:
        MissingDataError: no curve was recorded.
    """
    groups = _by_trial(table)
    if not groups:
        raise MissingDataError("Accuracy against training seconds needs trials that were evaluated while they trained.")
    strong = [rows for _, rows in groups if rows[0].rank is not None and rows[0].rank <= best]
    weak = [rows for _, rows in groups if rows[0].rank is None or rows[0].rank > best]
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
        caption=f"Validation top-1 accuracy of {len(groups)} trials against training seconds. All trials "
        "share the same "
        f"budget, so that curves are comparable across network sizes.{thinned}",
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
    figure = _panels(comparison, [column for column in columns if column[1]])
    return finish(
        figure,
        title="Training histories compared",
        caption="Validation top-1 accuracy against epoch (top) and "
        "training time (bottom), mean over "
        "seeds. Each column compares the searched networks with one benchmark network of the same resolution.",
        alt=f"Line plots in {len(columns)} columns comparing {len(drawn)} networks.",
        height=620,
        min_width=max(320, 240 * len(columns)),
        margin={"t": 84},
        legend={"y": -0.14},
    )


def resolution_curves(comparison: Comparison) -> go.Figure:
    """Figure 27: a column for each family that was trained at more than one resolution.

    Raises:
        MissingDataError: no family was.
    """
    families: dict[str, list[ComparedNetwork]] = {}
    for network in comparison.networks:
        if network.curves:
            families.setdefault(network.family, []).append(network)
    columns = [
        (family, sorted(members, key=lambda member: member.resolution))
        for family, members in families.items()
        if len({member.resolution for member in members}) > 1
    ]
    figure = _panels(comparison, columns)
    return finish(
        figure,
        title="The same networks at two resolutions",
        caption="Top-1 accuracy of each family before and after scaling, against epoch (top) and training "
        "time (bottom), mean "
        "over seeds.",
        alt=f"Line plots of {len(columns)} families at several resolutions.",
        height=620,
        min_width=max(320, 240 * len(columns)),
        margin={"t": 84},
        legend={"y": -0.14},
    )


def _panels(comparison: Comparison, columns: list[tuple[str, list[ComparedNetwork]]]) -> go.Figure:
    if not columns:
        raise MissingDataError("Training histories need a comparison whose networks kept their curves.")
    figure = make_subplots(
        rows=2,
        cols=len(columns),
        shared_yaxes="all",
        vertical_spacing=0.14,
        horizontal_spacing=min(0.04, 0.5 / len(columns)),
        subplot_titles=[plain(name) for name, _ in columns],
    )
    names = list(
        dict.fromkeys(comparison.label(own) for _, members in columns for own in members if own.role != "benchmark")
    )
    shown: set[str] = set()
    for column, (_, members) in enumerate(columns, start=1):
        for network in members:
            curve = mean_curve(network)
            if curve is None:
                continue
            # A column holds one benchmark network at most, and its heading names it: one style serves them all.
            own = network.role != "benchmark"
            style = (
                series_style(names.index(comparison.label(network))) if own else SeriesStyle(GREY, "circle", "solid")
            )
            entry = comparison.label(network) if own else "benchmark network of the column"
            for row, x in ((1, curve.epochs), (2, curve.seconds / 60)):
                figure.add_trace(
                    go.Scatter(
                        x=compact(x),
                        y=compact(curve.accuracies * 100),
                        mode="lines",
                        name=plain(entry),
                        legendgroup=plain(entry),
                        showlegend=entry not in shown,
                        line={"color": style.colour, "dash": style.dash, "width": 2 if own else 3.5},
                        hovertemplate="%{x:.1f}: %{y:.2f}%<extra>%{fullData.name}</extra>",
                    ),
                    row=row,
                    col=column,
                )
                shown.add(entry)
    figure.update_xaxes(title_text="Epoch", rangemode="tozero", row=1)
    figure.update_xaxes(title_text="Time (minutes)", rangemode="tozero", row=2)
    figure.update_yaxes(title_text="Top-1 accuracy (%)", col=1)
    return figure


def _lines(groups: Sequence[list[CurveRow]]) -> go.Figure:
    if not groups:
        raise MissingDataError("Learning curves need trials that were evaluated while they trained.")
    figure = go.Figure()
    for place, rows in enumerate(groups):
        style = series_style(place)
        first = rows[0]
        figure.add_trace(
            go.Scatter(
                x=compact([row.seconds for row in rows]),
                y=compact([row.accuracy * 100 for row in rows]),
                mode="lines+markers",
                name=f"trial {first.index}" if first.rank is None else f"{first.rank}. trial {first.index}",
                line={"color": style.colour, "dash": style.dash, "width": 2},
                marker={"symbol": style.symbol, "size": 6},
                hovertemplate="%{x:.1f} s: %{y:.2f}%<extra>%{fullData.name}</extra>",
            )
        )
    return figure


def _by_trial(table: Table[CurveRow]) -> list[tuple[int, list[CurveRow]]]:
    return [(index, list(rows)) for index, rows in groupby(table, key=lambda row: row.index)]


def _joined(name: str, members: list[list[CurveRow]], colour: str, width: float) -> go.Scatter:
    """Many curves as one series with gaps between them, which a browser draws at once."""
    x: list[float] = []
    y: list[float] = []
    indices: list[int] = []
    for rows in members:
        x += [*(row.seconds for row in rows), np.nan]
        y += [*(row.accuracy * 100 for row in rows), np.nan]
        indices += [rows[0].index] * (len(rows) + 1)
    return go.Scatter(
        x=compact(x),
        y=compact(y),
        customdata=np.array(indices, dtype=np.int32),
        mode="lines",
        connectgaps=False,
        name=name,
        line={"color": colour, "width": width},
        hovertemplate="trial %{customdata}: %{y:.2f}% after %{x:.1f} s<extra></extra>",
    )
