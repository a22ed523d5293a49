"""What the cost tests share: the networks that can be described, and their number of images' bounds."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from betanas.blueprint import Blueprint
from betanas.spaces import get_space

_PRESETS = [(name, preset) for name in ("betanet2", "betanet3", "convnet") for preset in get_space(name).presets]


@st.composite
def any_blueprint(draw: st.DrawFn) -> Blueprint:
    """Any vector in the bounds of any preset of any space, at R from 16 to 1024."""
    space = get_space(*draw(st.sampled_from(_PRESETS)))
    vector = {name: draw(st.floats(searched.low, searched.high)) for name, searched in space.parameters.items()}
    return space.blueprint(
        vector,
        resolution=draw(st.integers(16, 1024)),
        num_classes=draw(st.integers(1, 1000)),
        in_channels=draw(st.integers(1, 8)),
    )


@pytest.fixture(scope="session")
def blueprints() -> st.SearchStrategy[Blueprint]:
    return any_blueprint()
