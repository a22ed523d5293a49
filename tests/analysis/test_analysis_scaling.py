from __future__ import annotations

from dataclasses import replace

import pytest

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.scaling import parse_scaling, scaling, scaling_rules_of
from betanas.search.records import Attachment
from betanas.spaces import get_space, published

ROW = {"rule": "k grows", "resolution": 224, "params": 5, "macs": 6, "memory": 7}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("betanet2", {224: 8_861_669, 384: 30_008_433}), ("betanet3", {224: 5_110_124, 384: 14_634_951})],
)
def test_published_vectors_have_the_reports_parameters(name: str, expected: dict[int, int]) -> None:
    table = scaling(get_space(name), {name: published(name)}, num_classes=100)
    found = {row.resolution: row.params for row in table}
    assert {side: found[side] for side in expected} == expected
    assert min(found) == 64
    assert max(found) == 1024


def test_costs_are_those_of_each_blueprint() -> None:
    space = get_space("betanet3")
    vector = published("betanet3")
    table = scaling(
        space,
        {"a": vector, "b": {**vector, "G0": 1.0}},
        num_classes=10,
        in_channels=1,
        batch_size=8,
        resolutions=(64, 96),
    )
    assert [(row.name, row.resolution) for row in table] == [("a", 64), ("a", 96), ("b", 64), ("b", 96)]
    row = table.rows[3]
    blueprint = space.blueprint({**vector, "G0": 1.0}, resolution=96, num_classes=10, in_channels=1)
    assert (row.params, row.macs) == (blueprint.num_params, blueprint.macs)
    assert row.memory == blueprint.training_memory(8)


def test_a_comparison_of_rules_is_read(snapshot: StudySnapshot) -> None:
    table = parse_scaling({"format": 1, "rows": [ROW]})
    assert table.rows[0].name == "k grows"
    attachment = Attachment("scaling", "rules", snapshot.attachments[0].created, {"format": 1, "rows": [ROW]})
    assert scaling_rules_of(replace(snapshot, attachments=(attachment,))).rows == table.rows
    with pytest.raises(MissingDataError, match="scaling result"):
        scaling_rules_of(snapshot)


@pytest.mark.parametrize(
    "document",
    [
        {"format": 2, "rows": [ROW]},
        {"format": 1},
        {"format": 1, "rows": []},
        {"format": 1, "rows": [{**ROW, "params": 0}]},
        {"format": 1, "rows": [{**ROW, "macs": "many"}]},
        {"format": 1, "rows": [3]},
    ],
)
def test_a_damaged_comparison_of_rules_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(AnalysisError):
        parse_scaling(document)
