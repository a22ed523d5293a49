"""Single figures and tables as files: PNG, SVG, PDF, CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from betanas.errors import DeviceError, MissingExtraError

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Order matters: a backslash's replacement holds braces.
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\N{EN DASH}": "--",
    }
)

PNG_SCALE = 2.0

# How a spreadsheet tells a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a heading; nothing for None."""
    out, headings = io.StringIO(), _headings(rows)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_no_formula(heading) for heading in headings])
    writer.writerows([_no_formula(row.get(heading)) for heading in headings] for row in rows)
    return out.getvalue()


def _no_formula(cell: object) -> object:
    """A cell that no spreadsheet computes: a name that begins like a formula is quoted."""
    if not isinstance(cell, str) or len(cell) < 2 or not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def to_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a JSON list of objects; null for what is not a finite number."""
    clean = [{key: _finite(value) for key, value in row.items()} for row in rows]
    return json.dumps(clean, indent=2, ensure_ascii=False, default=str) + "\n"


def to_latex(rows: Sequence[Mapping[str, Any]], *, caption: str = "") -> str:
    """Rows as a LaTeX table (package booktabs), numbers to the right and rounded to two decimals."""
    headings = _headings(rows)
    numeric = [all(_is_number(row.get(heading)) for row in rows) for heading in headings]
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{latex_text(caption)}}}"] if caption else []
    lines += [rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}", r"\toprule"]
    lines += [" & ".join(latex_text(heading) for heading in headings) + r" \\", r"\midrule"]
    lines += [" & ".join(latex_text(_latex_cell(row.get(heading))) for heading in headings) + r" \\" for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def latex_text(text: object) -> str:
    """Words with LaTeX's special characters escaped."""
    return str(text).translate(_LATEX)


def figure_json(figure: go.Figure) -> str:
    """A figure as plotly's JSON."""
    return str(figure.to_json()) + "\n"


def figure_image(figure: go.Figure, kind: str, *, width: int = 800) -> bytes:
    """A figure as a picture, as kaleido draws it with an installed Chromium or Chrome.

    Args:
        figure: the figure.
        kind: `png`, `svg` or `pdf`.
        width: in pixels; a figure that needs more gets more.

    Raises:
        MissingExtraError: kaleido is not installed.
        DeviceError: no Chromium or Chrome is.
    """
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError as error:
        raise MissingExtraError("kaleido", extra="plot", purpose=f"Writing a figure as {kind.upper()}") from error
    wide = max(width, figure.layout.meta["min_width"])
    options = {"format": kind, "width": wide, "height": figure.layout.height}
    options |= {"scale": PNG_SCALE} if kind == "png" else {}
    try:
        return bytes(kaleido.calc_fig_sync(figure.to_plotly_json(), opts=options))
    except ChromeNotFoundError as error:
        raise DeviceError(
            "Drawing a figure as a picture needs Chromium or Chrome.",
            hint="Install one (for example: apt install chromium), or take --format json.",
        ) from error


def _headings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _latex_cell(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
