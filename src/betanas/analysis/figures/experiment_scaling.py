"""Hypothesis 1: the same vectors at two scales, and accuracy against what it costs."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from betanas.analysis.figures.costs import log_axis, unit_of
from betanas.analysis.figures.palette import series_style
from betanas.analysis.figures.style import finish, plain
from betanas.analysis.figures.traces import GUIDE, panels, series, spread
from betanas.analysis.tables.experiment_scaling import AgreementRow, ScaleRow, UpliftRow
from betanas.analysis.tables.table import Table


def scales(rows: Table[ScaleRow], agreements: Table[AgreementRow], uplifts: Table[UpliftRow]) -> go.Figure:
    """Above, accuracy at the largest scale over that at the smallest; below, accuracy over MACs; a column a budget."""
    kinds = list(dict.fromkeys(rows.column("kind")))
    sides = sorted(set(rows.column("resolution")))
    names = list(dict.fromkeys(rows.column("vector")))
    between = {row.kind: row for row in agreements if (row.small, row.large) == (sides[0], sides[-1])}
    unit, factor = unit_of("macs", max(rows.column("macs")))
    headings = [f"{kind}: {_correlation(between.get(kind))}" for kind in kinds]
    figure = panels(headings, rows=2, across=0.12, down=0.14)
    macs = [row.macs * factor for row in rows]
    for column, kind in enumerate(kinds, start=1):
        above, below = {"row": 1, "col": column}, {"row": 2, "col": column}
        known = {(row.vector, row.resolution): row for row in rows if row.kind == kind and row.percent is not None}
        ends = [known[name, side].percent or 0.0 for name in names for side in sides if (name, side) in known]
        reach = [min(ends, default=0.0), max(ends, default=1.0)]
        entry = {"legendgroup": "equal", "showlegend": column == 1, "hoverinfo": "skip"}
        figure.add_trace(
            go.Scatter(x=reach, y=reach, mode="lines", name="equal accuracy", line=GUIDE, **entry), **above
        )
        for place, name in enumerate(names):
            own = [known[name, side] for side in sides if (name, side) in known]
            if own:
                _add_vector(figure, own, name, place, column, factor=factor, ends=(sides[0], sides[-1]))
        figure.update_xaxes(title_text=f"Accuracy at R={sides[0]} (%)", **above)
        figure.update_yaxes(title_text=f"Accuracy at R={sides[-1]} (%)", **above)
        figure.update_xaxes(log_axis(f"Multiply-accumulates ({unit})", min(macs), max(macs)), **below)
        figure.update_yaxes(title_text="Accuracy (%)", **below)
    gains = "; ".join(
        f"{plain(row.kind)}: {_ends(row.points, row.low, row.high)}" for row in uplifts if row.cost == "macs"
    )
    return finish(
        figure,
        title=f"Scaled from R={sides[0]} to R={sides[-1]}",
        caption="Above: accuracy of the same vectors at the smallest and the largest resolution; whiskers span the "
        "seeds. Below: their accuracy over what they cost, from the smallest resolution to the largest. Mean gain in "
        f"points for each doubling of multiply-accumulates, with its 95% interval: {gains}.",
        alt=f"Scatter plots of {len(names)} vectors at {len(sides)} resolutions for {' and '.join(map(plain, kinds))}.",
        height=780,
        min_width=320 * len(kinds),
        margin={"t": 84},
        legend={"y": -0.12},
    )


def _add_vector(
    figure: go.Figure,
    own: list[ScaleRow],
    name: str,
    place: int,
    column: int,
    *,
    factor: float,
    ends: tuple[int, int],
) -> None:
    style = series_style(place)
    at = {row.resolution: row for row in own}
    if all(side in at for side in ends):
        small, large = (at[side] for side in ends)
        whiskers = {"error_x": _whiskers(small), "error_y": _whiskers(large)}
        settings: dict[str, Any] = {"hover": "%{x:.2f}% and %{y:.2f}%", "size": 10, "legendgroup": name, **whiskers}
        dot = series([small.percent], [large.percent], name, style, "markers", showlegend=False, **settings)
        figure.add_trace(dot, row=1, col=column)
    x, y = [row.macs * factor for row in own], [row.percent for row in own]
    settings = {"hover": "R = %{customdata}: %{y:.2f}%", "size": 8, "width": 1.5, "customdata": list(at)}
    line = series(x, y, name, style, "lines+markers", legendgroup=name, showlegend=column == 1, **settings)
    figure.add_trace(line, row=2, col=column)


def _whiskers(row: ScaleRow) -> dict[str, Any]:
    return spread([row.percent or 0.0], [row.lowest], [row.highest]) | {"thickness": 1, "width": 3}


def _correlation(row: AgreementRow | None) -> str:
    if row is None or row.spearman is None:
        return "no ranking"
    return f"\N{GREEK SMALL LETTER RHO} = {_ends(row.spearman, row.spearman_low, row.spearman_high)}"


def _ends(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.2f}" + (f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else "")
