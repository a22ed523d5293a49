"""How a BetaNet vector places its contractions and widths: Figures 14, 15 and 16 as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from betanas.analysis.errors import MissingDataError
from betanas.analysis.tables.table import Table
from betanas.blueprint import Blueprint, FloatArray
from betanas.spaces import BetaNet2, BetaNet3, SearchSpace
from betanas.spaces.construction import beta_quantile, count_contractions, count_layers, place_layers

_FINE = np.linspace(0.0, 1.0, 201)


@dataclass(frozen=True, slots=True)
class QuantileCurve:
    """The quantile function of Beta(10**a, 10**b) on a fine grid; `x` and `y` have equal length."""

    a: float
    b: float
    x: FloatArray
    y: FloatArray


def quantile_curve(a: float, b: float) -> QuantileCurve:
    """The quantile function of Beta(10**a, 10**b) at 201 points."""
    return QuantileCurve(a, b, _FINE, beta_quantile(np.array([a]), np.array([b]), _FINE[None])[0])


@dataclass(frozen=True, slots=True)
class Placement:
    """How L of N layers are chosen by a Beta quantile function (`betanet.md`, section 3, rule 4).

    Attributes:
        what: `contraction` or `width`.
        curve: the quantile function.
        quantiles: s/L for s = 0..L-1, shape [L].
        claims: the quantile function there: the relative depth each claims, shape [L].
        layers: numbers of the layers chosen, shape [L]; claims on a taken layer pass on.
        depth: N.
    """

    what: str
    curve: QuantileCurve
    quantiles: FloatArray
    claims: FloatArray
    layers: tuple[int, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class WidthRow:
    """A layer at which the width may change.

    Attributes:
        layer: its number.
        progress: where the width function is read: at contraction progress s/L (BetaNet2) or at the layer's midpoint
            (BetaNet3).
        channels: the width it takes.
        contraction: whether it also contracts.
    """

    layer: int
    progress: float
    channels: int
    contraction: bool


@dataclass(frozen=True, slots=True)
class Widths:
    """The width function and the layers that read it.

    Attributes:
        label: what `progress` measures.
        x, y: the function on a fine grid: channels before truncation.
        rows: the layers.
    """

    label: str
    x: FloatArray
    y: FloatArray
    rows: Table[WidthRow]


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that Figure 15 or 16 shows of one vector at one resolution."""

    space: str
    resolution: int
    blueprint: Blueprint
    contractions: Placement
    width_layers: Placement | None
    widths: Widths


def shape_of(
    space: SearchSpace,
    vector: Mapping[str, float],
    *,
    resolution: int,
    num_classes: int,
    in_channels: int = 3,
) -> Shape:
    """Where a BetaNet2 or BetaNet3 vector contracts and widens.

    Raises:
        MissingDataError: the space is another.
        VectorError: the vector does not fit the space.
    """
    if not isinstance(space, (BetaNet2, BetaNet3)):
        raise MissingDataError("Placement by Beta functions is shown for betanet2 and betanet3.", value=space.name)
    checked = space.check(vector)
    blueprint = space.blueprint(checked, resolution=resolution, num_classes=num_classes, in_channels=in_channels)
    count = int(count_contractions(np.array([checked["k"]]), resolution)[0])
    depth = int(count_layers(np.array([count]), np.array([checked["K"]]))[0])

    def placed(what: str, a: float, b: float) -> Placement:
        quantiles = np.arange(count) / count
        claims = beta_quantile(np.array([a]), np.array([b]), quantiles[None])[0]
        chosen = place_layers(np.array([a]), np.array([b]), np.array([count]), np.array([depth]))[0]
        layers = tuple(np.flatnonzero(chosen).tolist())
        return Placement(what, quantile_curve(a, b), quantiles, claims, layers, depth)

    contractions = placed("contraction", checked["Da"], checked["Db"])
    if isinstance(space, BetaNet2):
        width_layers = None
        a, b, label = checked["Wa"], checked["Wb"], "Contraction progress s/L"
        changing = {layer: (step + 1) / count for step, layer in enumerate(contractions.layers)}
    else:
        width_layers = placed("width", checked["WLa"], checked["WLb"])
        a, b, label = checked["WCa"], checked["WCb"], "Relative depth (i + 0.5)/N"
        union = sorted({*contractions.layers, *width_layers.layers})
        changing = {layer: (layer + 0.5) / depth for layer in union}
    full = checked["G0"] * resolution
    curve = in_channels + (full - in_channels) * np.asarray(betainc(10.0**a, 10.0**b, _FINE))
    rows = tuple(
        WidthRow(layer, position, blueprint.layers[layer].out_channels, layer in contractions.layers)
        for layer, position in changing.items()
    )
    widths = Widths(label, _FINE, curve, Table(rows))
    return Shape(space.name, resolution, blueprint, contractions, width_layers, widths)


def quantile_curves(exponents: Sequence[float] = (-1.0, -0.5, 0.0, 0.5, 1.0)) -> tuple[QuantileCurve, ...]:
    """Quantile functions for every pair of exponents: Figure 14, over the range where their shape varies most."""
    return tuple(quantile_curve(a, b) for b in exponents for a in exponents)
