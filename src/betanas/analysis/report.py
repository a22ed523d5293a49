"""The report of a study: one HTML file that needs nothing else.

plotly.js is inside, compressed (the browser unpacks it), figures are drawn when they come into view, and everything
that comes from the study is escaped: into HTML by the template, into scripts by `script_safe_json`, into plotly's
labels by the figures themselves.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import unescape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from betanas._version import __version__
from betanas.analysis import wording
from betanas.analysis.catalogue import FIGURES, FigurePiece, Section
from betanas.analysis.errors import MissingDataError
from betanas.analysis.extras import require_plotly
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.clusters import cluster_leaders, cluster_table
from betanas.analysis.tables.comparison import comparison_of, comparison_table
from betanas.analysis.tables.confirmation import winner
from betanas.analysis.tables.surrogate import model_best, surrogate_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


# The order of the report, with what each section is about.
SECTIONS: tuple[tuple[Section, str, str], ...] = (
    ("winner", "The winner", "The network this study ends in: the best confirmed one, else the best trial's."),
    ("search", "The search", "What was tried, in order, and what came of it."),
    ("parameters", "What matters", "Which parameters decide, and what the model that guided the search believes."),
    ("regions", "Groups of the best trials", "The best trials grouped by their parameters."),
    ("cost", "Cost and scaling", "What accuracy costs, and how the networks grow with the image."),
    ("comparison", "Comparison", "The networks beside others, trained under the same recipe."),
    ("trouble", "What failed, and why", "Trials that gave no result."),
)


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure in the report, or the reason why it is not there.

    Attributes:
        name: of the piece.
        title, caption, alt: from the figure; the title is the piece's name where the figure failed.
        height, min_width: in pixels.
        folded: whether a reader unfolds it.
        document: data and layout as JSON that is safe inside a script element; empty where it failed.
        problem: why it failed; empty otherwise.
    """

    name: str
    title: str
    caption: str = ""
    alt: str = ""
    height: int = 0
    min_width: int = 0
    folded: bool = False
    document: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of the report: its figures, and its tables (a table that failed is a sentence that says why)."""

    name: str
    title: str
    intro: str
    figures: tuple[ReportFigure, ...]
    grids: tuple[wording.Grid, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A report as text, with what could not be put into it.

    Attributes:
        html: the file.
        failed: figures and tables that failed, with reasons: a fault, or a damaged document.
        missing: figures that the study holds no data for, with reasons.
    """

    html: str
    failed: dict[str, str]
    missing: dict[str, str]


def build_report(snapshot: StudySnapshot, *, now: datetime | None = None, opening: Sequence[str] = ()) -> StudyReport:
    """Make the report of a study.

    Args:
        snapshot: the study.
        now: time printed on the report; the current time by default.
        opening: sentences that the summary begins with.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    require_plotly("A report")
    missing: dict[str, str] = {}
    shown = [each for each in SECTIONS if each[0] == "comparison" or not snapshot.compared]
    pieces = [piece for piece in FIGURES if piece.section in {name for name, *_ in shown}]
    drawn = {piece.name: draw(piece, snapshot, missing) for piece in pieces}
    sections = []
    for name, title, intro in shown:
        own = (drawn[piece.name] for piece in pieces if piece.section == name)
        figures = tuple(figure for figure in own if figure is not None)
        grids, problems = _section_grids(name, snapshot)
        if figures or grids or problems:
            sections.append(ReportSection(name, title, intro, figures, grids, problems))
    failed = {figure.name: figure.problem for figure in drawn.values() if figure is not None and figure.problem}
    failed |= {f"{section.name} tables": " ".join(section.problems) for section in sections if section.problems}
    html = _template().render(
        name=snapshot.name,
        kind="Comparison of networks" if snapshot.compared else "Report of a neural architecture search",
        subject=wording.subject(snapshot),
        summary=(*opening, *wording.summary(snapshot)),
        key_numbers=wording.key_numbers(snapshot),
        sections=sections,
        plan_facts=wording.plan_facts(snapshot),
        run_grids=[made for made in (wording.session_grid(snapshot), wording.environment_grid(snapshot)) if made.cells],
        missing=missing,
        counterparts="; ".join(
            f"{figure.title} is its {piece.counterpart}"
            for piece in FIGURES
            if piece.counterpart and (figure := drawn.get(piece.name))
        ),
        version=__version__,
        written=f"{now or datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        css=_asset("report.css"),
        script=_asset("report.js"),
        themes=script_safe_json(_themes()),
        plotly=_plotly(),
    )
    return StudyReport(html, failed, missing)


def draw(piece: FigurePiece, snapshot: StudySnapshot, missing: dict[str, str]) -> ReportFigure | None:
    """Draw a figure for the report; one that fails says so in its place, one without data is noted in `missing`."""
    try:
        figure = piece.build(snapshot)
        meta = figure.layout.meta
        return ReportFigure(
            name=piece.name,
            title=figure.layout.title.text,
            caption=meta["caption"],
            alt=meta["alt"],
            height=figure.layout.height,
            min_width=meta["min_width"],
            folded=piece.folded,
            document=_figure_json(figure),
        )
    except MissingDataError as reason:
        missing[piece.name] = str(reason)
        return None
    except Exception as fault:  # whatever is wrong with one figure, the reader gets the others
        return ReportFigure(name=piece.name, title=piece.name, problem=f"{type(fault).__name__}: {fault}")


def script_safe_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment there."""
    return _script_safe(json.dumps(value, separators=(",", ":")))


