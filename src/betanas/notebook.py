"""How a study, a blueprint and a trial show themselves in a notebook: HTML that needs no library and no network.

Pure functions of records. Everything from a study is escaped; drawings are SVG in the page's own text colour, so that
they suit a light and a dark notebook.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from betanas.analysis import wording
from betanas.analysis.figures.palette import BLUE, KIND_COLOURS
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.history import history
from betanas.blueprint import Blueprint
from betanas.quantities import format_count
from betanas.search.records import TrialRecord

_CELL = "padding:2px 10px 2px 0;text-align:{align};border-bottom:1px solid rgba(127,134,143,.35)"
_WIDTH, _HEIGHT = 560.0, 150.0


def blueprint_html(blueprint: Blueprint) -> str:
    """A blueprint: what it costs, a drawing to scale and its layers as Tables A1 to A4 print them."""
    title = f"Blueprint: {blueprint.resolution} x {blueprint.resolution} pixels, {blueprint.num_classes:,} classes"
    facts = (
        ("Parameters", format_count(blueprint.num_params)),
        ("Multiply-accumulates", format_count(blueprint.macs)),
        ("Layers", str(len(blueprint.layers))),
        ("Key", blueprint.key),
    )
    return _card(title, _facts(facts), drawing_svg(blueprint), _table(wording.layer_grid(blueprint)))


def trial_html(trial: TrialRecord) -> str:
    """A trial: how it ended, what it cost, its learning curve where it was read, and its vector."""
    vector = [{"Parameter": name, "Value": f"{value:.4f}"} for name, value in trial.vector.items()]
    curve = ""
    if len(trial.curve) > 1:
        points = [(point.seconds, 100 * point.accuracy) for point in trial.curve]
        curve = line_svg(points, "Validation top-1 accuracy (%) against training seconds")
    return _card(
        f"Trial {trial.index}",
        _facts(wording.trial_facts(trial)),
        curve,
        _table(wording.grid(vector, "Parameter vector")),
    )


def study_html(snapshot: StudySnapshot) -> str:
    """A study: its key numbers, a summary in words, the running best and the leaders."""
    rows = [row for row in history(snapshot) if row.running_best is not None]
    points = [(float(row.index), (row.running_best or 0.0) * snapshot.measure.scale) for row in rows]
    # A step rather than a slope between two trials: the best so far does not rise in between.
    points = (
        [point for (x, y), (after, _) in pairwise([*points, points[-1]]) for point in ((x, y), (after, y))]
        if points
        else []
    )
    drawing = line_svg(points, f"Best so far: {snapshot.measure.title} against the trial") if len(points) > 1 else ""
    words = "".join(f"<p style='margin:4px 0;max-width:46em'>{escape(line)}</p>" for line in wording.summary(snapshot))
    return _card(
        f"Study {snapshot.name}",
        _facts(wording.key_numbers(snapshot)),
        words,
        drawing,
        _table(wording.leader_grid(snapshot, 5)) if rows else "",
    )


def drawing_svg(blueprint: Blueprint) -> str:
    """One box a layer: height the side, width the channels, both by square root; contractions carry their side."""
    boxes = [("image", blueprint.in_channels, blueprint.resolution, f"image, {blueprint.resolution} pixels")]
    boxes += [
        (
            layer.kind,
            layer.out_channels,
            layer.resolution,
            f"layer {place}: {layer.kind}, {layer.in_channels} to {layer.out_channels} channels, stride "
            f"{layer.stride}, "
            f"{layer.resolution} pixels",
        )
        for place, layer in enumerate(blueprint.layers)
    ]
    roots = [math.sqrt(channels) for _, channels, _, _ in boxes]
    gap = 2.0
    unit = (_WIDTH - gap * len(boxes)) / sum(roots)
    tall = (_HEIGHT - 40) / math.sqrt(blueprint.resolution)
    parts, x, previous = [], 0.0, 0
    for (kind, _, side, words), root in zip(boxes, roots, strict=True):
        width, height = max(root * unit, 1.0), tall * math.sqrt(side)
        fill = KIND_COLOURS.get(kind, "none")
        y = (_HEIGHT - height) / 2 + 8
        parts.append(
            f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' fill='{fill}' "
            "stroke='currentColor' "
            f"stroke-opacity='.5'><title>{escape(words)}</title></rect>"
        )
        if side != previous:
            parts.append(f"<text x='{x:.1f}' y='{y - 3:.1f}' font-size='10' fill='currentColor'>{side}</text>")
        x, previous = x + width + gap, side
    layers = blueprint.layers
    label = (
        f"{len(layers)} layers from {blueprint.resolution} to {layers[-1].resolution} pixels and from "
        f"{blueprint.in_channels} to {layers[-1].out_channels} channels"
    )
    legend = " ".join(
        f"<span style='white-space:nowrap;margin-right:10px'><span style='display:inline-block;width:10px;height:10px;"
        f"background:{fill}'></span> {kind}</span>"
        for kind, fill in KIND_COLOURS.items()
        if any(layer.kind == kind for layer in layers)
    )
    return f"{_svg(parts, label)}<div style='font-size:12px'>{legend}</div>"


def line_svg(points: Sequence[tuple[float, float]], label: str) -> str:
    """A line with its ends' values; `label` says what it shows and becomes its alternative text."""
    xs, ys = zip(*points, strict=True)
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    wide, tall = (right - left) or 1.0, (high - low) or 1.0

    def place(x: float, y: float) -> str:
        return f"{(x - left) / wide * (_WIDTH - 90) + 40:.1f},{(high - y) / tall * (_HEIGHT - 40) + 12:.1f}"

    path = " ".join(place(x, y) for x, y in points)
    texts = (
        (0.0, 16.0, f"{high:.2f}"),
        (0.0, _HEIGHT - 24, f"{low:.2f}"),
        (40.0, _HEIGHT - 8, f"{left:.4g}"),
        (_WIDTH - 70, _HEIGHT - 8, f"{right:.4g}"),
    )
    parts = [f"<polyline points='{path}' fill='none' stroke='{BLUE}' stroke-width='2'/>"]
    parts += [f"<text x='{x}' y='{y}' font-size='10' fill='currentColor'>{text}</text>" for x, y, text in texts]
    return f"<div style='font-size:12px;margin-top:6px'>{escape(label)}</div>{_svg(parts, label)}"


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f"<svg viewBox='0 0 {_WIDTH:.0f} {_HEIGHT:.0f}' width='{_WIDTH:.0f}' "
        "style='max-width:100%;height:auto' role='img' "
        f"aria-label='{escape(label)}' xmlns='http://www.w3.org/2000/svg'>{''.join(parts)}</svg>"
    )


