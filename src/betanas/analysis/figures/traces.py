"""The kinds of series that figures are made of, in the look that all figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from betanas.analysis.figures.palette import GREY, SeriesStyle, translucent
from betanas.analysis.figures.style import compact, plain

NAMED = "<extra>%{fullData.name}</extra>"
GUIDE: Mapping[str, Any] = {"color": GREY, "dash": "dash", "width": 1.5}


def panels(
    titles: Sequence[str], *, across: float, down: float = 0.0, rows: int = 1, cols: int = 0, **settings: Any
) -> go.Figure:
    """A grid of panels with headings; by default a row, `across` and `down` apart as parts of the figure."""
    places = {"rows": rows, "cols": cols or max(len(titles), 1)}
    apart = {"horizontal_spacing": across, "vertical_spacing": down}
    return make_subplots(**places, **apart, subplot_titles=[plain(title) for title in titles], **settings)


def series(
    x: Any,
    y: Any,
    name: str,
    style: SeriesStyle,
    mode: str = "lines",
    *,
    hover: str = "",
    width: float = 2.0,
    size: Any = 7.0,
    webgl: bool = False,
    **settings: Any,
) -> go.Scatter:
    """Lines, markers or both.

    Args:
        x: the points' places, shape [n].
        y: their heights, shape [n].
        name: for the legend; a study's words are shown literally.
        style: colour, marker and dash.
        mode: plotly's.
        hover: what is said of a point under the mouse, followed by the series' name; nothing by default.
        width: of the line, in pixels.
        size: of the markers, in pixels.
        webgl: draw with WebGL, for thousands of points.
        settings: plotly's further settings, also as `line_shape`.
    """
    shown: dict[str, Any] = {"hovertemplate": f"{hover}{NAMED}"} if hover else {"hoverinfo": "skip"}
    if "lines" in mode:
        shown["line"] = {"color": style.colour, "dash": style.dash, "width": width}
    if "markers" in mode:
        shown["marker"] = {"color": style.colour, "symbol": style.symbol, "size": size}
    kind = go.Scattergl if webgl else go.Scatter
    return kind(x=compact(x), y=compact(y), name=plain(name), mode=mode, **{**shown, **settings})


def band(x: Any, low: Any, high: Any, name: str, colour: str, alpha: float = 0.2, **settings: Any) -> go.Scatter:
    """The area between two lines over the same x."""
    forth, back = np.asarray(x), np.asarray(x)[::-1]
    around = {"fill": "toself", "fillcolor": translucent(colour, alpha), "line_width": 0, "hoverinfo": "skip"}
    y = np.concatenate([high, np.asarray(low)[::-1]])
    return go.Scatter(
        x=compact([*forth, *back]), y=compact(y), mode="lines", name=plain(name), **{**around, **settings}
    )


def spread(
    middles: Sequence[float], lows: Sequence[float | None], highs: Sequence[float | None], scale: float = 1.0
) -> dict[str, Any]:
    """Error bars from ends of intervals, which are scaled; none where an end is missing."""
    above = [0.0 if high is None else scale * high - middle for middle, high in zip(middles, highs, strict=True)]
    below = [0.0 if low is None else middle - scale * low for middle, low in zip(middles, lows, strict=True)]
    return {"array": compact(above), "arrayminus": compact(below), "thickness": 2}


def bars(values: Any, labels: Any, name: str, colour: str, pattern: str, *, hover: str, **settings: Any) -> go.Bar:
    """Horizontal bars; the pattern tells two series apart in grey."""
    look = {"color": colour, "pattern": fill_pattern(pattern)}
    return go.Bar(
        x=values, y=labels, orientation="h", name=name, marker=look, hovertemplate=f"{hover}{NAMED}", **settings
    )


def fill_pattern(shape: str) -> dict[str, Any]:
    """White lines, crosses or dots over a bar's colour."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "#ffffff", "solidity": 0.2}
