"""What every search space owes: registering one enrols it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint, Layer
from betanas.spaces import Range, SearchSpace, available_spaces, get_space
from betanas.spaces.base import check_input
from betanas.testing import check_space, check_vector


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


SPACES = [*(type(get_space(name)) for name in available_spaces()), Plain]
CASES = [space.from_preset(preset) for space in SPACES for preset in space.presets]


@pytest.mark.parametrize("space", CASES, ids=lambda space: f"{space.name}-{space.preset}")
class TestSearchSpaceContract:
    def test_keeps_its_promises(self, space: SearchSpace) -> None:
        check_space(space, vectors=16)

    @given(data=st.data(), resolution=st.integers(16, 1024), classes=st.integers(1, 1000), channels=st.integers(1, 8))
    @settings(max_examples=25, deadline=None)
    def test_any_vector_in_bounds_gives_a_network(
        self, space: SearchSpace, data: st.DataObject, resolution: int, classes: int, channels: int
    ) -> None:
        vector = data.draw(vectors(space))
        check_vector(space, vector, resolution=resolution, num_classes=classes, in_channels=channels)

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


def vectors(space: SearchSpace) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries({name: st.floats(span.low, span.high) for name, span in space.parameters.items()})
