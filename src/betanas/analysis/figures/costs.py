"""What networks cost: scaling with the resolution (Figure 28), the Pareto front, epoch times (Figure 17)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import GREY, SKY, VERMILLION, SeriesStyle, series_style
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import series, spread
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.pareto import Cost, ParetoRow
from betanas.analysis.tables.processes import ProcessScaling
from betanas.analysis.tables.scaling import ScalingRow
from betanas.analysis.tables.table import Table

LABELS: dict[Cost, str] = {
    "params": "Parameters",
    "macs": "Multiply-accumulates",
    "memory": "Training memory",
    "training_seconds": "Training time",
    "latency": "Predicted time of an answer",
}
_COUNT_UNITS = (("billions", 1e9), ("millions", 1e6), ("thousands", 1e3))
_BYTE_UNITS = (("GiB", 2.0**30), ("MiB", 2.0**20))
_ANSWER_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))


def unit_of(cost: Cost, largest: float) -> tuple[str, float]:
    """The unit in which a cost is shown and the factor to it, so that the largest value has one to three digits."""
    if cost == "training_seconds":
        return "seconds", 1.0
    units = {"memory": _BYTE_UNITS, "latency": _ANSWER_UNITS}.get(cost, _COUNT_UNITS)
    name, size = next((unit for unit in units if largest >= unit[1]), units[-1])
    return name, 1 / size


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis with ticks at 1, 2 and 5 (at powers of ten alone beyond three decades) and some room."""
    margin = max(math.log10(high / low) * 0.05, 0.03)
    start, end = math.log10(low) - margin, math.log10(high) + margin
    steps = (1, 2, 5) if end - start < 3 else (1,)
    ticks = [step * 10.0**power for power in range(math.floor(start), math.ceil(end) + 1) for step in steps]
    ticks = [tick for tick in ticks if start <= math.log10(tick) <= end]
    words = [f"{tick:g}" for tick in ticks]
    return {"title": {"text": title}, "type": "log", "range": [start, end], "tickvals": ticks, "ticktext": words}


def scaling_curve(
    table: Table[ScalingRow],
    cost: Literal["params", "macs", "memory"] = "params",
    *,
    marked: tuple[int, ...] = (224, 384),
) -> go.Figure:
    """A cost of each vector against the resolution, on logarithmic axes; the marked resolutions carry their values."""
    label, everything = LABELS[cost], [getattr(row, cost) for row in table]
    unit, factor = unit_of(cost, max(everything))
    names, sides = list(dict.fromkeys(table.column("name"))), sorted(set(table.column("resolution")))
    at = {side: [getattr(row, cost) for row in table if row.resolution == side] for side in sides}
    figure, growth = go.Figure(), []
    for place, name in enumerate(names):
        own = {row.resolution: getattr(row, cost) for row in table if row.name == name}
        values = [value * factor for value in own.values()]
        # Only the ends of a group are labelled: words between two lines would run into them.
        labelled = [side in marked and value in (min(at[side]), max(at[side])) for side, value in own.items()]
        figure.add_trace(
            series(
                list(own), values, name, series_style(place), "lines+markers+text",
                hover=f"R = %{{x}}: %{{y:.2f}} {unit}", size=[10 if side in marked else 4 for side in own],
                text=[f"{value:.2f}" if shown else "" for value, shown in zip(values, labelled, strict=True)],
                textposition=["top left" if value == max(at[side]) else "bottom right" for side, value in own.items()],
            )
        )  # fmt: skip
        power = np.polyfit(np.log(list(own)), np.log(values), 1)[0] if len(own) > 1 else np.nan
        growth.append(f"{plain(name)} as R^{power:.2f}")
    return finish(
        figure,
        title=f"{label} by resolution",
        caption=f"{label} ({unit}) of the same vectors from R={sides[0]} to R={sides[-1]}. Fitted over this range they "
        f"grow: {', '.join(growth)}. Steps are contractions that a larger image adds.",
        alt=f"{label} of {len(names)} vectors over the resolution on logarithmic axes.",
        x="Resolution R (pixels)",
        xaxis_tickangle=0,
        xaxis_type="log",
        xaxis_tickvals=[value for value in (64, 128, 224, 384, 1024) if sides[0] <= value <= sides[-1]],
        yaxis=log_axis(f"{label} ({unit})", min(everything) * factor, max(everything) * factor),
    )


def pareto_front(table: Table[ParetoRow], measure: Measure, cost: Cost = "params") -> go.Figure:
    """Accuracy against a cost, with the trials that no other beats in both."""
    label, prices = LABELS[cost], table.numbers("cost")
    unit, factor = unit_of(cost, float(prices.max()))

    def drawn(front: bool, name: str, style: SeriesStyle, mode: str, size: int) -> go.Scatter:
        own = [row for row in table if row.front == front]
        x, y = [row.cost * factor for row in own], [row.objective * measure.scale for row in own]
        settings: dict[str, Any] = {"customdata": [row.index for row in own], "marker_opacity": 1 if front else 0.7}
        hover = f"trial %{{customdata}}: %{{y:.2f}} at %{{x:.2f}} {unit}"
        return series(x, y, name, style, mode, hover=hover, width=1.5, size=size, line_shape="hv", **settings)

    beaten = drawn(False, "beaten by another", SeriesStyle(SKY), "markers", 6)
    front = drawn(True, "Pareto front", SeriesStyle(VERMILLION, "diamond"), "lines+markers", 10)
    return finish(
        go.Figure([beaten, front]),
        title=f"Accuracy against {label.lower()}" if measure.unit == "%" else f"Objective against {label.lower()}",
        caption=f"{measure.label} of every usable trial against its {label.lower()}. No trial is both cheaper and "
        f"better than one of the {len(front.x)} on the front.",
        alt=f"Scatter plot of {len(table)} trials with a front of {len(front.x)}.",
        xaxis=log_axis(f"{label} ({unit})", float(prices.min()) * factor, float(prices.max()) * factor),
        y=measure.title,
    )


def epoch_times(profile: ProcessScaling) -> go.Figure:
    """Seconds of an epoch against the number of processes, beside ideal scaling."""
    rows = profile.rows.rows
    first, last = rows[0], rows[-1]
    processes, medians = [row.processes for row in rows], [row.median for row in rows]
    ideal = [first.median * first.processes / number for number in processes]
    measured = series(
        processes, medians, "measured (median, extremes)", series_style(0), "lines+markers", width=2.5, size=9,
        hover="%{x} processes: %{y:.1f} s (n=%{customdata[0]}, efficiency %{customdata[1]:.0f}%)",
        customdata=[[row.epochs, 100 * row.efficiency] for row in rows],
        error_y=spread(medians, [row.low for row in rows], [row.high for row in rows]),
    )  # fmt: skip
    subject = plain(profile.network) + (f" on {plain(profile.data)}" if profile.data else "")
    return finish(
        go.Figure([series(processes, ideal, "ideal", SeriesStyle(GREY, dash="dash"), hover="%{y:.1f} s"), measured]),
        title="Epoch time by number of processes",
        caption=f"Time of a training epoch of {subject}. With {last.processes} processes an epoch is "
        f"{last.speedup:.2f} times as fast as with {first.processes}: {100 * last.efficiency:.0f}% of the ideal.",
        alt=f"Line plot: {first.median:.1f} seconds an epoch with {first.processes}, {last.median:.1f} with "
        f"{last.processes}.",
        x="Processes",
        y="Time per epoch (seconds)",
        xaxis_tickvals=processes,
        yaxis_rangemode="tozero",
    )