def _card(title: str, *parts: str) -> str:
    return (
        "<div style='font-family:system-ui,sans-serif;line-height:1.45;padding:8px 0'>"
        f"<div style='font-size:16px;font-weight:650'>{escape(title)}</div>{''.join(parts)}</div>"
    )


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    cells = "".join(
        "<div style='margin-right:18px'><span "
        f"style='opacity:.75;font-size:12px'>{escape(name)}</span><br>{escape(value)}</div>"
        for name, value in facts
    )
    return f"<div style='display:flex;flex-wrap:wrap;gap:4px 6px;margin:6px 0'>{cells}</div>"


def _table(grid: wording.Grid) -> str:
    def cell(tag: str, text: str, right: bool) -> str:
        return f"<{tag} style='{_CELL.format(align='right' if right else 'left')}'>{escape(text)}</{tag}>"

    head = "".join(cell("th", text, right) for text, right in zip(grid.headings, grid.numeric, strict=True))
    body = "".join(
        "<tr>" + "".join(cell("td", text, right) for text, right in zip(row, grid.numeric, strict=True)) + "</tr>"
        for row in grid.cells
    )
    return (
        "<details open><summary style='font-size:12px;opacity:.75'>"
        f"{escape(grid.caption)}</summary><div style='overflow-x:auto'><table "
        "style='color:inherit;border-collapse:collapse;font-size:13px;"
        f"font-variant-numeric:tabular-nums'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )
