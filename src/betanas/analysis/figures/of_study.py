"""Every figure of a study, by the name that `betanas.analysis.catalogue` lists it under."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import plotly.graph_objects as go

from betanas.analysis.figures.architecture import schematic
from betanas.analysis.figures.clusters import cluster_parameters, dendrogram
from betanas.analysis.figures.confirmation import confirmed_leaders
from betanas.analysis.figures.costs import epoch_times, pareto_front, scaling_curve
from betanas.analysis.figures.curves import accuracy_against_time, comparison_curves, leader_curves, resolution_curves
from betanas.analysis.figures.feasibility import infeasible_bounds
from betanas.analysis.figures.history import trial_history
from betanas.analysis.figures.parallel import parallel_axes
from betanas.analysis.figures.placement import beta_quantiles, placement
from betanas.analysis.figures.surrogate import contours, parameter_importance, predictions, slices
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.clusters import cluster_leaders
from betanas.analysis.tables.comparison import comparison_of
from betanas.analysis.tables.confirmation import confirmation_table, winner
from betanas.analysis.tables.curves import learning_curves
from betanas.analysis.tables.history import history
from betanas.analysis.tables.infeasible import infeasible_patterns
from betanas.analysis.tables.parameters import normalised_parameters
from betanas.analysis.tables.pareto import pareto, traded_cost
from betanas.analysis.tables.placement import quantile_curves, shape_of
from betanas.analysis.tables.processes import processes_of
from betanas.analysis.tables.scaling import installed_space, scaling_of, scaling_rules_of
from betanas.analysis.tables.surrogate import importance, model_best, surrogate_of


def draw(name: str, study: StudySnapshot) -> go.Figure:
    """A figure of a study.

    Raises:
        KeyError: there is no figure of that name.
        MissingDataError: the study lacks what it shows.
        AnalysisError: a document that it shows is damaged.
    """
    return DRAWN[name](study)


def _schematic(study: StudySnapshot) -> go.Figure:
    won = winner(study)
    return schematic(won.blueprint, title=f"Architecture of the winner, {won.label}")


def _placement(study: StudySnapshot) -> go.Figure:
    plan = study.plan
    sizes: dict[str, Any] = {
        "resolution": plan.resolution, "num_classes": len(plan.classes), "in_channels": plan.in_channels
    }  # fmt: skip
    return placement(shape_of(installed_space(study), winner(study).vector, **sizes))


def _clusters(study: StudySnapshot) -> go.Figure:
    return cluster_parameters(cluster_leaders(study), study.ranges, model_best(study), study.measure)


def _pareto(study: StudySnapshot) -> go.Figure:
    cost = traded_cost(study)
    return pareto_front(pareto(study, cost), study.measure, cost)


def _scaling(cost: Literal["params", "macs", "memory"]) -> Callable[[StudySnapshot], go.Figure]:
    return lambda study: scaling_curve(scaling_of(study), cost)


def _scaling_rules(study: StudySnapshot) -> go.Figure:
    return scaling_curve(scaling_rules_of(study)).update_layout(title_text="Scaling rules compared")


DRAWN: dict[str, Callable[[StudySnapshot], go.Figure]] = {
    "schematic": _schematic,
    "placement": _placement,
    "confirmation": lambda study: confirmed_leaders(confirmation_table(study)),
    "history": lambda study: trial_history(history(study), study.measure),
    "time": lambda study: accuracy_against_time(learning_curves(study)),
    "curves": lambda study: leader_curves(learning_curves(study, best=6)),
    "parallel": lambda study: parallel_axes(normalised_parameters(study), study.ranges, study.measure),
    "importance": lambda study: parameter_importance(importance(study)),
    "slices": lambda study: slices(surrogate_of(study), study.measure),
    "contours": lambda study: contours(surrogate_of(study), study.measure),
    "predictions": lambda study: predictions(surrogate_of(study), study.measure),
    "dendrogram": lambda study: dendrogram(cluster_leaders(study), study.measure),
    "clusters": _clusters,
    "pareto": _pareto,
    "scaling": _scaling("params"),
    "scaling-macs": _scaling("macs"),
    "scaling-memory": _scaling("memory"),
    "scaling-rules": _scaling_rules,
    "processes": lambda study: epoch_times(processes_of(study)),
    "comparison": lambda study: comparison_curves(comparison_of(study)),
    "resolutions": lambda study: resolution_curves(comparison_of(study)),
    "infeasible": lambda study: infeasible_bounds(infeasible_patterns(study)),
    "quantiles": lambda _study: beta_quantiles(quantile_curves()),
}
