"""Brushing: intervals along the parallel axes that decide which trials every other view shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.errors import AnalysisError
from betanas.analysis.figures.parallel import robust_range
from betanas.analysis.figures.style import plain
from betanas.analysis.snapshot import StudySnapshot
from betanas.quantities import parse_range
from betanas.search.records import TrialRecord

# What the objective's axis is called where parameters are named.
OBJECTIVE = "objective"

AxisInterval = tuple[float, float]
_CONSTRAINT = re.compile(r"dimensions\[(\d+)\]\.constraintrange")


@dataclass(frozen=True, slots=True)
class Brush:
    """What is kept: intervals by axis, any of which a trial must lie in, and the order of the axes.

    Attributes:
        intervals: by parameter name or `OBJECTIVE`, in the units that the axis shows.
        order: the axes from left to right, where a person has moved them; empty for the study's order.
    """

    intervals: Mapping[str, tuple[AxisInterval, ...]] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Brush:
        """Read what `to_json` wrote."""
        if not data:
            return cls()
        intervals = {name: tuple((low, high) for low, high in found) for name, found in data["intervals"].items()}
        return cls(intervals, tuple(data["order"]))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, which a browser keeps."""
        return {"intervals": {name: list(map(list, found)) for name, found in self.intervals.items()}, **self._order()}

    def words(self) -> str:
        """The intervals as a person would type them."""
        return "; ".join(
            f"{name}={' or '.join(f'{low:.4g}:{high:.4g}' for low, high in found)}"
            for name, found in self.intervals.items()
        )

    def with_interval(self, name: str, intervals: Sequence[AxisInterval]) -> Brush:
        """With an axis's intervals replaced; without any, the axis decides nothing."""
        others = {other: found for other, found in self.intervals.items() if other != name}
        return replace(self, intervals={**others, name: tuple(intervals)} if intervals else others)

    def _order(self) -> dict[str, Any]:
        return {"order": list(self.order)}


def axes_of(snapshot: StudySnapshot, brush: Brush) -> tuple[str, ...]:
    """The axes from left to right."""
    names = (*(name for name, searched in snapshot.ranges.items() if not searched.fixed), OBJECTIVE)
    return brush.order if sorted(brush.order) == sorted(names) else names


def dragged(brush: Brush, change: Mapping[str, Any], snapshot: StudySnapshot) -> Brush:
    """The brush after a person dragged along an axis or moved one.

    Args:
        brush: as it was.
        change: what plotly reports: `dimensions[3].constraintrange`, or all of `dimensions` where axes were moved.
        snapshot: of the study that the axes show.
    """
    axes = axes_of(snapshot, brush)
    for key, value in change.items():
        match = _CONSTRAINT.fullmatch(key)
        if match and int(match[1]) < len(axes):
            brush = brush.with_interval(axes[int(match[1])], _intervals(value))
        elif key == "dimensions" and value:
            names = {plain(name): name for name in axes if name != OBJECTIVE}
            order = tuple(names.get(dimension.get("label", ""), OBJECTIVE) for dimension in value[0])
            if sorted(order) == sorted(axes):
                brush = replace(brush, order=order)
    return brush


def typed(brush: Brush, text: str, snapshot: StudySnapshot) -> Brush:
    """The brush with an interval that was typed, as `k=2:4`.

    Raises:
        AnalysisError: there is no such parameter, or the interval is upside down.
        QuantityError: the interval cannot be read.
    """
    name, _, interval = (part.strip() for part in text.partition("="))
    axes = axes_of(snapshot, brush)
    if name not in axes:
        raise AnalysisError(
            "A filter names a parameter and an interval.", value=text, hint=f"Type, for example, {axes[0]}=0.2:0.8."
        )
    low, high = parse_range(interval)
    if low > high:
        raise AnalysisError("An interval runs from its lower to its upper end.", value=interval)
    return brush.with_interval(name, [(low, high)])


def brushed(snapshot: StudySnapshot, brush: Brush) -> StudySnapshot:
    """The study with only the trials that lie in the brush; an axis that it does not have decides nothing."""
    if not brush.intervals:
        return snapshot
    tests = [
        (name, _opened(name, found, snapshot))
        for name, found in brush.intervals.items()
        if name == OBJECTIVE or name in snapshot.ranges
    ]
    kept = tuple(
        trial
        for trial in snapshot.trials
        if all(_inside(_value(trial, name, snapshot), intervals) for name, intervals in tests)
    )
    return replace(snapshot, trials=kept)


def draw_brush(figure: go.Figure, brush: Brush, snapshot: StudySnapshot) -> go.Figure:
    """Show a brush on the parallel axes: they were made anew, and what a person dragged must stay."""
    natural = axes_of(snapshot, Brush())
    dimensions = dict(zip(natural, figure.data[0].dimensions, strict=True))
    for name, found in brush.intervals.items():
        if name in dimensions:
            dimensions[name].constraintrange = [list(one) for one in found] if len(found) > 1 else list(found[0])
    figure.data[0].dimensions = [dimensions[name] for name in axes_of(snapshot, brush)]
    return figure


def _intervals(value: Any) -> tuple[AxisInterval, ...]:
    """Plotly gives one interval, several, or nothing, each wrapped once more in a list."""
    found = value[0] if value else None
    if not found:
        return ()
    pairs: Iterable[Any] = found if isinstance(found[0], list) else [found]
    return tuple((float(low), float(high)) for low, high in pairs)


def _opened(name: str, intervals: Iterable[AxisInterval], snapshot: StudySnapshot) -> tuple[AxisInterval, ...]:
    """Intervals as the axis means them: one that reaches its end holds what is drawn there from beyond."""
    if name == OBJECTIVE:
        values = np.array([trial.objective for trial in snapshot.ranked], dtype=np.float64)
        if not len(values):
            return tuple(intervals)
        bottom, top = robust_range(values * snapshot.measure.scale)
    else:
        bottom, top = snapshot.ranges[name].low, snapshot.ranges[name].high
    # Axes hold numbers of seven digits.
    near = 1e-6 * max(abs(bottom), abs(top), top - bottom)
    return tuple(
        (-np.inf if low <= bottom + near else low - near, np.inf if high >= top - near else high + near)
        for low, high in intervals
    )


def _value(trial: TrialRecord, name: str, snapshot: StudySnapshot) -> float | None:
    if name != OBJECTIVE:
        return trial.vector[name]
    return None if trial.objective is None else trial.objective * snapshot.measure.scale


def _inside(value: float | None, intervals: Iterable[AxisInterval]) -> bool:
    return value is not None and any(low <= value <= high for low, high in intervals)
