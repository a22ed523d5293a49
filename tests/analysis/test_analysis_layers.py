from __future__ import annotations

import json
from pathlib import Path

import pytest

from betanas.analysis.tables.layers import layer_table
from betanas.spaces import get_space, published

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "tables_a1_a4.json").read_text())
HEADINGS = {
    "kind": "Layer",
    "in_channels": "In channels",
    "out_channels": "Out channels",
    "expansion": "Expansion ratio",
    "stride": "Stride",
    "se_ratio": "SE Bottleneck ratio",
    "repeats": "Repeats",
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_layer_tables_are_the_reports(name: str) -> None:
    golden = GOLDEN[name]
    space = get_space(golden["space"])
    blueprint = space.blueprint(published(golden["space"]), resolution=golden["resolution"], num_classes=100)
    rows = layer_table(blueprint)
    assert [{HEADINGS[key]: value for key, value in row.items()} for row in golden["rows"]] == [
        {key: value for key, value in row.items() if key != "Output side"} for row in rows
    ]
    assert round(blueprint.num_params / 1e6, 2) == golden["params_millions"]


def test_a_network_of_lite_blocks_has_no_squeeze_excitation_and_says_its_activation() -> None:
    space = get_space("betanet3", blocks="lite")
    rows = layer_table(space.blueprint(published("betanet3"), resolution=32, num_classes=10))
    assert not any("SE Bottleneck ratio" in row for row in rows)
    assert all(row["Layer"].endswith(" ReLU6") for row in rows)
