"""One figure or table of a study, as the bytes of a file."""

from __future__ import annotations

from betanas.analysis.catalogue import FIGURES, TABLES, figure_named, table_named
from betanas.analysis.errors import AnalysisError
from betanas.analysis.extras import require_plotly
from betanas.analysis.formats import figure_image, figure_json, to_csv, to_json, to_latex
from betanas.analysis.snapshot import StudySnapshot

IMAGES = ("png", "svg", "pdf")


def single_piece(snapshot: StudySnapshot, name: str | None, kind: str) -> bytes:
    """A figure as `png`, `svg`, `pdf` or `html`, a table as `csv` or `latex`, either as `json` (the table first).

    Args:
        snapshot: the study.
        name: of the figure or table.
        kind: the format.

    Raises:
        AnalysisError: no name is given, or there is no such piece in that format.
        MissingDataError: the study does not hold what the piece shows.
        MissingExtraError, DeviceError: a picture cannot be drawn here.
    """
    figures, tables = {piece.name for piece in FIGURES}, {piece.name for piece in TABLES}
    if name is None:
        known = sorted(figures if kind in IMAGES else tables)
        raise AnalysisError(f"A file of format {kind} holds one piece.", hint=f"Type --only with {', '.join(known)}.")
    if kind in IMAGES or name not in tables:
        require_plotly("A figure")
    if kind in IMAGES:
        return figure_image(figure_named(name).build(snapshot), kind)
    if kind == "html":
        html: str = figure_named(name).build(snapshot).to_html(include_plotlyjs=True, full_html=True)
        return html.encode()
    if kind == "json" and name not in tables and name in figures:
        return figure_json(figure_named(name).build(snapshot)).encode()
    rows = table_named(name).build(snapshot)
    if kind == "latex":
        return to_latex(rows, caption=f"{snapshot.name}: {name}").encode()
    return (to_csv(rows) if kind == "csv" else to_json(rows)).encode()
