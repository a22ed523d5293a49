"""What every search space owes: registering one enrols it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint, Layer
from betanas.errors import SpaceError, VectorError
from betanas.spaces import Range, SearchSpace, available_spaces, get_space
from betanas.spaces.base import check_input


class Plain(SearchSpace):
    """A user's space at its smallest: it overrides nothing, so the defaults are held to the contract too."""

    name: ClassVar[str] = "plain"
    domain: ClassVar[Mapping[str, Range]] = {"depth": Range(1, 30), "width": Range(1, 200)}
    presets: ClassVar[Mapping[str, Mapping[str, Range]]] = {
        "default": {"depth": Range(2, 8), "width": Range(4, 64)},
        "deep": {"depth": Range(8, 30), "width": Range(4, 16)},
    }

    def blueprint(
        self, vector: Mapping[str, float], *, resolution: int, num_classes: int, in_channels: int = 3
    ) -> Blueprint:
        resolution, num_classes, in_channels = check_input(resolution, num_classes, in_channels)
        checked = self.check(vector)
        width, side = int(checked["width"]), -(-resolution // 2)
        head = Layer("CNA", in_channels, width, 2, 0, 0, 1.0, 1.0, 0.0, side)
        body = Layer("MBC", width, width, 1, 2 * width, 1, 2.0, 4.0, 0.1, side)
        layers = (head, *[body] * (int(checked["depth"]) - 1))
        return Blueprint(resolution, in_channels, num_classes, layers, 2 * width)


CASES = [
    *((get_space(name), preset) for name in available_spaces() for preset in type(get_space(name)).presets),
    *((Plain.from_preset(), preset) for preset in Plain.presets),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}", scope="class")
def space(request: pytest.FixtureRequest) -> SearchSpace:
    default, preset = request.param
    return type(default).from_preset(preset)


class TestSearchSpaceContract:
    def test_describes_itself(self, space: SearchSpace) -> None:
        assert space.name
        assert space.name.islower()
        assert type(space).__doc__

    def test_preset_names_every_parameter_in_order_and_stays_inside_the_domain(self, space: SearchSpace) -> None:
        assert list(space.parameters) == list(space.domain)
        for name, searched in space.parameters.items():
            assert searched.low in space.domain[name]
            assert searched.high in space.domain[name]
        assert space.preset in space.presets

    @given(data=st.data(), resolution=st.integers(16, 1024), classes=st.integers(1, 1000), channels=st.integers(1, 8))
    @settings(max_examples=25, deadline=None)
    def test_any_vector_in_bounds_gives_a_network(
        self, space: SearchSpace, data: st.DataObject, resolution: int, classes: int, channels: int
    ) -> None:
        vector = data.draw(vectors(space))
        blueprint = space.blueprint(vector, resolution=resolution, num_classes=classes, in_channels=channels)

        assert (blueprint.resolution, blueprint.num_classes, blueprint.in_channels) == (resolution, classes, channels)
        assert blueprint.layers[0].in_channels == channels
        assert blueprint.num_params > 0
        assert blueprint.macs > 0
        assert blueprint.training_memory(batch_size=2) > 4 * blueprint.num_params
        again = space.blueprint(vector, resolution=resolution, num_classes=classes, in_channels=channels)
        assert again == blueprint
        read = Blueprint.from_json(blueprint.to_json())
        assert read == blueprint
        assert read.key == blueprint.key

    @given(data=st.data(), resolution=st.sampled_from([16, 33, 224]))
    @settings(max_examples=10, deadline=None)
    def test_networks_do_not_depend_on_what_is_constructed_beside_them(
        self, space: SearchSpace, data: st.DataObject, resolution: int
    ) -> None:
        drawn = data.draw(st.lists(vectors(space), min_size=1, max_size=5))
        batch = space.blueprints(space.to_array(drawn), resolution=resolution, num_classes=10)

        alone = [space.blueprint(vector, resolution=resolution, num_classes=10) for vector in drawn]
        assert list(batch) == alone
        assert len(batch) == len(drawn)

    def test_unit_cube_and_vectors_map_onto_each_other(self, space: SearchSpace) -> None:
        points = np.random.default_rng(0).random((64, len(space.free)))
        rows = space.from_unit(points)

        for row in rows:
            vector = space.to_vector(row)
            assert all(vector[name] in searched for name, searched in space.parameters.items())
        np.testing.assert_allclose(space.to_unit(rows), points, atol=1e-12)
        assert space.to_array([space.to_vector(row) for row in rows]).tolist() == rows.tolist()

    def test_a_fixed_parameter_is_not_searched(self, space: SearchSpace) -> None:
        name = space.free[0]
        fixed = space.replace(fixed={name: space.parameters[name].low})

        assert name not in fixed.free
        assert isinstance(fixed, type(space))
        assert (fixed.from_unit(np.ones((1, len(fixed.free))))[0, 0]) == space.parameters[name].low

    def test_wrong_vectors_are_refused(self, space: SearchSpace) -> None:
        vector = {name: searched.low for name, searched in space.parameters.items()}
        name = next(iter(vector))
        wrong: list[dict[str, Any]] = [
            {},
            {other: value for other, value in vector.items() if other != name},
            vector | {"no such parameter": 1.0},
            vector | {name: "wide"},
            vector | {name: float("nan")},
            vector | {name: np.nextafter(space.domain[name].high, np.inf)},
        ]
        for given_vector in wrong:
            with pytest.raises(VectorError):
                space.blueprint(given_vector, resolution=32, num_classes=10)

    @pytest.mark.parametrize(
        ("wrong", "rule"),
        [
            ({"resolution": 7}, "resolution must be a whole number from 8"),
            ({"resolution": 4097}, "to 4096"),
            ({"resolution": 32.0}, "resolution"),
            ({"resolution": True}, "resolution"),
            ({"num_classes": 0}, "number of classes"),
            ({"num_classes": "10"}, "number of classes"),
            ({"in_channels": 0}, "number of image channels"),
            ({"in_channels": 1025}, "number of image channels"),
        ],
    )
    def test_impossible_images_and_classes_are_refused(
        self, space: SearchSpace, wrong: dict[str, Any], rule: str
    ) -> None:
        vector = {name: searched.low for name, searched in space.parameters.items()}
        with pytest.raises(SpaceError, match=rule):
            space.blueprint(vector, **{"resolution": 32, "num_classes": 10, **wrong})

    def test_numpy_integers_describe_images_as_well_as_pythons(self, space: SearchSpace) -> None:
        vector = {name: searched.high for name, searched in space.parameters.items()}
        blueprint = space.blueprint(vector, resolution=np.int64(32), num_classes=np.int32(10))  # type: ignore[arg-type]

        assert blueprint == space.blueprint(vector, resolution=32, num_classes=10)


def vectors(space: SearchSpace) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries({name: st.floats(span.low, span.high) for name, span in space.parameters.items()})
