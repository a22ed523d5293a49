"""What single figures show: numbers read back from the drawings."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from betanas.analysis.catalogue import FIGURES
from betanas.analysis.errors import MissingDataError
from betanas.analysis.figures import of_study
from betanas.analysis.figures.architecture import schematic
from betanas.analysis.figures.clusters import dendrogram
from betanas.analysis.figures.costs import log_axis, pareto_front, scaling_curve, unit_of
from betanas.analysis.figures.curves import accuracy_against_time, comparison_curves, leader_curves, resolution_curves
from betanas.analysis.figures.history import trial_history
from betanas.analysis.figures.palette import origin_styles, series_style, translucent
from betanas.analysis.figures.parallel import parallel_axes, robust_range
from betanas.analysis.figures.placement import beta_quantiles, placement
from betanas.analysis.figures.surrogate import parameter_importance
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.clusters import cluster_leaders
from betanas.analysis.tables.comparison import comparison_of
from betanas.analysis.tables.curves import learning_curves
from betanas.analysis.tables.history import history
from betanas.analysis.tables.parameters import normalised_parameters
from betanas.analysis.tables.pareto import pareto
from betanas.analysis.tables.placement import quantile_curves, shape_of
from betanas.analysis.tables.scaling import scaling
from betanas.analysis.tables.surrogate import ImportanceRow, importance
from betanas.analysis.tables.table import Table
from betanas.spaces import get_space, published


def traces(figure, name: str) -> list:
    return [trace for trace in figure.data if trace.name == name]


def test_the_history_shows_every_trial_with_infeasible_ones_at_zero_and_the_restart(snapshot: StudySnapshot) -> None:
    figure = trial_history(history(snapshot), snapshot.measure)
    marked = [index for trace in figure.data if trace.mode == "markers" for index in trace.x]
    assert sorted(marked) == [t.index for t in snapshot.trials]
    infeasible = traces(figure, "infeasible")[0]
    assert set(infeasible.y) == {0.0}
    assert len(infeasible.x) == sum(t.state == "infeasible" for t in snapshot.trials)
    assert traces(figure, "sobol")[0].marker.symbol != traces(figure, "gpei")[0].marker.symbol
    restart = next(t.index for t in snapshot.trials if t.session == 1)
    assert [shape.x0 for shape in figure.layout.shapes] == [restart - 0.5]
    best = traces(figure, "best so far")[0]
    assert best.y[-1] == pytest.approx(100 * snapshot.best.objective)
    assert figure.layout.yaxis.range[0] < 0


def test_a_long_history_is_drawn_by_webgl(snapshot: StudySnapshot) -> None:
    rows = history(snapshot).rows * 30
    kinds = {trace.type for trace in trial_history(Table(rows), snapshot.measure).data if trace.mode == "markers"}
    assert kinds == {"scattergl"}


def test_importance_says_how_much_of_the_model_is_about_networks(snapshot: StudySnapshot) -> None:
    rows = importance(snapshot)
    assert "Of the relevance 20.0% is with what the surrogate sees of the networks" in caption_of(rows)
    alone = Table(tuple(replace(row, relevance=(row.relevance or 0.0) / 0.8) for row in rows))
    assert "relevance is the inverse length scale" in caption_of(alone)
    assert "sees of the networks" not in caption_of(alone)


def caption_of(rows: Table[ImportanceRow]) -> str:
    figure = parameter_importance(rows)
    return " ".join(figure.to_json().replace("<br>", " ").split())


def test_one_outlier_flattens_no_axis(snapshot: StudySnapshot) -> None:
    values = np.concatenate([np.linspace(0.5, 0.6, 50), [1e6]])
    low, high = robust_range(values)
    assert low == 0.5
    assert high < 1
    trials = (replace(snapshot.best, index=120, objective=900.0, top1=900.0), *snapshot.trials)
    wild = replace(snapshot, trials=trials)
    figure = parallel_axes(normalised_parameters(wild), wild.ranges, wild.measure)
    last = figure.data[0].dimensions[-1]
    assert last.range[1] < 200
    assert max(last.values) <= last.range[1]
    assert "beyond" in figure.layout.meta["caption"]


def test_parallel_axes_span_the_searched_ranges_with_the_best_on_top(snapshot: StudySnapshot) -> None:
    figure = parallel_axes(normalised_parameters(snapshot), snapshot.ranges, snapshot.measure)
    lines = figure.data[0]
    assert [tuple(d.range) for d in lines.dimensions[:-1]] == [tuple(r) for r in snapshot.plan.search.ranges.values()]
    assert len(lines.customdata) == len(snapshot.ranked)
    assert lines.customdata[-1] == snapshot.best.index  # drawn last
    groups = list(lines.line.color)
    assert groups == sorted(groups)
    assert groups.count(2) == 50
    k = lines.dimensions[0]
    assert k.values[-1] == pytest.approx(snapshot.best.vector["k"], rel=1e-6)


def test_a_fixed_parameter_has_no_axis(snapshot: StudySnapshot) -> None:
    plan = snapshot.plan.changed(ranges={**snapshot.plan.search.ranges, "k": (2.0, 2.0)})
    fixed = replace(snapshot, plan=plan)
    figure = parallel_axes(normalised_parameters(fixed), fixed.ranges, fixed.measure)
    assert "k" not in [d.label for d in figure.data[0].dimensions]


@pytest.mark.parametrize("name", ["betanet2", "betanet3"])
def test_a_schematic_is_to_scale(name: str) -> None:
    blueprint = get_space(name).blueprint(published(name), resolution=224, num_classes=100)
    figure = schematic(blueprint)
    bars = [bar for bar in figure.data if bar.type == "bar"]
    boxes = sorted((x, w, h) for bar in bars for x, w, h in zip(bar.x, bar.width, bar.y, strict=True))
    assert len(boxes) == len(blueprint.layers) + 2  # the image and the classifier stand at the ends
    for (_, width, height), layer in zip(boxes[1:-1], blueprint.layers, strict=True):
        assert height == pytest.approx(layer.resolution**0.5)
        assert width - boxes[0][1] == pytest.approx(layer.out_channels**0.5 - 3**0.5)
    edges = [(x - w / 2, x + w / 2) for x, w, _ in boxes]
    assert all(right < left for (_, right), (left, _) in itertools.pairwise(edges))
    contractions = traces(figure, "contraction (side in pixels)")[0]
    assert len(contractions.x) == sum(layer.stride == 2 for layer in blueprint.layers)
    assert "7" in [a.text for a in figure.layout.annotations]


def test_figure_15_and_16_shade_the_layers_of_the_published_networks() -> None:
    shape = shape_of(get_space("betanet2"), published("betanet2"), resolution=224, num_classes=100)
    figure = placement(shape)
    shaded = traces(figure, "contraction layer")[0]
    last = len(shape.blueprint.layers) - 1
    assert [round(y * last) for y in shaded.y] == list(shape.contractions.layers) == [0, 3, 5, 7, 11]
    three = placement(shape_of(get_space("betanet3"), published("betanet3"), resolution=224, num_classes=100))
    assert [a.text for a in three.layout.annotations] == ["Contraction layers", "Width layers", "Widths"]


def test_figure_14_runs_from_corner_to_corner() -> None:
    figure = beta_quantiles(quantile_curves())
    assert len(figure.data) == 15
    for trace in figure.data:
        assert (trace.x[0], trace.x[-1], trace.y[0], trace.y[-1]) == (0, 1, 0, 1)
        assert np.all(np.diff(trace.y) >= 0)


def test_figure_28_prints_the_reports_parameter_counts() -> None:
    rows = [
        row
        for name in ("betanet2", "betanet3")
        for row in scaling(get_space(name), {name: published(name)}, num_classes=100)
    ]
    figure = scaling_curve(Table(tuple(rows)))
    printed = {trace.name: [text for text in trace.text if text] for trace in figure.data}
    assert printed == {"betanet2": ["8.86", "30.01"], "betanet3": ["5.11", "14.63"]}


def test_a_dendrogram_keeps_clusters_apart_and_stars_the_best(snapshot: StudySnapshot) -> None:
    clustering = cluster_leaders(snapshot)
    figure = dendrogram(clustering, snapshot.measure)
    star = next(trace for trace in figure.data if trace.marker.symbol == "star")
    place = round((star.x[0] - 5) / 10)
    assert clustering.members.rows[clustering.order[place]].index == snapshot.best.index
    links = sum(list(trace.x).count(None) for trace in figure.data if trace.mode == "lines")
    assert links == len(clustering.members) - 1
    leaves = sum(len(trace.x) for trace in figure.data if trace.mode == "markers") - 1
    assert leaves == len(clustering.members)


def test_figure_26_has_a_column_for_each_benchmark_network(snapshot: StudySnapshot) -> None:
    figure = comparison_curves(comparison_of(snapshot))
    assert [a.text for a in figure.layout.annotations] == [
        "ResNet50",
        "MobileNetV2",
        "EfficientNet-B0",
        "EfficientNetV2-S",
    ]
    assert len(figure.data) == 4 * 3 * 2
    assert figure.data[0].y[-1] == pytest.approx(78.91, abs=0.2)


def test_figure_27_compares_a_family_with_itself(snapshot: StudySnapshot) -> None:
    figure = resolution_curves(comparison_of(snapshot))
    assert [a.text for a in figure.layout.annotations] == ["BetaNet2", "BetaNet3"]
    assert {trace.name for trace in figure.data if trace.xaxis in ("x", None)} == {"BetaNet2-R224", "BetaNet2-R384"}


def test_thin_curves_are_thinned_and_the_caption_says_so(snapshot: StudySnapshot) -> None:
    table = learning_curves(snapshot)
    many = tuple(
        replace(row, index=row.index + 1000 * copy, rank=(row.rank or 0) + 1000 * copy)
        for copy in range(5)
        for row in table
    )
    figure = accuracy_against_time(Table(many))
    others = traces(figure, "other trials")[0]
    assert len(set(others.customdata)) == 300
    assert "300 of the" in figure.layout.meta["caption"]


def test_leaders_are_drawn_in_the_order_of_their_rank(snapshot: StudySnapshot) -> None:
    figure = leader_curves(learning_curves(snapshot), best=2)
    assert [trace.name for trace in figure.data] == [f"{n}. trial {snapshot.ranked[n - 1].index}" for n in (1, 2)]
    assert figure.data[0].y[-1] == pytest.approx(100 * snapshot.best.curve[-1].accuracy, rel=1e-6)
    with pytest.raises(MissingDataError, match="evaluated while they trained"):
        leader_curves(learning_curves(replace(snapshot, trials=())))


def test_every_piece_of_the_catalogue_can_be_drawn() -> None:
    assert [piece.name for piece in FIGURES] == list(of_study.DRAWN)


def test_units_and_logarithmic_ticks() -> None:
    assert unit_of("params", 8.8e6) == ("millions", 1e-6)
    assert unit_of("params", 400) == ("thousands", 1e-3)
    assert unit_of("memory", 3 * 2**30) == ("GiB", 2.0**-30)
    axis = log_axis("x", 3, 250)
    assert axis["tickvals"] == [5, 10, 20, 50, 100, 200]
    assert log_axis("x", 0.001, 1000)["ticktext"] == ["0.001", "0.01", "0.1", "1", "10", "100", "1000"]
    assert log_axis("x", 7, 7)["range"][0] < log_axis("x", 7, 7)["range"][1]


def test_the_front_is_drawn_as_steps(snapshot: StudySnapshot) -> None:
    table = pareto(snapshot)
    front = traces(pareto_front(table, snapshot.measure), "Pareto front")[0]
    assert len(front.x) == sum(row.front for row in table)
    assert list(front.x) == sorted(front.x)
    assert list(front.y) == sorted(front.y)


def test_styles_do_not_repeat_soon_and_origins_look_the_same_everywhere() -> None:
    assert len({(s.colour, s.symbol) for s in map(series_style, range(49))}) == 49
    alone, together = origin_styles(["gpei"]), origin_styles(["sobol", "mine", "gpei", "yours"])
    assert alone["gpei"] == together["gpei"]
    assert len({style.colour for style in together.values()}) == 4
    assert translucent("#0072B2", 0.5) == "rgba(0,114,178,0.5)"
