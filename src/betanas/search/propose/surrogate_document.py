"""The schema of an exported surrogate: everything an analysis draws of a strategy's model, as plain numbers.

`Strategy.export_surrogate()` returns `SurrogateDocument(...).to_dict()`: nested dicts, lists, strings and numbers
alone, kept in a study as an attachment of kind `surrogate`. A reader needs this module, or nothing: it imports no
torch and no BoTorch. Objectives are in the units that the search was told (an accuracy in [0, 1] where the objective is
`accuracy`), larger is better, and parameters are in their own units.

    {
      "format": 1,
      "model": "Gaussian process, ...",        one line for a caption
      "observations": 120,                     usable results the model was fitted to
      "noise": 0.006,                          estimated deviation of one training's objective
      "parameters": [                          every searched parameter, in the space's order
        {"name": "k", "low": 1.5, "high": 4.0,
         "lengthscale": 0.8,                   of the kernel, as a part of the range; large means smooth
         "relevance": 0.21,                    inverse lengthscales, scaled to sum to 1 with those of the features
         "importance": 0.34}, ...              part of the predicted mean's variance that is lost without it, see below
      ],
      "features": [                            what the model sees of a network beside its parameters; may be empty
        {"name": "depth", "lengthscale": 1.2, "relevance": 0.08}, ...
      ],
      "fixed": {"B": 0.3},                     parameters that were not searched
      "best": {"vector": {...}, "mean": 0.41, "deviation": 0.006},
      "cross_validation": {                    leave-one-out, the hyper-parameters kept
        "points": [{"trial": 7, "observed": 0.38, "mean": 0.37, "low": 0.35, "high": 0.39}, ...],
        "level": 0.95,                         of the intervals [low, high], which include the noise of a training
        "coverage": 0.94, "rmse": 0.011, "r2": 0.82, "rank_correlation": 0.90
      },
      "slices": [                              one for each searched parameter, through the predicted best
        {"parameter": "k", "values": [51 numbers], "mean": [51], "deviation": [51], "feasible": [51 booleans]}, ...
      ],
      "contours": [                            the three pairs of the most important parameters, through the best
        {"x": "k", "y": "G0", "x_values": [31], "y_values": [31],
         "mean": [31 rows of y, each 31 values of x], "deviation": [...], "feasible": [...]}, ...
      ]
    }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT_VERSION = 1
SLICE_POINTS = 51
CONTOUR_POINTS = 31
CONTOUR_PARAMETERS = 3  # their pairs make three contours


@dataclass(frozen=True, slots=True)
class ParameterRelevance:
    """What the model says of one parameter.

    Attributes:
        name: of the parameter.
        low, high: its searched range.
        lengthscale: of the kernel in units of the range.
        relevance: inverse lengthscale divided by the sum of all, those of features included. What a parameter does
            through the network's features is not in it.
        importance: total-effect index of the predicted mean over feasible candidates (Jansen 1999): half the mean
            squared change of the prediction when this parameter alone is drawn anew, over the prediction's variance.
            They sum to 1 or, with interactions, more.
    """

    name: str
    low: float
    high: float
    lengthscale: float
    relevance: float
    importance: float


@dataclass(frozen=True, slots=True)
class FeatureRelevance:
    """What the model says of one feature of networks (`betanas.search.network_features`).

    Attributes:
        name: of the feature.
        lengthscale: of the kernel; 1 is the square root of 12 deviations over feasible candidates, as a range is of a
            uniform parameter.
        relevance: inverse lengthscale divided by the sum of all, those of parameters included.
    """

    name: str
    lengthscale: float
    relevance: float


@dataclass(frozen=True, slots=True)
class PredictedBest:
    """The maximum of the model's mean over the feasible space, and the model's deviation there (without noise)."""

    vector: Mapping[str, float]
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A trial as the model predicts it from the others."""

    trial: int
    observed: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Leave-one-out predictions and what they add up to.

    Attributes:
        points: one for each usable trial.
        level: of the intervals.
        coverage: part of the observed values inside their interval.
        rmse: root mean squared error of the means.
        r2: 1 minus the error's part of the variance; None where all values are equal.
        rank_correlation: Spearman's, between observed and predicted; None where either is constant.
    """

    points: tuple[LeftOut, ...]
    level: float
    coverage: float
    rmse: float
    r2: float | None
    rank_correlation: float | None


@dataclass(frozen=True, slots=True)
class Slice:
    """The prediction along one parameter, the others as in the predicted best."""

    parameter: str
    values: tuple[float, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    feasible: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Contour:
    """The prediction over two parameters, the others as in the predicted best; grids are rows of y, columns of x."""

    x: str
    y: str
    x_values: tuple[float, ...]
    y_values: tuple[float, ...]
    mean: tuple[tuple[float, ...], ...]
    deviation: tuple[tuple[float, ...], ...]
    feasible: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class SurrogateDocument:
    """A fitted surrogate as plain data; the module's docstring shows it as JSON."""

    model: str
    observations: int
    noise: float
    parameters: tuple[ParameterRelevance, ...]
    fixed: Mapping[str, float]
    best: PredictedBest
    cross_validation: CrossValidation
    slices: tuple[Slice, ...]
    contours: tuple[Contour, ...]
    features: tuple[FeatureRelevance, ...] = ()
    format: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Nested dicts, lists and numbers, equal to what reading it back from JSON gives."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
