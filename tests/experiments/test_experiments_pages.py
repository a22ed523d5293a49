"""What a reader gets of a result: figure, tables, a page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from betanas.analysis.errors import AnalysisError
from betanas.analysis.experiments import experiment_figure, experiment_page, experiment_tables
from betanas.analysis.tables.experiment_objective import arm_table, contrast_table
from betanas.analysis.tables.experiment_scaling import agreement_table, scale_table, uplift_table
from betanas.analysis.tables.experiment_search import difference_table, regret_curves, regret_table

NAMES = ("scaling", "search", "objective")


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_what_every_figure_has(results: dict[str, dict[str, Any]], name: str) -> None:
    figure = experiment_figure(results[name])
    assert 5 < len(figure.layout.title.text) <= 42  # fits a phone
    assert figure.layout.meta["caption"].endswith(".")
    assert len(figure.layout.meta["alt"]) > 20
    titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    assert all(titles)
    json.loads(figure.to_json())
    looks = [
        (trace.mode, trace.marker.symbol, trace.line.dash, trace.line.width)
        for trace in figure.data
        if trace.name is not None and trace.showlegend is not False
    ]
    assert len(set(looks)) == len(looks), "series can be told apart in grey"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_verdict_rule_and_numbers_and_takes_words_literally(
    results: dict[str, dict[str, Any]], name: str
) -> None:
    document = results[name]
    page = experiment_page(document, figure="figure.svg")
    for verdict in document["verdicts"]:
        assert f"**{verdict['answer'].capitalize()}.** {verdict['question']}" in page
        assert verdict["rule"] in page
    assert "](figure.svg)" in page
    assert page.count("\n## ") == len(experiment_tables(document)) + 1
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img" in page
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in lines)
    assert "[The figure](figure.html)" in experiment_page(document, figure="figure.html")


def test_tables_hold_the_results_numbers(results: dict[str, dict[str, Any]]) -> None:
    agreements = agreement_table(results["scaling"])
    assert len(agreements) == 2
    assert agreements.rows[0].spearman == pytest.approx(1)
    assert agreements.rows[0].seeds_large == pytest.approx(1)
    assert [row.points for row in uplift_table(results["scaling"]) if row.cost == "macs"] == pytest.approx([2.0, 2.0])
    first = scale_table(results["scaling"]).rows[0]
    assert (first.vector, first.resolution, first.trainings, first.percent) == ("v0", 32, 3, pytest.approx(30.1))
    assert (first.lowest, first.highest) == (pytest.approx(30.0), pytest.approx(30.2))
    assert regret_table(results["search"]).column("strategy")[-1] == "poor"
    assert difference_table(results["search"]).rows[0].points == pytest.approx(3.09)
    curve = regret_curves(results["search"])[1]
    assert (curve.strategy, curve.median[-1], curve.trainings[-1]) == ("poor", pytest.approx(5.0), 20.0)
    arms = arm_table(results["objective"])
    assert [(row.pair, row.arm, row.trials) for row in arms][:2] == [(0, "seconds", 15), (0, "macs", 15)]
    contrasts = contrast_table(results["objective"])
    assert (contrasts.rows[0].ratio, contrasts.rows[0].value) == (False, pytest.approx(2.15))
    assert contrasts.rows[1].value == pytest.approx(2.0)


def test_an_experiment_without_results_is_drawn_all_the_same(results: dict[str, dict[str, Any]]) -> None:
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    scaling = results["scaling"]
    failed = [{**each, "accuracy": None} for each in scaling["trainings"]]
    pairs = [{**each, "spearman": nothing, "kendall": nothing} for each in scaling["pairs"]]
    experiment_figure({**scaling, "trainings": failed, "pairs": pairs})
    emptied = {"results": [], "accuracy": nothing, "macs": nothing, "epoch": nothing, "sooner": nothing}
    experiment_page({**results["objective"], **emptied}, figure="figure.svg")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("scaling", {"format": 2}),
        ("scaling", {"verdicts": [{"answer": "perhaps", "question": "", "rule": "", "because": ""}]}),
        ("scaling", {"pairs": [{}]}),
        ("scaling", {"trainings": [{"kind": 1}]}),
        ("scaling", {"experiment": "gravity"}),
        ("search", {"differences": None}),
        ("search", {"derived": {}}),
        ("objective", {"results": [{"pair": 7}]}),
        ("objective", {"macs": {"value": "much"}}),
    ],
)
def test_a_damaged_result_is_refused(results: dict[str, dict[str, Any]], name: str, damage: dict[str, Any]) -> None:
    with pytest.raises(AnalysisError):
        experiment_page({**results[name], **damage}, figure="figure.svg")
