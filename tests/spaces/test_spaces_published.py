"""The report's own tables: layers, parameter counts and the ranges that must hold its results."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from betanas.blueprint import TableRow
from betanas.errors import SpaceError
from betanas.spaces import get_space, published

GOLDEN = Path(__file__).parents[1] / "golden"
TABLES = json.loads((GOLDEN / "tables_a1_a4.json").read_text(encoding="utf-8"))
VECTORS = json.loads((GOLDEN / "published_vectors.json").read_text(encoding="utf-8"))
RESULTS = json.loads((GOLDEN / "tables_5_6.json").read_text(encoding="utf-8"))
COUNTS = [
    (name, int(resolution), count)
    for name, entry in VECTORS.items()
    for resolution, count in entry["params_100_classes"].items()
]


def as_printed(row: TableRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "in_channels": row.in_channels,
        "out_channels": row.out_channels,
        "expansion": f"{row.expansion:.2f}",
        "stride": row.stride,
        "se_ratio": f"{row.se_ratio:.2f}",
        "repeats": row.repeats,
    }


@pytest.mark.parametrize("table", TABLES)
def test_layer_table_is_the_reports_digit_for_digit(table: str) -> None:
    golden = TABLES[table]
    space = get_space(golden["space"])
    blueprint = space.blueprint(published(golden["space"]), resolution=golden["resolution"], num_classes=100)

    wanted = [
        {**row, "expansion": f"{row['expansion']:.2f}", "se_ratio": f"{row['se_ratio']:.2f}"} for row in golden["rows"]
    ]
    found = [as_printed(row) for row in blueprint.table()]
    for number, (want, got) in enumerate(zip_longest(wanted, found), start=1):
        assert got == want, f"Table {table}, row {number}: the report prints {want}, the construction gives {got}"
    assert f"{blueprint.num_params / 1e6:.2f}" == f"{golden['params_millions']:.2f}"


@pytest.mark.parametrize(("name", "resolution", "count"), COUNTS)
def test_published_vectors_have_exactly_these_parameters(name: str, resolution: int, count: int) -> None:
    blueprint = get_space(name).blueprint(published(name), resolution=resolution, num_classes=100)

    assert blueprint.num_params == count


@pytest.mark.parametrize("name", VECTORS)
def test_published_vector_is_the_resolved_one(name: str) -> None:
    assert published(name) == VECTORS[name]["resolved"]


@pytest.mark.parametrize("name", VECTORS)
def test_published_vector_rounds_to_what_the_report_prints(name: str) -> None:
    printed = VECTORS[name]["printed"]

    # Half a unit of the last printed digit, with room for the rounding of a tie such as -0.0295.
    assert published(name) == pytest.approx(printed, rel=0, abs=0.005 + 1e-9)


def test_published_vector_is_a_copy() -> None:
    published("betanet3")["k"] = 9.0

    assert published("betanet3")["k"] == VECTORS["betanet3"]["resolved"]["k"]


def test_published_knows_the_reports_spaces_alone() -> None:
    with pytest.raises(SpaceError, match="betanet2, betanet3") as caught:
        published("betanet4")
    assert caught.value.value == "betanet4"


def printed_results() -> list[tuple[str, str, float]]:
    # The tables write G0 and G1 with subscripts in places.
    plain = str.maketrans("₀₁", "01")
    return [
        (name, parameter.translate(plain), value)
        for name in ("betanet2", "betanet3")
        for parameter, values in RESULTS[name].items()
        if parameter != "Meaneval."
        for value in values
    ]


def test_tables_5_and_6_are_complete() -> None:
    names = {name: {parameter for space, parameter, _ in printed_results() if space == name} for name in VECTORS}

    assert names == {name: set(get_space(name).parameters) for name in VECTORS}
    assert len(printed_results()) == (13 + 15) * len(RESULTS["columns"])


def test_preset_report_holds_every_result_of_tables_5_and_6() -> None:
    spaces = {name: get_space(name, "report") for name in VECTORS}

    outside = [
        (name, parameter, value)
        for name, parameter, value in printed_results()
        if value not in spaces[name].parameters[parameter]
    ]
    assert outside == []


@pytest.mark.parametrize("name", VECTORS)
def test_preset_table1_does_not_hold_them_all(name: str) -> None:
    """The report contradicts itself (betanet.md, 9.2): this is why preset `report` exists."""
    parameters = get_space(name, "table1").parameters

    assert any(value not in parameters[parameter] for space, parameter, value in printed_results() if space == name)


TABLE_1 = {
    "k": (2, 10), "K": (2, 4), "Da": (-0.5, 0.5), "Db": (-0.5, 0.5), "G0": (2, 5), "G1": (1, 3), "B": (0, 1),
    "E0": (2, 4), "E1": (2, 4), "S0": (10, 20), "S1": (10, 20),
}  # fmt: skip
TABLE_1_WIDTHS = {
    "betanet2": {"Wa": (0, 0.5), "Wb": (-0.5, 0)},
    "betanet3": dict.fromkeys(("WLa", "WLb", "WCa", "WCb"), (-0.5, 0.5)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_preset_table1_is_table_1(name: str) -> None:
    found = {parameter: (given.low, given.high) for parameter, given in get_space(name, "table1").parameters.items()}

    assert found == TABLE_1 | TABLE_1_WIDTHS[name]
