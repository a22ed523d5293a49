from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from betanas.analysis.errors import MissingDataError
from betanas.analysis.tables.placement import quantile_curve, quantile_curves, shape_of
from betanas.spaces import get_space, published
from betanas.spaces.base import SearchSpace


@pytest.mark.parametrize("name", ["betanet2", "betanet3"])
@pytest.mark.parametrize("resolution", [32, 224, 384])
def test_the_shape_is_that_of_the_network(name: str, resolution: int) -> None:
    shape = shape_of(get_space(name), published(name), resolution=resolution, num_classes=100)
    layers = shape.blueprint.layers
    assert shape.contractions.layers == tuple(i for i, layer in enumerate(layers) if layer.stride == 2)
    assert shape.contractions.depth == len(layers)
    changing = {row.layer for row in shape.widths.rows}
    assert {i for i, layer in enumerate(layers) if layer.in_channels != layer.out_channels} <= changing
    for row in shape.widths.rows:
        assert row.channels == layers[row.layer].out_channels
        assert row.contraction == (layers[row.layer].stride == 2)
        # The drawn point lies on the drawn curve, but for the truncation to whole channels.
        assert 0 <= np.interp(row.progress, shape.widths.x, shape.widths.y) - row.channels < 3


def test_the_report_prints_these_widths_of_betanet2() -> None:
    shape = shape_of(get_space("betanet2"), published("betanet2"), resolution=224, num_classes=100)
    assert shape.widths.rows.column("channels") == [5, 25, 84, 210, 448]
    assert shape.width_layers is None
    assert len(shape.contractions.layers) == 5


def test_claims_are_quantiles_and_betanet3_has_width_layers() -> None:
    shape = shape_of(get_space("betanet3"), published("betanet3"), resolution=224, num_classes=100)
    assert shape.width_layers is not None
    for placed in (shape.contractions, shape.width_layers):
        np.testing.assert_allclose(placed.quantiles, np.arange(5) / 5)
        np.testing.assert_allclose(
            np.interp(placed.quantiles, placed.curve.x, placed.curve.y), placed.claims, atol=2e-3
        )


def test_quantile_curves_by_hand() -> None:
    straight = quantile_curve(0.0, 0.0)
    np.testing.assert_allclose(straight.y, straight.x)
    # Beta(1, 10): the quantile function is 1 - (1 - q)^(1/10).
    steep = quantile_curve(0.0, 1.0)
    np.testing.assert_allclose(steep.y, 1 - (1 - steep.x) ** 0.1, atol=1e-12)
    curves = quantile_curves((-1.0, 0.0, 1.0))
    assert {(curve.a, curve.b) for curve in curves} == {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)}


def test_another_space_has_no_such_shape() -> None:
    class Other(SearchSpace):
        name = "other"
        presets: ClassVar = {"default": get_space("betanet2").parameters}
        domain = get_space("betanet2").domain

        def blueprint(self, vector, *, resolution, num_classes, in_channels=3):
            return get_space("betanet2").blueprint(vector, resolution=resolution, num_classes=num_classes)

    other = Other.from_preset()
    with pytest.raises(MissingDataError, match="betanet2 and betanet3"):
        shape_of(other, published("betanet2"), resolution=224, num_classes=100)
