from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.analysis.tables.scaling import parse_scaling
from betanas.blueprint import BlueprintBatch
from betanas.cost import count_macs, count_params, training_memory
from betanas.errors import LimitError, QuantityError, SpaceError, VectorError
from betanas.spaces import get_space, published
from betanas.spaces.scaling import (
    CostTable,
    Knobs,
    Origin,
    at_equal_cost,
    available_rules,
    curve,
    make_rule,
    rules_for,
    scaling_document,
    solve,
    tabulate,
)

NAMES = available_rules()


def origin(space: str = "betanet3", resolution: int = 224, **changes: float) -> Origin:
    return Origin(get_space(space), {**published(space), **changes}, resolution, 100)


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    space = get_space(draw(st.sampled_from(["betanet2", "betanet3"])))
    point = [draw(st.floats(0, 1)) for _ in space.free]
    vector = space.to_vector(space.from_unit(np.array([point]))[0])
    return Origin(space, vector, draw(st.integers(16, 224)), draw(st.integers(2, 100)), draw(st.sampled_from([1, 3])))


@pytest.mark.parametrize("space", ["betanet2", "betanet3"])
@pytest.mark.parametrize("name", NAMES)
def test_every_rule_gives_the_found_network_where_it_was_found(name: str, space: str) -> None:
    start = origin(space)
    found = start.space.blueprint(start.vector, resolution=224, num_classes=100)
    assert make_rule(name, start).blueprint(224) == found


@given(origins(), st.sampled_from(NAMES), st.integers(8, 512))
@settings(deadline=None, max_examples=60)
def test_every_rule_gives_a_network_at_every_resolution(start: Origin, name: str, resolution: int) -> None:
    rule = make_rule(name, start)
    batch = rule.batch(resolution)
    blueprint = rule.blueprint(resolution)
    assert blueprint.resolution == resolution
    # Counted on the rule's own arrays and on those that the checked blueprint gives.
    again = BlueprintBatch.of([blueprint])
    for count in (count_params, count_macs, lambda each: training_memory(each, 4)):
        assert count(batch) == count(again)


def test_self_similar_is_the_reports_rule() -> None:
    rule = make_rule("self-similar", origin("betanet2"))
    assert [rule.blueprint(side).num_params for side in (224, 384)] == [8_861_669, 30_008_433]


def test_growing_k_comes_as_near_to_the_growth_as_any_c_does() -> None:
    start = origin("betanet2")
    grown = make_rule("growing-k", start, Knobs(growth=2.15))
    sides = [round(64 * 2 ** (step / 2)) for step in range(9)]

    def slope(c: float) -> float:
        counts = []
        for side in sides:
            k = start.vector["k"] + c * math.log2(side / 224)
            vector = {**start.vector, "k": k}
            counts.append(start.space.blueprint(vector, resolution=side, num_classes=100).num_params)
        return float(np.polyfit(np.log(sides), np.log(counts), 1)[0])

    reached = slope(grown.settings["c"])
    assert grown.settings["growth"] == pytest.approx(reached)
    assert abs(reached - 2.15) <= min(abs(slope(c) - 2.15) for c in np.linspace(0, 1, 41)) + 1e-9


def test_slow_width_widens_by_its_power() -> None:
    rule = make_rule("slow-width", origin(resolution=100), Knobs(width_power=0.5))
    before, after = rule.blueprint(100), rule.blueprint(400)
    assert after.latent == pytest.approx(2 * before.latent, abs=2)
    constant = make_rule("slow-width", origin(resolution=100), Knobs(width_power=0.0))
    assert constant.blueprint(400).latent == pytest.approx(before.latent, abs=1)


def test_a_moved_parameter_stays_in_its_domain() -> None:
    slow = make_rule("slow-width", origin(G0=40.0), Knobs(width_power=0.0))
    assert slow.vector(8)["G0"] == 50.0
    grown = make_rule("growing-k", origin(k=0.5), Knobs(growth=2.0))
    assert grown.vector(8)["k"] >= 0.01


def test_compound_multiplies_depth_width_and_resolution() -> None:
    start = origin("betanet2")
    rule = make_rule("compound", start, Knobs(alpha=2.0, beta=1.5, gamma=2.0))
    small, large = rule.blueprint(224), rule.blueprint(448)  # phi = 1
    assert len(large.layers) == 2 * len(small.layers) - 1  # the head is not repeated
    assert large.latent == math.floor(small.latent * 1.5 + 0.5)
    assert sum(layer.stride == 2 for layer in large.layers) == sum(layer.stride == 2 for layer in small.layers)
    assert large.layers[-1].out_channels == math.floor(small.layers[-1].out_channels * 1.5 + 0.5)
    for layer in large.layers[1:]:
        # Both the found network's hidden channels and its input's were whole numbers before they were multiplied.
        assert layer.hidden == pytest.approx(layer.in_channels * layer.expansion, rel=0.05, abs=3)


def test_compound_never_costs_less_at_a_larger_side() -> None:
    (table,) = tabulate([make_rule("compound", origin())], range(64, 300))
    for costs in table.costs.values():
        assert (np.diff(costs) >= 0).all()


def test_rules_are_tabulated_together_as_they_are_alone() -> None:
    rules = rules_for(origin())
    together = tabulate(rules, (64, 224, 301), batch_size=7, dtype="bfloat16")
    for rule, table in zip(rules, together, strict=True):
        for place, side in enumerate((64, 224, 301)):
            blueprint = rule.blueprint(side)
            expected = (blueprint.num_params, blueprint.macs, blueprint.training_memory(7, "bfloat16"))
            assert tuple(int(table.costs[measure][place]) for measure in ("params", "macs", "memory")) == expected


