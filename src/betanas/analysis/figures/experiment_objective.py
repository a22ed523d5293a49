"""Hypothesis 3: the leaders of both searches, and what they cost and reach beside each other."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.costs import log_axis, unit_of
from betanas.analysis.figures.palette import BLUE, GREY, series_style
from betanas.analysis.figures.style import compact, finish, plain
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
    unit, factor = unit_of("macs", max(arms.column("macs"), default=1.0))
    figure = make_subplots(
        rows=1,
        cols=2,
        column_widths=[0.6, 0.4],
        horizontal_spacing=0.24,
        subplot_titles=["Leaders after the final training", "Penalty over seconds"],
    )
    pairs = sorted(set(arms.column("pair")))
    joined_x: list[float | None] = []
    joined_y: list[float | None] = []
    for pair in pairs:
        own = [row for row in arms if row.pair == pair]
        joined_x += [*(row.macs * factor for row in own), None]
        joined_y += [*(row.percent for row in own), None]
    figure.add_trace(
        go.Scatter(x=joined_x, y=joined_y, mode="lines", line={"color": GREY, "width": 1}, name="pair of searches",
                   hoverinfo="skip"),
        row=1, col=1,
    )  # fmt: skip
    for place, (arm, words) in enumerate(_ARMS.items()):
        style, own = series_style(place), [row for row in arms if row.arm == arm]
        figure.add_trace(
            go.Scatter(
                x=compact([row.macs * factor for row in own]), y=compact([row.percent for row in own]),
                mode="markers", name=words, customdata=[[row.pair, row.trials] for row in own],
                marker={"color": style.colour, "symbol": style.symbol, "size": 11},
                hovertemplate="pair %{customdata[0]}: %{y:.2f}% (%{customdata[1]} trials)<extra></extra>",
            ),
            row=1, col=1,
        )  # fmt: skip
    macs = [row.macs * factor for row in arms] or [1.0]
    figure.update_xaxes(log_axis(f"Multiply-accumulates ({unit})", min(macs), max(macs)), row=1, col=1)
    figure.update_yaxes(title_text="Accuracy (%)", row=1, col=1)
    rows = [row for row in contrasts.rows[::-1] if row.ratio and row.value is not None]
    values = [row.value or 1.0 for row in rows]
    figure.add_trace(
        go.Scatter(
            x=values, y=[_LABELS.get(row.measure, plain(row.measure)) for row in rows],
            mode="markers", showlegend=False,
            error_x={
                "array": [0 if r.high is None else r.high - v for r, v in zip(rows, values, strict=True)],
                "arrayminus": [0 if r.low is None else v - r.low for r, v in zip(rows, values, strict=True)],
                "thickness": 2,
            },
            marker={"color": BLUE, "size": 10},
            hovertemplate="%{y}: %{x:.2f} times<extra></extra>",
        ),
        row=1, col=2,
    )  # fmt: skip
    figure.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5}, row=1, col=2)
    reach = [end for row in rows for end in (row.low, row.high, row.value) if end is not None and end > 0]
    figure.update_xaxes(log_axis("Ratio", min([*reach, 1.0]), max([*reach, 1.0])), row=1, col=2)
    figure.update_yaxes(title_text="Measure", type="category", row=1, col=2)
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
