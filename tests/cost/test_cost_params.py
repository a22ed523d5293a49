"""Parameters counted from a blueprint against those of the network that is built from it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from betanas.blueprint import Blueprint, BlueprintBatch, Layer
from betanas.cost import count_params


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_counted_parameters_are_the_built_networks(
    blueprints: st.SearchStrategy[Blueprint], data: st.DataObject
) -> None:
    blueprint = data.draw(blueprints)
    with torch.device("meta"):
        network = blueprint.build()

    assert blueprint.num_params == sum(parameter.numel() for parameter in network.parameters())


def test_parameters_by_hand() -> None:
    blueprint = Blueprint(
        resolution=8,
        in_channels=1,
        num_classes=3,
        layers=(
            Layer("CNA", 1, 2, 2, 0, 0, 1.0, 1.0, 0.0, 4),
            Layer("FMBC", 2, 3, 1, 4, 0, 2.0, 1.0, 0.0, 4),
            Layer("MBC", 3, 3, 1, 6, 2, 2.0, 3.0, 0.1, 4),
        ),
        latent=5,
    )
    cna = 9 * 1 * 2 + 2 * 2
    fmbc = 9 * 2 * 4 + 2 * 4 + 4 * 3 + 2 * 3
    mbc = (3 * 6 + 2 * 6) + (9 * 6 + 2 * 6) + (6 * 2 + 2) + (2 * 6 + 6) + (6 * 3 + 2 * 3)
    classifier = 3 * 5 + 2 * 5 + 5 * 3 + 3

    assert blueprint.num_params == cna + fmbc + mbc + classifier


def test_a_batch_is_counted_like_its_blueprints() -> None:
    head = Layer("CNA", 3, 4, 2, 0, 0, 1.0, 1.0, 0.0, 8)
    body = Layer("MBC", 4, 4, 1, 8, 1, 2.0, 8.0, 0.1, 8)
    shallow, deep = (Blueprint(16, 3, 10, (head, *[body] * more), 16) for more in (0, 5))

    counts = count_params(BlueprintBatch.of([shallow, deep, shallow]))
    assert counts.tolist() == [shallow.num_params, deep.num_params, shallow.num_params]
    assert counts.dtype == np.int64
