from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.comparison import comparison_of, comparison_table, mean_curve, parse_comparison
from betanas.search.compared import comparison_document
from betanas.search.records import TrialRecord
from betanas.training.result import CurvePoint

# Tables 7 and 8 of the report: parameters in millions, top-1 in percent, hours.
TABLE_7 = [
    ("ResNet50", 23.71, 78.91, 2.68),
    ("MobileNetV2", 2.35, 74.55, 1.86),
    ("EfficientNet-B0", 4.14, 76.97, 2.11),
    ("BetaNet2-R224", 8.86, 78.11, 1.90),
    ("BetaNet3-R224", 5.11, 78.34, 1.75),
]


def test_table_7_is_printed_as_in_the_report(snapshot: StudySnapshot) -> None:
    comparison = comparison_of(snapshot)
    assert comparison.resolutions == (224, 384)
    rows = comparison_table(comparison, 224)
    assert [
        (row.model, round(row.params_millions, 2), round(row.top1_percent, 2), round(row.training_hours, 2))
        for row in rows
    ] == TABLE_7
    assert (rows.rows[0].top1_margin, rows.rows[0].seeds) == (pytest.approx(0.4), 3)
    assert len(comparison_table(comparison)) == 8


def document_of(snapshot: StudySnapshot) -> dict:
    return copy.deepcopy(dict(snapshot.attachment("comparison").document))


def test_curves_are_averaged_over_seeds_as_far_as_the_shortest(snapshot: StudySnapshot) -> None:
    document = document_of(snapshot)
    own = [entry for entry in document["histories"] if entry["name"] == "ResNet50"]
    own[1]["curve"] = own[1]["curve"][:10]
    curve = mean_curve(parse_comparison(document).networks[0])
    assert len(curve.epochs) == 10
    expected = np.mean([[p["accuracy"] for p in entry["curve"][:10]] for entry in own], axis=0)
    np.testing.assert_allclose(curve.accuracies, expected)
    assert mean_curve(parse_comparison({**document, "histories": []}).networks[0]) is None


def test_a_network_that_never_trained_keeps_its_row(snapshot: StudySnapshot) -> None:
    document = document_of(snapshot)
    for name in ("top1", "top5", "training_seconds", "images_per_second", "peak_memory"):
        document["table"][0][name] = None
    document["table"][0]["failed"] = 3
    row = comparison_table(parse_comparison(document)).rows[0]
    assert (row.top1_percent, row.top5_percent, row.training_hours, row.peak_memory_gib) == (None,) * 4
    assert (row.seeds, row.failed) == (0, 3)


def test_role_and_family_are_said_and_the_benchmarks_of_earlier_documents_are_known(snapshot: StudySnapshot) -> None:
    first = document_of(snapshot)["table"][0]
    said = [("net", "netlike", "benchmark"), ("resnet50", None, None), ("resnet-of-mine", None, None)]
    rows = [{**first, "name": name, "family": family, "role": role} for name, family, role in said]
    networks = parse_comparison({"table": rows}).networks
    assert [(network.family, network.role) for network in networks] == [
        ("netlike", "benchmark"), ("resnet50", "benchmark"), ("resnet-of-mine", "searched"),
    ]  # fmt: skip


def test_another_budget_or_recipe_is_another_network(snapshot: StudySnapshot) -> None:
    first = {**document_of(snapshot)["table"][0], "name": "net", "budget": "1m", "recipe": "fast"}
    longer, careful = {**first, "budget": "10m"}, {**first, "recipe": "paper", "judged_on": "validation"}
    points = [{"epoch": 1.0, "seconds": 60.0, "accuracy": 0.5}]
    histories = [{"name": "net", "resolution": 224, "seed": 0, "budget": "10m", "recipe": "fast", "curve": points}]
    comparison = parse_comparison({"table": [first, longer, careful], "histories": histories})
    assert [comparison.label(network) for network in comparison.networks] == [
        "net 1m fast", "net 10m fast", "net 1m paper",
    ]  # fmt: skip
    assert [len(network.curves) for network in comparison.networks] == [0, 1, 0]
    assert [row.judged_on for row in comparison_table(comparison)] == ["test", "test", "validation"]


def test_a_comparisons_own_document_is_read() -> None:
    curve = (CurvePoint(50.0, 10, 1.0, 2.0, 0.5), CurvePoint(100.0, 20, 2.0, 1.0, 0.7))
    records = [
        TrialRecord(
            index=seed, vector={}, blueprint_key="a", origin="listed", state="completed", seed=seed, job_key=str(seed),
            purpose="comparison", name="BetaNet3-R32", role="searched", params=1000, macs=2000, resolution=32,
            test_top1=top1, test_top5=0.9, curve=curve, training_seconds=100.0, ended=datetime.now(UTC),
        )
        for seed, top1 in ((0, 0.70), (1, 0.72))
    ]  # fmt: skip
    comparison = parse_comparison(json.loads(json.dumps(comparison_document(records, {}))))
    row = comparison_table(comparison).rows[0]
    assert (row.model, row.seeds, row.failed) == ("BetaNet3-R32", 2, 0)
    assert row.top1_percent == pytest.approx(71)
    assert row.top1_margin > 1
    assert mean_curve(comparison.networks[0]).accuracies.tolist() == [0.5, 0.7]


def test_one_name_at_two_resolutions_is_labelled_with_them(snapshot: StudySnapshot) -> None:
    first = document_of(snapshot)["table"][0]
    rows = [{**first, "name": "net"}, {**first, "name": "net", "resolution": 384}, first]
    comparison = parse_comparison({"table": rows})
    assert [comparison.label(network) for network in comparison.networks] == ["net R=224", "net R=384", "ResNet50"]


@pytest.mark.parametrize(
    "document",
    [{}, {"table": []}, {"table": "abc"}, {"table": [{"name": "a"}]}, {"table": [], "histories": [{"name": "a"}]}],
)
def test_a_damaged_comparison_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(AnalysisError):
        parse_comparison(document)


def test_a_study_without_comparison_says_so(empty_snapshot: StudySnapshot) -> None:
    with pytest.raises(MissingDataError, match="betanas compare"):
        comparison_of(empty_snapshot)
