"""What holds of every figure."""

from __future__ import annotations

import json

import pytest

from betanas.analysis.catalogue import FIGURES, FigurePiece
from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures.style import with_theme
from betanas.analysis.snapshot import StudySnapshot

PIECES = [pytest.param(piece, id=piece.name) for piece in FIGURES if piece.name != "scaling-rules"]
# Drawings without axes to read: a schematic's caption says what width and height mean, parallel axes have their own.
WITHOUT_AXES = {"parallel"}


@pytest.mark.parametrize("piece", PIECES)
def test_a_figure_carries_title_caption_alternative_text_and_units(piece: FigurePiece, snapshot: StudySnapshot) -> None:
    figure = piece.build(snapshot)
    assert 5 < len(figure.layout.title.text) <= 42  # fits a phone
    assert len(figure.layout.meta["caption"]) > 40
    assert figure.layout.meta["caption"].endswith((".", "first."))
    assert len(figure.layout.meta["alt"]) > 20
    assert 300 <= figure.layout.height <= 1200
    json.loads(figure.to_json())
    if piece.name in WITHOUT_AXES:
        return
    titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes()) if axis.title.text]
    assert len(titles) >= 2
    rows = [axis.title.text for axis in figure.select_xaxes()]
    assert piece.name == "slices" or all(rows)


@pytest.mark.parametrize("piece", PIECES)
def test_series_can_be_told_apart_in_grey(piece: FigurePiece, snapshot: StudySnapshot) -> None:
    """Two series in a legend differ in more than colour: marker, dash, pattern, width or kind."""
    looks: dict[tuple[object, ...], str] = {}
    for trace in piece.build(snapshot).data:
        if trace.type not in ("scatter", "scattergl", "bar") or trace.showlegend is False or trace.name is None:
            continue
        marker, line = trace.marker, getattr(trace, "line", None)
        look = (
            trace.type,
            getattr(trace, "mode", None),
            getattr(marker, "symbol", None),
            getattr(getattr(marker, "pattern", None), "shape", None),
            line and line.dash,
            line and line.width,
            # A legend entry without a fill is an outline.
            getattr(marker, "color", None) == "rgba(0,0,0,0)" or None,
            # Parallel axes and learning curves: strong and pale.
            piece.name in ("parallel", "placement") and trace.name,
        )
        assert looks.setdefault(look, trace.name) == trace.name, f"{trace.name} looks like {looks[look]}"


@pytest.mark.parametrize("piece", PIECES)
def test_a_strangers_words_are_literal_in_a_figure(piece: FigurePiece, hostile_snapshot: StudySnapshot) -> None:
    figure = piece.build(hostile_snapshot)
    text = json.dumps(figure.to_plotly_json(), default=str)
    assert "<script" not in text
    assert "<img" not in text


def test_hostile_words_do_reach_figures(hostile_snapshot: StudySnapshot) -> None:
    """The test above would also pass if nothing of the study were shown."""
    reached = [
        piece.name
        for piece in FIGURES
        if "&lt;script" in json.dumps(piece.build(hostile_snapshot).to_plotly_json(), default=str)
    ]
    assert {"history", "slices", "comparison", "resolutions", "processes", "scaling-rules"} <= set(reached)


@pytest.mark.parametrize("piece", [p for p in FIGURES if p.name != "quantiles"], ids=lambda piece: piece.name)
def test_an_empty_study_says_what_is_missing_or_draws_nothing(
    piece: FigurePiece, empty_snapshot: StudySnapshot
) -> None:
    if piece.name == "history":
        assert "No trial has a result yet" in piece.build(empty_snapshot).layout.meta["alt"]
        return
    with pytest.raises(MissingDataError) as told:
        piece.build(empty_snapshot)
    assert str(told.value).endswith((".", "STUDY."))


def test_a_theme_changes_paper_and_words_alone(snapshot: StudySnapshot) -> None:
    light = FIGURES[2].build(snapshot)
    dark = with_theme(light, "dark")
    assert light.layout.template.layout.paper_bgcolor == "#ffffff"
    assert dark.layout.template.layout.paper_bgcolor == "#14181d"
    assert [trace.to_plotly_json().keys() for trace in light.data] == [t.to_plotly_json().keys() for t in dark.data]


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_text_and_lines_have_contrast_in_both_themes() -> None:
    from betanas.analysis.figures.palette import GREY
    from betanas.analysis.figures.style import THEMES

    for theme in THEMES.values():
        assert contrast(theme.text, theme.paper) >= 7
        assert contrast(theme.line, theme.paper) >= 3
        assert contrast(GREY, theme.paper) >= 3
