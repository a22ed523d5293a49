"""Hypothesis 3: the leaders of both searches, and what they cost and reach beside each other."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.costs import log_axis, unit_of
from betanas.analysis.figures.palette import BLUE, GREY, SeriesStyle, series_style
from betanas.analysis.figures.style import finish
from betanas.analysis.figures.traces import GUIDE, series, spread
from betanas.analysis.tables.experiment_objective import ArmRow, ContrastRow
from betanas.analysis.tables.table import Table

_LABELS = {
    "multiply-accumulates": "MACs",
    "seconds an epoch": "seconds<br>an epoch",
    "seconds to a common accuracy": "seconds to<br>an accuracy",
}
_ARMS = {"seconds": "accuracy within seconds", "macs": "accuracy with a MACs penalty"}


def objectives(arms: Table[ArmRow], contrasts: Table[ContrastRow]) -> go.Figure:
    """Left, accuracy over MACs with a line between the arms of a pair; right, the ratios between them."""
    left, right = {"row": 1, "col": 1}, {"row": 1, "col": 2}
    unit, factor = unit_of("macs", max(arms.column("macs"), default=1.0))
    titles = ["Leaders after the final training", "Penalty over seconds"]
    figure = make_subplots(rows=1, cols=2, column_widths=[0.6, 0.4], horizontal_spacing=0.24, subplot_titles=titles)
    pairs = sorted(set(arms.column("pair")))
    joined = [row for pair in pairs for row in (*(arm for arm in arms if arm.pair == pair), None)]
    x, y = [row and row.macs * factor for row in joined], [row and row.percent for row in joined]
    figure.add_trace(series(x, y, "pair of searches", SeriesStyle(GREY), width=1), **left)
    for place, (arm, words) in enumerate(_ARMS.items()):
        own = [row for row in arms if row.arm == arm]
        x, y = [row.macs * factor for row in own], [row.percent for row in own]
        told, hover = (
            [[row.pair, row.trials] for row in own],
            "pair %{customdata[0]}: %{y:.2f}% (%{customdata[1]} trials)",
        )
        dots = series(x, y, words, series_style(place), "markers", hover=hover, size=11, customdata=told)
        figure.add_trace(dots, **left)
    macs = [row.macs * factor for row in arms] or [1.0]
    figure.update_xaxes(log_axis(f"Multiply-accumulates ({unit})", min(macs), max(macs)), **left)
    figure.update_yaxes(title_text="Accuracy (%)", **left)
    rows = [row for row in contrasts.rows[::-1] if row.ratio and row.value is not None]
    values, names = [row.value or 1.0 for row in rows], [_LABELS.get(row.measure, row.measure) for row in rows]
    whiskers = spread(values, [row.low for row in rows], [row.high for row in rows])
    settings: dict[str, Any] = {"hover": "%{y}: %{x:.2f} times", "size": 10, "showlegend": False, "error_x": whiskers}
    figure.add_trace(series(values, names, "ratio", SeriesStyle(BLUE), "markers", **settings), **right)
    figure.add_vline(x=1, line=GUIDE, **right)
    reach = [end for row in rows for end in (row.low, row.high, row.value) if end is not None and end > 0]
    figure.update_xaxes(log_axis("Ratio", min([*reach, 1.0]), max([*reach, 1.0])), **right)
    figure.update_yaxes(title_text="Measure", type="category", **right)
    gain = contrasts.rows[0]
    ends = (
        f" (95% interval {gain.low:.2f} to {gain.high:.2f})" if gain.low is not None and gain.high is not None else ""
    )
    difference = "undefined" if gain.value is None else f"{gain.value:+.2f} points{ends}"
    return finish(
        figure,
        title="Rewarding seconds or penalising MACs",
        caption="Left: the leaders of searches with equal training seconds, trained equally long; a line joins two "
        "searches with one seed. Right: what the leaders of the search with the penalty need, as a multiple of what "
        "the others need, with 95% intervals over pairs. Accuracy of the search within seconds less that of the other: "
        f"{difference}.",
        alt=f"Accuracy over multiply-accumulates of {len(pairs)} pairs of searches, and {len(rows)} ratios of them.",
        min_width=600,
        margin={"t": 84},
    )