def _script_safe(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _figure_json(figure: go.Figure) -> str:
    """Data and layout without what the page has already: the template (there are two) and the title (a heading)."""
    import plotly.io

    layout = figure.layout
    shown = layout.to_plotly_json()
    for known in ("template", "title", "meta"):
        shown.pop(known, None)
    # Room for the title is not needed; subplots keep some for their headings.
    margin = shown.get("margin", {})
    shown["margin"] = {**margin, "t": max(margin.get("t", 0) - 40, 24)}
    data = [trace.to_plotly_json() for trace in figure.data]
    text: str = plotly.io.to_json({"data": data, "layout": shown}, validate=False, remove_uids=True)
    return _script_safe(text)


def _section_grids(section: Section, snapshot: StudySnapshot) -> tuple[tuple[wording.Grid, ...], tuple[str, ...]]:
    """A section's tables that the study has data for, and why others failed."""
    grids, problems = [], []
    for make in _GRIDS.get(section, ()):
        try:
            grids += [made for made in make(snapshot) if made.cells]
        except MissingDataError:
            continue
        except Exception as fault:  # as with figures: one table must not sink the report
            problems.append(f"A table of this section could not be made. {type(fault).__name__}: {fault}")
    return tuple(grids), tuple(problems)


def _winner_grids(snapshot: StudySnapshot) -> Iterator[wording.Grid]:
    yield wording.layer_grid(winner(snapshot).blueprint)


def _vector_grids(snapshot: StudySnapshot) -> Iterator[wording.Grid]:
    won = winner(snapshot)
    vectors = {won.label[0].upper() + won.label[1:]: won.vector}
    expected = model_best(snapshot)
    if expected is not None and won.trial is not None:
        text = snapshot.measure.text(surrogate_of(snapshot).best.mean)
        vectors[f"Model's best (expects {text})"] = expected
    yield wording.vector_grid(snapshot, vectors)


def _leader_grids(snapshot: StudySnapshot) -> Iterator[wording.Grid]:
    yield wording.leader_grid(snapshot)


def _cluster_grids(snapshot: StudySnapshot) -> Iterator[wording.Grid]:
    scale = snapshot.measure.scale
    rows = [
        {heading: f"{value:.2f}" if isinstance(value, float) else value for heading, value in row.items()}
        for row in cluster_table(cluster_leaders(snapshot), model_best(snapshot), scale=scale)
    ]
    yield wording.grid(
        rows, "Clusters' mean evaluations and parameters beside the model's best, as Tables 5 and 6 print them."
    )


def _comparison_grids(snapshot: StudySnapshot) -> Iterator[wording.Grid]:
    comparison = comparison_of(snapshot)
    for resolution in comparison.resolutions:
        table = comparison_table(comparison, resolution).rows
        several = len({(row.budget, row.recipe) for row in table}) > 1
        rows = [
            {
                "Model": row.model,
                **({"Budget": row.budget or None, "Recipe": row.recipe or None} if several else {}),
                "No. params (M)": f"{row.params_millions:.2f}",
                "MACs (M)": f"{row.macs_millions:,.0f}",
                "Top-1 accuracy (%)": _number(row.top1_percent)
                and f"{row.top1_percent:.2f}"
                + ("" if row.top1_margin is None else f" \N{PLUS-MINUS SIGN} {row.top1_margin:.2f}"),
                "Top-5 (%)": _number(row.top5_percent),
                "Judged on": row.judged_on,
                "Seeds": row.seeds,
                "Failed": row.failed,
                "Training time (hours)": _number(row.training_hours),
                "Images/s": _number(row.images_per_second, 0),
                "Peak memory (GiB)": _number(row.peak_memory_gib),
            }
            for row in table
        ]
        subject = f" on {comparison.data}" if comparison.data else ""
        caption = (
            f"Networks compared at R={resolution}{subject}; \N{PLUS-MINUS SIGN} is half the 95% interval over seeds."
        )
        yield wording.grid(rows, caption)


def _number(value: float | None, digits: int = 2) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _trouble_grids(snapshot: StudySnapshot) -> Iterator[wording.Grid]:
    yield wording.outcome_grid(snapshot)
    yield wording.failure_grid(snapshot)


_GRIDS: dict[Section, tuple[Callable[[StudySnapshot], Iterator[wording.Grid]], ...]] = {
    "winner": (_winner_grids, _vector_grids),
    "search": (_leader_grids,),
    "regions": (_cluster_grids,),
    "comparison": (_comparison_grids,),
    "trouble": (_trouble_grids,),
}


def _themes() -> dict[str, Any]:
    from betanas.analysis.figures.style import THEMES, template

    return {name: template(name).to_plotly_json() for name in THEMES}


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # Figures escape a study's words for plotly; the template escapes them for HTML, once.
    environment.filters["unescaped"] = unescape
    return environment.from_string(_asset("report.html.j2"))


def _asset(name: str) -> str:
    return files("betanas.analysis").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """plotly.js, deflated and in base64: a third of its size."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(zlib.compress(get_plotlyjs().encode(), level=4)).decode()