@given(origins(), st.sampled_from(NAMES), st.sampled_from(["params", "macs", "memory"]), st.floats(3, 10))
@settings(deadline=None, max_examples=25)
def test_what_is_solved_is_the_largest_within(start: Origin, name: str, measure, digits: float) -> None:
    target = int(10**digits)
    rule = make_rule(name, start)
    sides = range(8, 130)
    (table,) = tabulate([rule], sides, measures=(measure,), batch_size=2)
    found = solve(table, measure, target)

    def cost(side: int) -> int:
        (alone,) = tabulate([rule], (side,), measures=(measure,), batch_size=2)
        return int(alone.costs[measure][0])

    if found.ending == "unreachable":
        assert found.resolution is None
        assert min(map(cost, sides)) == found.cost > target
    else:
        assert found.resolution is not None
        assert cost(found.resolution) == found.cost <= target
        assert found.gaps == sum(cost(side) > target for side in range(8, found.resolution))
        if found.ending == "reached":
            assert cost(found.resolution + 1) == found.next_cost
            assert all(cost(side) > target for side in range(found.resolution + 1, sides[-1] + 1))
        else:
            assert found.resolution == sides[-1]


def test_resolutions_beyond_the_target_below_the_answer_are_counted() -> None:
    table = CostTable("any", np.arange(8, 14), {"macs": np.array([1, 5, 9, 4, 6, 7])})
    found = solve(table, "macs", 5)
    assert (found.ending, found.resolution, found.cost, found.next_cost, found.gaps) == ("reached", 11, 4, 6, 1)


def test_a_batch_may_hold_networks_of_different_resolutions() -> None:
    start, sides = origin(), np.array([8, 33, 224, 1024])
    rows = start.space.to_array([start.vector] * len(sides))
    batch = start.space.blueprints(rows, resolution=sides, num_classes=100)
    alone = [start.space.blueprint(start.vector, resolution=int(side), num_classes=100) for side in sides]
    assert list(batch) == alone
    assert [int(each) for each in training_memory(batch, 3)] == [each.training_memory(3) for each in alone]
    with pytest.raises(SpaceError, match="resolution"):
        start.space.blueprints(rows, resolution=np.array([8, 33, 224, 3]), num_classes=100)


def test_rules_at_equal_cost_stay_within_it() -> None:
    tables = tabulate(rules_for(origin()), range(200, 400), measures=("params",))
    found = at_equal_cost(tables, "params", 10_000_000)
    assert [solution.rule for solution in found] == list(NAMES)
    assert all(solution.cost <= 10_000_000 < (solution.next_cost or math.inf) for solution in found)


def test_curves_are_what_the_analysis_reads() -> None:
    rows = curve(rules_for(origin()), resolutions=(64, 128))
    read = parse_scaling(scaling_document("Rules", rows))
    assert [(row.name, row.resolution) for row in read] == list(itertools.product(NAMES, (64, 128)))
    assert read.rows[0].params == make_rule("self-similar", origin()).blueprint(64).num_params


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"growth": 0.0}, "growth"),
        ({"growth": math.nan}, "growth"),
        ({"width_power": 1.5}, "power"),
        ({"alpha": 0.5}, "alpha"),
        ({"beta": math.nan}, "beta"),
        ({"gamma": 1.0}, "gamma"),
    ],
)
def test_settings_that_scale_nothing_are_refused(knobs: dict[str, float], says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        Knobs(**knobs)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(SpaceError, match="self-similar, growing-k"):
        make_rule("fractal", origin())
    with pytest.raises(VectorError, match="missing: k"):
        Origin(get_space("betanet3"), {}, 224, 100)
    with pytest.raises(SpaceError, match="resolution"):
        origin(resolution=3)
    (table,) = tabulate([make_rule("self-similar", origin())], (64,))
    with pytest.raises(LimitError, match="positive"):
        solve(table, "params", 0)
    with pytest.raises(QuantityError, match="data type"):
        tabulate([make_rule("self-similar", origin())], (64,), dtype="int1")


class Plain(type(get_space("betanet3"))):  # type: ignore[misc]
    """A space with neither k nor G0: the same networks from one parameter."""

    name = "plain"
    domain = {"E": get_space("betanet3").domain["E0"]}  # noqa: RUF012
    presets = {"default": {"E": get_space("betanet3").presets["default"]["E0"]}}  # noqa: RUF012

    def blueprint(self, vector, *, resolution, num_classes, in_channels=3):
        whole = {**published("betanet3"), "E0": vector["E"], "E1": vector["E"]}
        sizes = {"resolution": resolution, "num_classes": num_classes, "in_channels": in_channels}
        return get_space("betanet3").blueprint(whole, **sizes)

    def blueprints(self, vectors, **sizes):
        return BlueprintBatch.of([self.blueprint({"E": float(row[0])}, **sizes) for row in vectors])


def test_a_space_without_a_rules_parameter_has_the_others() -> None:
    start = Origin(Plain.from_preset("default"), {"E": 3.0}, 64, 10)
    assert [rule.name for rule in rules_for(start)] == ["self-similar", "compound"]
    for name, parameter in (("growing-k", "k"), ("slow-width", "G0")):
        with pytest.raises(SpaceError, match=f"a parameter {parameter}.*--rule compound"):
            make_rule(name, start)
