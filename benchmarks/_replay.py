"""What the replay benchmarks are about: where the recorded trials lie, what was searched, within which limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from betanas.search.feasibility import Problem
from betanas.search.settings import Limits
from betanas.search.simulation.recording import Recording, read_recordings
from betanas.search.simulation.surrogate import ReplaySurrogate
from betanas.spaces import get_space

RECORDINGS = Path(__file__).parent / "data" / "replay_cifar100_r32.jsonl"

# The trials of the real searches: in the region where searches go, in which a Sobol sequence has few points.
REAL_SEARCHES = Path(__file__).parents[1] / "docs" / "results" / "real" / "results.json"

SPACE, PRESETS = "betanet3", ("default", "table1")
RESOLUTION, CLASSES, CHANNELS, BATCH_SIZE = 32, 100, 3, 100

# Parameters as in the report, here and at 224 pixels. Multiply-accumulates by what one core can train: at the limit
# 20 seconds are about ten steps, and every network beyond it would be recorded as chance.
LIMITS = Limits(params=30_000_000, macs=30_000_000, lookahead=((224, 50_000_000),))


def problem(preset: str) -> Problem:
    """What is searched."""
    return Problem(get_space(SPACE, preset), RESOLUTION, CLASSES, CHANNELS, BATCH_SIZE, limits=LIMITS)


def recorded(path: Path = RECORDINGS, *, real: bool = True) -> list[Recording]:
    """The recorded trials and, unless told otherwise, those of the real searches, without their curves."""
    found = read_recordings(path)
    if real:
        searches = json.loads(REAL_SEARCHES.read_text(encoding="utf-8"))["searches"]
        found += [
            Recording(
                vector=trial["vector"],
                top1=trial["accuracy"],
                curve=((trial["training_seconds"], trial["accuracy"]),),
                training_seconds=trial["training_seconds"],
                wall_seconds=trial["wall_seconds"],
                params=trial["params"],
            )
            for search in searches.values()
            for trial in search["trials"]
            if trial["state"] == "completed"
        ]
    return found


def one_thread() -> None:
    """Keep a process of the pool to one thread: there is one for each core."""
    import torch

    torch.set_num_threads(1)


def interval(values: np.ndarray) -> list[float]:
    """95% bootstrap interval of the median."""
    if len(values) < 2:
        return [float(values[0])] * 2
    found = stats.bootstrap((values,), np.median, method="percentile", rng=np.random.default_rng(0))
    return [float(found.confidence_interval.low), float(found.confidence_interval.high)]


def draw_regrets(
    regrets: Mapping[str, np.ndarray],
    axis: np.ndarray,
    reached: float | None,
    path: Path,
    *,
    title: str,
    along: str,
    top: float | None = None,
) -> None:
    """Median regret with the quartiles of the first strategy, and what the report's search ends with.

    Args:
        regrets: by strategy, in points; shape [seeds, n].
        axis: what it is drawn over, shape [n].
        reached: regret of the report's search at its end; None where it is not known.
        path: of the figure, an SVG.
        title: of the figure.
        along: what the axis counts.
        top: the largest regret that is shown; None shows all.
    """
    import plotly.graph_objects as go

    from betanas.analysis.figures.palette import GREY, series_style, translucent
    from betanas.analysis.figures.style import finish
    from betanas.analysis.formats import figure_image

    figure, over = go.Figure(), axis.tolist()
    for place, (name, runs) in enumerate(regrets.items()):
        style = series_style(place)
        low, median, high = np.quantile(runs, [0.25, 0.5, 0.75], axis=0)
        if place == 0:
            figure.add_trace(
                go.Scatter(
                    x=over + over[::-1],
                    y=[*high.tolist(), *low[::-1].tolist()],
                    fill="toself",
                    fillcolor=translucent(style.colour, 0.15),
                    line={"width": 0},
                    showlegend=False,
                )
            )
        line = {"color": style.colour, "dash": style.dash, "width": 2.5 if place == 0 else 1.5}
        figure.add_trace(go.Scatter(x=over, y=median.tolist(), mode="lines", name=name, line=line))
    if reached is not None:
        figure.add_hline(y=reached, line={"color": GREY, "dash": "dash", "width": 1.5})
    finish(
        figure,
        title=title,
        caption="Median regret over seeds; band: quartiles of the first. Dashed: the report's search at its end.",
        alt=f"Falling lines of {len(regrets)} strategies.",
        xaxis={"title": {"text": along}},
        yaxis={"title": {"text": "Regret (points)"}, **({"range": [0.0, top]} if top else {"rangemode": "tozero"})},
    )
    path.write_bytes(figure_image(figure, "svg"))


def described(surrogate: ReplaySurrogate, best: float) -> dict[str, Any]:
    """A surrogate as a record tells of it, with its best feasible accuracy."""
    return {
        "model": surrogate.model,
        "recordings": surrogate.recordings,
        "noise": surrogate.noise,
        "errors": {name: asdict(error) for name, error in surrogate.errors.items()},
        "best": best,
    }
