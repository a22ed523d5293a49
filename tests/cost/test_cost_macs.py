"""Multiply-accumulates counted from a blueprint against torch's own flop counter, which counts two for each."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from betanas.blueprint import Blueprint
from betanas.cost import count_macs
from betanas.cost.saturation import MOST, saturated
from betanas.spaces import get_space


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_counted_macs_are_half_of_torchs_flops(blueprints: st.SearchStrategy[Blueprint], data: st.DataObject) -> None:
    blueprint = data.draw(blueprints)
    with torch.device("meta"):
        network = blueprint.build().eval()
        images = torch.empty(1, blueprint.in_channels, blueprint.resolution, blueprint.resolution)

    with FlopCounterMode(display=False) as counter:
        network(images)
    assert 2 * blueprint.macs == counter.get_total_flops()


def test_networks_beyond_64_bits_stay_the_most_expensive() -> None:
    """At the ends of the domain the count exceeds 2**63, and a wrapped, negative one would pass every limit."""
    space = get_space("betanet3")
    widest = {name: allowed.high for name, allowed in space.domain.items()}
    largest = widest | {"k": 1.0, "Db": -2.0, "WLa": -2.0, "WCa": -2.0}  # wide at once, and contracted at the end
    batch = space.blueprints(space.to_array([largest]), resolution=4096, num_classes=10**6)

    assert count_macs(batch).tolist() == [MOST]


def test_saturation_keeps_what_fits() -> None:
    costs = np.array([0.0, 1.0, 2.0**53, 2.0**61, 2.0**63, 1e30])

    assert saturated(costs).tolist() == [0, 1, 2**53, 2**61, MOST, MOST]
