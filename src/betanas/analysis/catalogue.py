"""Every figure and table that can be made of a study, by name: what the report shows and what can be written singly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from betanas.analysis.errors import AnalysisError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.clusters import cluster_leaders, cluster_table
from betanas.analysis.tables.comparison import comparison_of, comparison_table
from betanas.analysis.tables.confirmation import confirmation_table, winner
from betanas.analysis.tables.curves import learning_curves
from betanas.analysis.tables.history import history, leaders, outcomes, totals
from betanas.analysis.tables.infeasible import infeasible_patterns
from betanas.analysis.tables.layers import layer_table
from betanas.analysis.tables.noise import noise
from betanas.analysis.tables.parameters import normalised_parameters
from betanas.analysis.tables.pareto import pareto, traded_cost
from betanas.analysis.tables.processes import processes_of
from betanas.analysis.tables.scaling import scaling_of
from betanas.analysis.tables.surrogate import importance, model_best

if TYPE_CHECKING:
    import plotly.graph_objects as go

Rows: TypeAlias = list[dict[str, Any]]
Section = Literal["winner", "search", "parameters", "regions", "cost", "comparison", "trouble"]


@dataclass(frozen=True, slots=True)
class FigurePiece:
    """A figure of a study.

    Attributes:
        name: what `betanas report --only` calls it.
        section: where the report shows it; None for one that is only written singly.
        counterpart: the 2022 report's figures that it reproduces.
        folded: whether a reader of the report unfolds it: what few look for.
    """

    name: str
    section: Section | None
    counterpart: str = ""
    folded: bool = False

    def build(self, study: StudySnapshot) -> go.Figure:
        """Draw it.

        Raises:
            MissingDataError: the study lacks what it shows.
            AnalysisError: a document that it shows is damaged.
        """
        from betanas.analysis.figures.of_study import draw  # plotly loads where something is drawn

        return draw(self.name, study)


@dataclass(frozen=True, slots=True)
class TablePiece:
    """A table of a study; attributes as in `FigurePiece`. `build` gives rows of plain values."""

    name: str
    build: Callable[[StudySnapshot], Rows]
    counterpart: str = ""


FIGURES: tuple[FigurePiece, ...] = (
    FigurePiece("schematic", "winner", "Figure 13"),
    FigurePiece("placement", "winner", "Figures 15 and 16", folded=True),
    FigurePiece("confirmation", "winner"),
    FigurePiece("history", "search", "Figures 18 and 22"),
    FigurePiece("time", "search"),
    FigurePiece("curves", "search", folded=True),
    FigurePiece("parallel", "parameters", "Figures 19 and 23"),
    FigurePiece("importance", "parameters"),
    FigurePiece("slices", "parameters", folded=True),
    FigurePiece("contours", "parameters", folded=True),
    FigurePiece("predictions", "parameters", folded=True),
    FigurePiece("dendrogram", "regions", "Figures 20 and 24", folded=True),
    FigurePiece("clusters", "regions", "Figures 21 and 25"),
    FigurePiece("pareto", "cost"),
    FigurePiece("scaling", "cost", "Figure 28"),
    FigurePiece("scaling-macs", "cost", folded=True),
    FigurePiece("scaling-memory", "cost", folded=True),
    FigurePiece("scaling-rules", "cost", folded=True),
    FigurePiece("processes", "cost", "Figure 17", folded=True),
    FigurePiece("comparison", "comparison", "Figure 26"),
    FigurePiece("resolutions", "comparison", "Figure 27", folded=True),
    FigurePiece("infeasible", "trouble"),
    FigurePiece("quantiles", None, "Figure 14"),
)


def _trials(study: StudySnapshot) -> Rows:
    rows = history(study).to_rows()
    return [{**row, **trial.vector} for row, trial in zip(rows, study.trials, strict=True)]


def _clusters(study: StudySnapshot) -> Rows:
    return cluster_table(cluster_leaders(study), model_best(study), scale=study.measure.scale)


TABLES: tuple[TablePiece, ...] = (
    TablePiece("trials", _trials),
    TablePiece("totals", lambda study: [asdict(totals(study))]),
    TablePiece("leaders", lambda study: leaders(study).to_rows()),
    TablePiece("layers", lambda study: layer_table(winner(study).blueprint), "Tables A1 to A4"),
    TablePiece("confirmation", lambda study: confirmation_table(study).to_rows()),
    TablePiece("clusters", _clusters, "Tables 5 and 6"),
    TablePiece("cluster-members", lambda study: cluster_leaders(study).members.to_rows()),
    TablePiece("parameters", lambda study: normalised_parameters(study).to_rows()),
    TablePiece("importance", lambda study: importance(study).to_rows()),
    TablePiece("curves", lambda study: learning_curves(study).to_rows()),
    TablePiece("pareto", lambda study: pareto(study, traded_cost(study)).to_rows()),
    TablePiece("scaling", lambda study: scaling_of(study).to_rows()),
    TablePiece("comparison", lambda study: comparison_table(comparison_of(study)).to_rows(), "Tables 7 and 8"),
    TablePiece("processes", lambda study: processes_of(study).rows.to_rows()),
    TablePiece("outcomes", lambda study: outcomes(study).to_rows()),
    TablePiece("infeasible", lambda study: infeasible_patterns(study).to_rows()),
    TablePiece("noise", lambda study: noise(study).repeats.to_rows()),
)

_Piece = TypeVar("_Piece", FigurePiece, TablePiece)


def figure_named(name: str) -> FigurePiece:
    """A figure by its name.

    Raises:
        AnalysisError: there is no such figure.
    """
    return _named(FIGURES, name, "figures")


def table_named(name: str) -> TablePiece:
    """A table by its name.

    Raises:
        AnalysisError: there is no such table.
    """
    return _named(TABLES, name, "tables")


def _named(pieces: tuple[_Piece, ...], name: str, what: str) -> _Piece:
    found = {piece.name: piece for piece in pieces}
    if name not in found:
        names = ", ".join(found)
        raise AnalysisError(f"The {what} of a study are {names}.", value=name, hint="Type one of them after --only.")
    return found[name]
