"""Every figure and table that can be made of a study, by name: what the report shows and what can be had singly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.spaces import SearchSpace, available_spaces, get_space, published

if TYPE_CHECKING:
    import plotly.graph_objects as go

Rows: TypeAlias = list[dict[str, Any]]
Section = Literal["winner", "search", "parameters", "regions", "cost", "comparison", "trouble"]


@dataclass(frozen=True, slots=True)
class FigurePiece:
    """A figure of a study.

    Attributes:
        name: what `betanas report --only` calls it.
        section: where the report shows it; None for one that is had singly alone.
        counterpart: the report's (University of Sydney, 2022) figures that it reproduces.
        build: makes it; raises `MissingDataError` where the study lacks what it needs.
    """

    name: str
    section: Section | None
    counterpart: str
    build: Callable[[StudySnapshot], go.Figure]


@dataclass(frozen=True, slots=True)
class TablePiece:
    """A table of a study; attributes as in `FigurePiece`. `build` gives rows of plain values."""

    name: str
    counterpart: str
    build: Callable[[StudySnapshot], Rows]


def space_of(snapshot: StudySnapshot) -> SearchSpace:
    """The study's search space, where it is one that is installed.

    A study may name a Python file. It is not run: a report must be safe to make of anybody's study.

    Raises:
        MissingDataError: the space is not registered.
    """
    if snapshot.plan.space not in available_spaces():
        raise MissingDataError(
            "Networks at other resolutions need the search space's code, and a report runs none that a study names.",
            value=snapshot.plan.space,
            hint="Register the space in Python and make the report there.",
        )
    return get_space(snapshot.plan.space)


def vectors_to_scale(snapshot: StudySnapshot) -> dict[str, Mapping[str, float]]:
    """The vectors whose growth is worth a look: the winner's, the model's best and the published one."""
    from betanas.analysis.tables.confirmation import winner
    from betanas.analysis.tables.surrogate import model_best

    space = space_of(snapshot)
    won = winner(snapshot)
    vectors: dict[str, Mapping[str, float]] = {f"winner ({won.label})": won.vector}
    expected = model_best(snapshot)
    if expected is not None and won.trial is not None:
        vectors["model's best"] = expected
    if space.name in ("betanet2", "betanet3"):
        vectors["published"] = published(space.name)
    return vectors


def _history(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.history import trial_history
    from betanas.analysis.tables.history import history

    return trial_history(history(snapshot), snapshot.measure)


def _parallel(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.parallel import parallel_axes
    from betanas.analysis.tables.parameters import normalised_parameters

    return parallel_axes(normalised_parameters(snapshot), snapshot.ranges, snapshot.measure)


def _dendrogram(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.clusters import dendrogram
    from betanas.analysis.tables.clusters import cluster_leaders

    return dendrogram(cluster_leaders(snapshot), snapshot.measure)


def _clusters(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.clusters import cluster_parameters
    from betanas.analysis.tables.clusters import cluster_leaders
    from betanas.analysis.tables.surrogate import model_best

    clustering = cluster_leaders(snapshot)
    return cluster_parameters(clustering, snapshot.ranges, model_best(snapshot), snapshot.measure)


def _schematic(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.architecture import schematic
    from betanas.analysis.tables.confirmation import winner

    won = winner(snapshot)
    return schematic(won.blueprint, title=f"Architecture of the winner, {won.label}")


def _placement(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.placement import placement
    from betanas.analysis.tables.confirmation import winner
    from betanas.analysis.tables.placement import shape_of

    plan = snapshot.plan
    shape = shape_of(
        space_of(snapshot),
        winner(snapshot).vector,
        resolution=plan.resolution,
        num_classes=len(plan.classes),
        in_channels=plan.in_channels,
    )
    return placement(shape)


def _quantiles(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.placement import beta_quantiles
    from betanas.analysis.tables.placement import quantile_curves

    return beta_quantiles(quantile_curves())


def _leader_curves(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.curves import leader_curves
    from betanas.analysis.tables.curves import learning_curves

    return leader_curves(learning_curves(snapshot, best=6))


def _time(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.curves import accuracy_against_time
    from betanas.analysis.tables.curves import learning_curves

    return accuracy_against_time(learning_curves(snapshot))


def _importance(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.surrogate import parameter_importance
    from betanas.analysis.tables.surrogate import importance

    return parameter_importance(importance(snapshot))


def _slices(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.surrogate import slices
    from betanas.analysis.tables.surrogate import surrogate_of

    return slices(surrogate_of(snapshot), snapshot.measure)


def _contours(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.surrogate import contours
    from betanas.analysis.tables.surrogate import surrogate_of

    return contours(surrogate_of(snapshot), snapshot.measure)


def _predictions(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.surrogate import predictions
    from betanas.analysis.tables.surrogate import surrogate_of

    return predictions(surrogate_of(snapshot), snapshot.measure)


def _pareto(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.costs import pareto_front
    from betanas.analysis.tables.pareto import pareto

    return pareto_front(pareto(snapshot), snapshot.measure)


def _scaling_table(snapshot: StudySnapshot) -> Table[Any]:
    from betanas.analysis.tables.scaling import scaling

    plan = snapshot.plan
    return scaling(
        space_of(snapshot),
        vectors_to_scale(snapshot),
        num_classes=len(plan.classes),
        in_channels=plan.in_channels,
        batch_size=plan.batch_size,
    )


def _scaling(cost: Literal["params", "macs", "memory"]) -> Callable[[StudySnapshot], go.Figure]:
    def build(snapshot: StudySnapshot) -> go.Figure:
        from betanas.analysis.figures.costs import scaling_curve

        return scaling_curve(_scaling_table(snapshot), cost)

    return build


def _scaling_rules(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.costs import scaling_curve
    from betanas.analysis.tables.scaling import scaling_rules_of

    return scaling_curve(scaling_rules_of(snapshot)).update_layout(title_text="Scaling rules compared")


def _processes(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.costs import epoch_times
    from betanas.analysis.tables.processes import processes_of

    return epoch_times(processes_of(snapshot))


def _comparison(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.curves import comparison_curves
    from betanas.analysis.tables.comparison import comparison_of

    return comparison_curves(comparison_of(snapshot))


def _resolutions(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.curves import resolution_curves
    from betanas.analysis.tables.comparison import comparison_of

    return resolution_curves(comparison_of(snapshot))


def _infeasible(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.feasibility import infeasible_bounds
    from betanas.analysis.tables.infeasible import infeasible_patterns

    return infeasible_bounds(infeasible_patterns(snapshot))


def _confirmation(snapshot: StudySnapshot) -> go.Figure:
    from betanas.analysis.figures.confirmation import confirmed_leaders
    from betanas.analysis.tables.confirmation import confirmation_table

    return confirmed_leaders(confirmation_table(snapshot))


FIGURES: tuple[FigurePiece, ...] = (
    FigurePiece("schematic", "winner", "Figure 13", _schematic),
    FigurePiece("placement", "winner", "Figures 15 and 16", _placement),
    FigurePiece("confirmation", "winner", "", _confirmation),
    FigurePiece("history", "search", "Figures 18 and 22", _history),
    FigurePiece("time", "search", "", _time),
    FigurePiece("curves", "search", "", _leader_curves),
    FigurePiece("parallel", "parameters", "Figures 19 and 23", _parallel),
    FigurePiece("importance", "parameters", "", _importance),
    FigurePiece("slices", "parameters", "", _slices),
    FigurePiece("contours", "parameters", "", _contours),
    FigurePiece("predictions", "parameters", "", _predictions),
    FigurePiece("dendrogram", "regions", "Figures 20 and 24", _dendrogram),
    FigurePiece("clusters", "regions", "Figures 21 and 25", _clusters),
    FigurePiece("pareto", "cost", "", _pareto),
    FigurePiece("scaling", "cost", "Figure 28", _scaling("params")),
    FigurePiece("scaling-macs", "cost", "", _scaling("macs")),
    FigurePiece("scaling-memory", "cost", "", _scaling("memory")),
    FigurePiece("scaling-rules", "cost", "", _scaling_rules),
    FigurePiece("processes", "cost", "Figure 17", _processes),
    FigurePiece("comparison", "comparison", "Figure 26", _comparison),
    FigurePiece("resolutions", "comparison", "Figure 27", _resolutions),
    FigurePiece("infeasible", "trouble", "", _infeasible),
    FigurePiece("quantiles", None, "Figure 14", _quantiles),
)


def _trials(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.history import history

    rows = history(snapshot).to_rows()
    return [{**row, **trial.vector} for row, trial in zip(rows, snapshot.trials, strict=True)]


def _leaders(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.history import leaders

    return leaders(snapshot).to_rows()


def _outcomes(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.history import outcomes

    return outcomes(snapshot).to_rows()


def _totals(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.history import totals

    return [asdict(totals(snapshot))]


def _normalised(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.parameters import normalised_parameters

    return normalised_parameters(snapshot).to_rows()


def _layers(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.confirmation import winner
    from betanas.analysis.tables.layers import layer_table

    return layer_table(winner(snapshot).blueprint)


def _cluster_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.clusters import cluster_leaders, cluster_table
    from betanas.analysis.tables.surrogate import model_best

    return cluster_table(cluster_leaders(snapshot), model_best(snapshot), scale=snapshot.measure.scale)


def _cluster_members(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.clusters import cluster_leaders

    return cluster_leaders(snapshot).members.to_rows()


def _importance_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.surrogate import importance

    return importance(snapshot).to_rows()


def _curves_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.curves import learning_curves

    return learning_curves(snapshot).to_rows()


def _infeasible_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.infeasible import infeasible_patterns

    return infeasible_patterns(snapshot).to_rows()


def _noise(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.noise import noise

    return noise(snapshot).repeats.to_rows()


def _pareto_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.pareto import pareto

    return pareto(snapshot).to_rows()


def _scaling_rows(snapshot: StudySnapshot) -> Rows:
    return _scaling_table(snapshot).to_rows()


def _comparison_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.comparison import comparison_of, comparison_table

    return comparison_table(comparison_of(snapshot)).to_rows()


def _processes_table(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.processes import processes_of

    return processes_of(snapshot).rows.to_rows()


def _confirmation_rows(snapshot: StudySnapshot) -> Rows:
    from betanas.analysis.tables.confirmation import confirmation_table

    return confirmation_table(snapshot).to_rows()


TABLES: tuple[TablePiece, ...] = (
    TablePiece("trials", "", _trials),
    TablePiece("totals", "", _totals),
    TablePiece("leaders", "", _leaders),
    TablePiece("layers", "Tables A1 to A4", _layers),
    TablePiece("confirmation", "", _confirmation_rows),
    TablePiece("clusters", "Tables 5 and 6", _cluster_table),
    TablePiece("cluster-members", "", _cluster_members),
    TablePiece("parameters", "", _normalised),
    TablePiece("importance", "", _importance_table),
    TablePiece("curves", "", _curves_table),
    TablePiece("pareto", "", _pareto_table),
    TablePiece("scaling", "", _scaling_rows),
    TablePiece("comparison", "Tables 7 and 8", _comparison_table),
    TablePiece("processes", "", _processes_table),
    TablePiece("outcomes", "", _outcomes),
    TablePiece("infeasible", "", _infeasible_table),
    TablePiece("noise", "", _noise),
)


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


_Piece = TypeVar("_Piece", FigurePiece, TablePiece)


def _named(pieces: tuple[_Piece, ...], name: str, what: str) -> _Piece:
    for piece in pieces:
        if piece.name == name:
            return piece
    names = ", ".join(piece.name for piece in pieces)
    raise AnalysisError(f"The {what} of a study are {names}.", value=name, hint="Type one of them after --only.")
