"""Maps objectives to the scale on which the Gaussian process sees them, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import special, stats

from betanas.blueprint import FloatArray

# With fewer values a shape cannot be told from chance, and they are standardised alone.
LEAST_FOR_SHAPE = 16

# A deviation below this part of the values' size is rounding, not variation.
_RELATIVE_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class OutcomeScale:
    """Standardises, makes symmetric (Yeo and Johnson 2000), and standardises again.

    Accuracies at a short budget are skewed: most networks are mediocre, a few cannot learn at all, and a stationary
    process spends its lengthscales on those. A power transform before the fit is what HEBO (Cowen-Rivers et al. 2022)
    found to matter most. The exponent stays in [0, 2], where the map is a bijection of the real line, so that every
    prediction can be mapped back; it is increasing, so that the best stays the best.

    Attributes:
        centre, spread: of the values as told.
        exponent: of the power transform; 1 is none.
        middle, width: of the transformed values.
    """

    centre: float
    spread: float
    exponent: float = 1.0
    middle: float = 0.0
    width: float = 1.0

    @classmethod
    def fit(cls, values: FloatArray) -> Self:
        """The scale of some values, shape [n]; equal values map to zero."""
        centre, spread = float(values.mean()), _spread(values)
        if len(values) < LEAST_FOR_SHAPE or len(np.unique(values)) < LEAST_FOR_SHAPE // 2:
            return cls(centre, spread)
        standard = (values - centre) / spread
        exponent = float(np.clip(stats.yeojohnson_normmax(standard), 0.0, 2.0))
        symmetric = stats.yeojohnson(standard, exponent)
        return cls(centre, spread, exponent, float(symmetric.mean()), _spread(symmetric))

    def forward(self, values: FloatArray) -> FloatArray:
        """Objectives as the process sees them."""
        shaped = stats.yeojohnson((values - self.centre) / self.spread, self.exponent)
        return np.asarray((shaped - self.middle) / self.width, dtype=np.float64)

    def backward(self, scaled: FloatArray) -> FloatArray:
        """The inverse of `forward`."""
        shaped = np.asarray(scaled) * self.width + self.middle
        up = special.inv_boxcox1p(np.maximum(shaped, 0.0), self.exponent)
        down = special.inv_boxcox1p(np.maximum(-shaped, 0.0), 2.0 - self.exponent)
        return np.asarray(np.where(shaped >= 0.0, up, -down) * self.spread + self.centre, dtype=np.float64)

    def moments(self, mean: FloatArray, deviation: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A normal prediction mapped back: its median, and half the width of its central 68% interval."""
        low, high = self.backward(mean - deviation), self.backward(mean + deviation)
        return self.backward(mean), (high - low) / 2.0


def _spread(values: FloatArray) -> float:
    deviation = float(values.std())
    return deviation if deviation > _RELATIVE_NOTHING * max(float(np.abs(values).max()), 1e-30) else 1.0
