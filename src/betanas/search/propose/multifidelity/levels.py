"""How much a result rises with the part of the budget, so that results of all parts stand on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from betanas.blueprint import FloatArray, IntArray

# How far the rise may bend, against how well it fits: with few networks trained at two shares it is a straight line.
_BEND, _SLOPE = 0.5, 1e-3


@dataclass(frozen=True, slots=True)
class Levels:
    """What a result loses for having had a part of the budget: the same for all networks, on a logarithmic scale.

    Accuracies are multiplied by more training rather than added to, so that logarithms are taken where every result is
    positive. The rise is estimated within networks: those that are trained longer were chosen for being good, and a
    comparison between shares would take that for the effect of training.

    Attributes:
        shares: those that are known, ascending, the whole among them. Shape [s].
        losses: what is added to a result at each to make it one of the whole budget. Shape [s].
        least: results below it are taken for it where logarithms are taken; None where they are not.
    """

    shares: FloatArray
    losses: FloatArray
    least: float | None

    @classmethod
    def fit(cls, values: FloatArray, shares: FloatArray, networks: IntArray, others: FloatArray) -> Levels:
        """Least squares of an effect of each network and one of each share, which bends as little as it must.

        Args:
            values: results, shape [n].
            shares: of the budget, shape [n].
            networks: the number of each result's network, shape [n].
            others: shares that may have no result among those, of any shape.
        """
        # Later results may be zero, of which there is no logarithm.
        least = float(values.min()) / 2.0 if (values > 0).all() else None
        scaled = _scaled(values, least)
        known = np.unique(np.concatenate([shares, others, [1.0]]))
        effects = np.zeros((len(values), networks.max() + 1))
        effects[np.arange(len(values)), networks] = 1.0
        steps = (shares[:, None] == known[None, :]).astype(np.float64)
        # Unknowns: an effect of each network, a slope in the logarithm of the share, a deviation from it at each share.
        design = np.column_stack([effects, np.log(shares), steps])
        penalty = np.diag(np.r_[np.zeros(effects.shape[1]), _SLOPE, np.full(len(known), _BEND)])
        found = np.linalg.lstsq(design.T @ design + penalty, design.T @ scaled, rcond=None)[0]
        rise = found[effects.shape[1]] * np.log(known) + found[-len(known) :]
        return cls(known, rise[-1] - rise, least)

    def whole(self, values: FloatArray, shares: FloatArray) -> FloatArray:
        """Results (shape [n]) at shares (shape [n]) as they would be after the whole budget, all networks alike."""
        return _scaled(values, self.least) + self.losses[np.searchsorted(self.shares, shares)]

    def back(self, scaled: Sequence[float] | FloatArray) -> FloatArray:
        """Results after the whole budget in their own unit."""
        return np.asarray(scaled if self.least is None else np.exp(scaled), dtype=np.float64)


def _scaled(values: FloatArray, least: float | None) -> FloatArray:
    return np.asarray(values if least is None else np.log(np.maximum(values, least)), dtype=np.float64)
