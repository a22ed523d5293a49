"""Ranges, presets, fixed parameters and the checks that every space inherits."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from betanas.errors import SpaceError, VectorError
from betanas.spaces import BetaNet3, Range, get_space, published

SPACE = get_space("betanet3", "table1")
VECTOR = published("betanet3")


@given(low=st.floats(-1e6, 1e6), span=st.floats(0, 1e6))
def test_range_holds_its_ends_and_what_lies_between(low: float, span: float) -> None:
    given_range = Range(low, low + span)

    assert low in given_range
    assert low + span in given_range
    assert (low + (low + span)) / 2 in given_range
    assert math.nextafter(low, -math.inf) not in given_range
    assert given_range.fixed == (low == low + span)


def test_range_prints_as_it_is_typed() -> None:
    assert str(Range(2.0, 4.5)) == "2:4.5"
    assert str(Range(0.3, 0.3)) == "0.3"


def test_reversed_range_is_refused_with_the_right_way_round() -> None:
    with pytest.raises(SpaceError, match=re.escape("Got '4:2'. Type 2:4.")):
        Range(4, 2)


@pytest.mark.parametrize("end", [math.nan, math.inf, -math.inf, 10**400, "4", None, True])
def test_range_without_finite_ends_is_refused(end: object) -> None:
    with pytest.raises(SpaceError, match="finite numbers"):
        Range(0.0, end)  # type: ignore[arg-type]


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(SpaceError, match="betanet3 has the presets default, table1, report") as caught:
        get_space("betanet3", "everything")
    assert caught.value.value == "everything"


def test_replaced_ranges_and_fixed_values_leave_the_original_alone() -> None:
    changed = SPACE.replace(ranges={"k": (2, 4), "K": Range(2.5, 3)}, fixed={"B": 0.3})

    assert changed.parameters["k"] == Range(2, 4)
    assert changed.parameters["K"] == Range(2.5, 3)
    assert changed.parameters["B"] == Range(0.3, 0.3)
    assert changed.preset == "custom"
    assert changed.free == tuple(name for name in SPACE.parameters if name != "B")
    assert SPACE.parameters["k"] == Range(2, 10)
    assert SPACE.preset == "table1"
    assert list(changed.parameters) == list(SPACE.parameters)


def test_replacing_nothing_keeps_the_preset() -> None:
    assert SPACE.replace().preset == "table1"
    assert dict(SPACE.replace(ranges={}, fixed={}).parameters) == dict(SPACE.parameters)


def test_parameters_cannot_be_changed_in_place() -> None:
    with pytest.raises(TypeError):
        SPACE.parameters["k"] = Range(2, 3)  # type: ignore[index]


def test_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SpaceError, match="has the parameters k, K, Da") as caught:
        SPACE.replace(ranges={"kappa": (2, 4)})
    assert caught.value.value == "kappa"
    with pytest.raises(SpaceError, match="case sensitive"):
        SPACE.replace(fixed={"b": 0.3})


def test_parameter_with_a_range_and_a_fixed_value_is_refused() -> None:
    with pytest.raises(SpaceError, match="not both") as caught:
        SPACE.replace(ranges={"k": (2, 4), "B": (0, 0.5)}, fixed={"B": 0.3, "k": 3})
    assert caught.value.value == "B, k"


def test_range_outside_the_domain_is_refused_with_what_is_left_of_it() -> None:
    with pytest.raises(SpaceError, match=re.escape("Type, for example, --range B=0.5:1.")) as caught:
        SPACE.replace(ranges={"B": (0.5, 2)})
    assert caught.value.value == "0.5:2"


def test_fixed_value_outside_the_domain_is_refused() -> None:
    with pytest.raises(SpaceError, match="B of betanet3 can take values from 0 to 1") as caught:
        SPACE.replace(fixed={"B": 3.0})
    assert caught.value.hint == ""


@pytest.mark.parametrize("given_range", [(2,), (2, 3, 4), 5, None])
def test_range_that_is_not_a_pair_is_refused(given_range: object) -> None:
    with pytest.raises(SpaceError, match="range of k must have a lower and an upper end"):
        SPACE.replace(ranges={"k": given_range})  # type: ignore[dict-item]


def test_space_with_missing_or_unknown_ranges_is_refused() -> None:
    ranges = dict(SPACE.parameters)
    del ranges["k"]
    ranges["extra"] = Range(0, 1)
    with pytest.raises(SpaceError, match="missing: k; unknown: extra"):
        BetaNet3(ranges)


def test_vector_is_put_in_order_and_turned_into_floats() -> None:
    shuffled = dict(reversed(VECTOR.items())) | {"G0": np.float32(2.5), "E0": 4}

    checked = SPACE.check(shuffled)
    assert list(checked) == list(SPACE.parameters)
    assert all(type(value) is float for value in checked.values())
    assert (checked["G0"], checked["E0"]) == (2.5, 4.0)


def test_vector_may_leave_the_searched_ranges_but_not_the_domain() -> None:
    outside_table1 = VECTOR | {"S0": 35.0}

    assert SPACE.check(outside_table1)["S0"] == 35.0
    with pytest.raises(VectorError, match="S0 must lie between 1 and 100") as caught:
        SPACE.check(VECTOR | {"S0": 101.0})
    assert caught.value.value == 101.0


@pytest.mark.parametrize("value", [math.nan, math.inf, "3", None, True, [3.0], 10**400])
def test_vector_with_something_else_than_numbers_is_refused(value: object) -> None:
    with pytest.raises(VectorError, match="k must be a finite number"):
        SPACE.check(VECTOR | {"k": value})  # type: ignore[dict-item]


def test_vector_with_missing_and_unknown_parameters_is_refused() -> None:
    wrong = VECTOR | {"Wa": 0.1, "depth": 3.0}
    del wrong["WCb"], wrong["k"]
    with pytest.raises(VectorError, match="missing: k, WCb; unknown: Wa, depth"):
        SPACE.check(wrong)


def test_no_vectors_are_no_rows() -> None:
    assert SPACE.to_array([]).shape == (0, 15)


def test_unit_cube_covers_the_free_parameters_alone() -> None:
    space = SPACE.replace(fixed={"B": 0.3, "k": 3.0})
    corners = np.stack([np.zeros(13), np.ones(13)])

    low, high = space.from_unit(corners)
    assert low.tolist() == [searched.low for searched in space.parameters.values()]
    assert high.tolist() == [searched.high for searched in space.parameters.values()]
    np.testing.assert_allclose(space.to_unit(np.stack([low, high])), corners)


def test_space_without_free_parameters_has_a_cube_of_no_dimensions() -> None:
    space = SPACE.replace(fixed=VECTOR)

    assert space.free == ()
    rows = space.from_unit(np.zeros((2, 0)))
    assert [space.to_vector(row) for row in rows] == [VECTOR, VECTOR]
    assert space.to_unit(rows).shape == (2, 0)


@given(low=st.floats(0.05, 25.0), span=st.floats(0.0, 25.0))
def test_upper_end_of_the_cube_is_the_upper_end_of_the_range(low: float, span: float) -> None:
    """In floating point low + (high - low) can exceed high, and so leave the domain."""
    high = min(low + span, 50.0)
    space = SPACE.replace(ranges={"G0": (low, high)})

    row = space.from_unit(np.ones((1, len(space.free))))[0]
    assert space.to_vector(row)["G0"] in space.parameters["G0"]
