"""What all figures share: light and dark templates, the title, the caption, the alternative text, safe words."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from betanas.analysis.figures.palette import SERIES_COLOURS

ThemeName = Literal["light", "dark"]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of the paper. Text on background has a contrast of at least 7:1 (WCAG AAA).

    Attributes:
        paper: background.
        text: words and ticks.
        grid: grid lines.
        line: axis lines and outlines.
    """

    paper: str
    text: str
    grid: str
    line: str


THEMES: dict[ThemeName, Theme] = {
    "light": Theme(paper="#ffffff", text="#1b1f24", grid="#e3e6ea", line="#8a929c"),
    "dark": Theme(paper="#14181d", text="#e6e9ed", grid="#2c333b", line="#77808b"),
}


@cache
def template(name: ThemeName = "light") -> go.layout.Template:
    """The look of every figure, as a plotly template; plotly copies it into each figure."""
    theme = THEMES[name]
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.line,
        "zerolinecolor": theme.grid,
        "showline": True,
        "ticks": "outside",
        "tickcolor": theme.line,
        "automargin": True,
        "title": {"standoff": 8, "font": {"size": 13}},
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": theme.paper,
            "plot_bgcolor": theme.paper,
            "font": {"family": FONT, "size": 13, "color": theme.text},
            "title": {
                "font": {"size": 16},
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 12, "t": 14},
            },
            "colorway": list(SERIES_COLOURS),
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": theme.paper, "bordercolor": theme.line, "font": {"color": theme.text}},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": -0.24,
                "yanchor": "top",
                "bgcolor": "rgba(0,0,0,0)",
                "font": {"size": 12},
                "itemwidth": 40,
            },
            "margin": {"l": 56, "r": 16, "t": 48, "b": 48},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.line, "activecolor": theme.text},
        }
    )


def finish(
    figure: go.Figure,
    *,
    title: str,
    caption: str,
    alt: str,
    x: str | None = None,
    y: str | None = None,
    height: int = 420,
    min_width: int = 320,
    **layout: Any,
) -> go.Figure:
    """Give a figure its title, caption, alternative text, size and look.

    Args:
        figure: with its traces.
        title: at most some forty characters, so that it fits a phone.
        caption: what the figure shows, in sentences; kept in `layout.meta["caption"]`.
        alt: what a person who cannot see it should know; kept in `layout.meta["alt"]`.
        x: title of the horizontal axis; None where subplots have theirs.
        y: title of the vertical axis.
        height: in pixels.
        min_width: pixels below which a page should scroll rather than squeeze; kept in `layout.meta["min_width"]`.
        layout: further layout settings, also as plotly's `xaxis_range`.
    """
    meta = {"caption": caption, "alt": alt, "min_width": min_width}
    titles = {f"{axis}axis_title_text": text for axis, text in (("x", x), ("y", y)) if text is not None}
    figure.update_layout(template=template(), height=height, title_text=title, meta=meta)
    return figure.update_layout(**layout).update_layout(**titles)


def with_theme(figure: go.Figure, name: ThemeName) -> go.Figure:
    """The same figure in another theme; the one given stays as it is."""
    return go.Figure(figure).update_layout(template=template(name))


def plain(text: object) -> str:
    """Words from a study as plotly shows them literally: plotly reads tags such as <b> and <a> in labels."""
    return html.escape(str(text), quote=False)


def compact(values: Any) -> Any:
    """Real numbers as a float32 array, which plotly stores in 4 bytes a value; anything else as it is."""
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.kind == "f" else values
