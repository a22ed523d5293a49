"""What networks cost: scaling with the resolution (Figure 28), the Pareto front, epoch times (Figure 17)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import GREY, SKY, VERMILLION, series_style
from betanas.analysis.figures.style import compact, finish, plain
from betanas.analysis.snapshot import Measure
from betanas.analysis.tables.pareto import Cost, ParetoRow
from betanas.analysis.tables.processes import ProcessScaling
from betanas.analysis.tables.scaling import ScalingRow
from betanas.analysis.tables.table import Table

_LABELS: dict[Cost, str] = {
    "params": "Parameters",
    "macs": "Multiply-accumulates",
    "memory": "Training memory",
    "training_seconds": "Training time",
}
_COUNT_UNITS = (("billions", 1e9), ("millions", 1e6), ("thousands", 1e3))
_BYTE_UNITS = (("GiB", 2.0**30), ("MiB", 2.0**20))


def unit_of(cost: Cost, largest: float) -> tuple[str, float]:
    """The unit in which a cost is shown and the factor to it, so that the largest value has one to three digits."""
    if cost == "training_seconds":
        return "seconds", 1.0
    units = _BYTE_UNITS if cost == "memory" else _COUNT_UNITS
    name, size = next((unit for unit in units if largest >= unit[1]), units[-1])
    return name, 1 / size


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis with ticks at 1, 2 and 5 (at powers of ten alone beyond three decades) and some room."""
    margin = max(math.log10(high / low) * 0.05, 0.03)
    start, end = math.log10(low) - margin, math.log10(high) + margin
    steps = (1, 2, 5) if end - start < 3 else (1,)
    ticks = [step * 10.0**power for power in range(math.floor(start), math.ceil(end) + 1) for step in steps]
    ticks = [tick for tick in ticks if start <= math.log10(tick) <= end]
    return {
        "title": {"text": title},
        "type": "log",
        "range": [start, end],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def scaling_curve(
    table: Table[ScalingRow],
    cost: Literal["params", "macs", "memory"] = "params",
    *,
    marked: tuple[int, ...] = (224, 384),
) -> go.Figure:
    """A cost of each vector against the resolution, on logarithmic axes; the marked resolutions carry their values."""
    label = _LABELS[cost]
    everything = [getattr(row, cost) for row in table]
    unit, factor = unit_of(cost, max(everything))
    figure = go.Figure()
    names = list(dict.fromkeys(table.column("name")))
    resolutions = sorted(set(table.column("resolution")))
    at = {side: [getattr(row, cost) for row in table if row.resolution == side] for side in resolutions}
    growth = []
    for place, name in enumerate(names):
        style = series_style(place)
        rows = [row for row in table if row.name == name]
        values = [getattr(row, cost) * factor for row in rows]
        at_mark = [row.resolution in marked for row in rows]
        # Only the ends of a group are labelled: words between two lines would run into them.
        ends = [getattr(row, cost) in (min(at[row.resolution]), max(at[row.resolution])) for row in rows]
        figure.add_trace(
            go.Scatter(
                x=[row.resolution for row in rows],
                y=compact(values),
                mode="lines+markers+text",
                name=plain(name),
                text=[
                    f"{value:.2f}" if shown and end else ""
                    for value, shown, end in zip(values, at_mark, ends, strict=True)
                ],
                textposition=[
                    "top left" if getattr(row, cost) == max(at[row.resolution]) else "bottom right" for row in rows
                ],
                line={"color": style.colour, "dash": style.dash, "width": 2},
                marker={"symbol": style.symbol, "size": [10 if shown else 4 for shown in at_mark]},
                hovertemplate=f"R = %{{x}}: %{{y:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
            )
        )
        power = np.polyfit(np.log([row.resolution for row in rows]), np.log(values), 1)[0] if len(rows) > 1 else np.nan
        growth.append(f"{plain(name)} as R^{power:.2f}")
    return finish(
        figure,
        title=f"{label} by resolution",
        caption=f"{label} ({unit}) of the same vectors from R={resolutions[0]} to R={resolutions[-1]}. Fitted "
        "over this range they "
        f"grow: {', '.join(growth)}. Steps are contractions that a larger image adds.",
        alt=f"{label} of {len(names)} vectors over the resolution on logarithmic axes.",
        xaxis={
            "title": {"text": "Resolution R (pixels)"},
            "tickangle": 0,
            "type": "log",
            "tickvals": [value for value in (64, 128, 224, 384, 1024) if resolutions[0] <= value <= resolutions[-1]],
        },
        yaxis=log_axis(f"{label} ({unit})", min(everything) * factor, max(everything) * factor),
    )


def pareto_front(table: Table[ParetoRow], measure: Measure, cost: Cost = "params") -> go.Figure:
    """Accuracy against a cost, with the trials that no other beats in both."""
    label = _LABELS[cost]
    prices = table.numbers("cost")
    unit, factor = unit_of(cost, float(prices.max()))
    figure = go.Figure()
    for front, name, colour, symbol, size in (
        (False, "beaten by another", SKY, "circle", 6),
        (True, "Pareto front", VERMILLION, "diamond", 10),
    ):
        rows = [row for row in table if row.front == front]
        figure.add_trace(
            go.Scatter(
                x=compact([row.cost * factor for row in rows]),
                y=compact([row.objective * measure.scale for row in rows]),
                customdata=[row.index for row in rows],
                mode="lines+markers" if front else "markers",
                line={"shape": "hv", "color": colour, "width": 1.5},
                name=name,
                marker={"color": colour, "symbol": symbol, "size": size, "opacity": 1 if front else 0.7},
                hovertemplate=f"trial %{{customdata}}: %{{y:.2f}} at %{{x:.2f}} {unit}<extra></extra>",
            )
        )
    front_size = sum(row.front for row in table)
    return finish(
        figure,
        title=f"Accuracy against {label.lower()}" if measure.unit == "%" else f"Objective against {label.lower()}",
        caption=f"{measure.label} of every usable trial against its {label.lower()}. No trial is both cheaper "
        "and better than one "
        f"of the {front_size} on the front.",
        alt=f"Scatter plot of {len(table)} trials with a front of {front_size}.",
        xaxis=log_axis(f"{label} ({unit})", float(prices.min()) * factor, float(prices.max()) * factor),
        yaxis={"title": {"text": measure.title}},
    )


def epoch_times(profile: ProcessScaling) -> go.Figure:
    """Seconds of an epoch against the number of processes, beside ideal scaling."""
    rows = profile.rows.rows
    first = rows[0]
    processes = [row.processes for row in rows]
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=processes,
            y=[first.median * first.processes / number for number in processes],
            mode="lines",
            name="ideal",
            line={"color": GREY, "dash": "dash", "width": 2},
            hovertemplate="ideal: %{y:.1f} s<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=processes,
            y=[row.median for row in rows],
            customdata=[[row.epochs, 100 * row.efficiency] for row in rows],
            error_y={
                "array": [row.high - row.median for row in rows],
                "arrayminus": [row.median - row.low for row in rows],
            },
            mode="lines+markers",
            name="measured (median, extremes)",
            line={"color": series_style(0).colour, "width": 2.5},
            marker={"size": 9},
            hovertemplate="%{x} processes: %{y:.1f} s (n=%{customdata[0]}, efficiency "
            "%{customdata[1]:.0f}%)<extra></extra>",
        )
    )
    last = rows[-1]
    subject = plain(profile.network) + (f" on {plain(profile.data)}" if profile.data else "")
    return finish(
        figure,
        title="Epoch time by number of processes",
        caption=f"Time of a training epoch of {subject}. With {last.processes} processes an epoch is "
        f"{last.speedup:.2f} times "
        f"as fast as with {first.processes}: {100 * last.efficiency:.0f}% of the ideal.",
        alt=f"Line plot: {first.median:.1f} seconds an epoch with {first.processes}, {last.median:.1f} with "
        f"{last.processes}.",
        xaxis={"title": {"text": "Processes"}, "tickvals": processes},
        yaxis={"title": {"text": "Time per epoch (seconds)"}, "rangemode": "tozero"},
    )
