"""A surrogate of training: predicts a network's accuracy and learning curve from recorded trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from betanas.blueprint import FloatArray, IntArray
from betanas.errors import StudyError
from betanas.search.feasibility import Problem
from betanas.search.network_features import network_features
from betanas.search.simulation.recording import Recording, as_curve, training_noise
from betanas.search.stopping import accuracy_at

FOLDS = 10
LEAST_RECORDINGS = 30

# Where a learning curve is predicted, as parts of the budget; between them it is interpolated.
SHARES = tuple((np.arange(1, 21) / 20).tolist())


@dataclass(frozen=True, slots=True)
class SurrogateError:
    """Cross-validated error of a model, in accuracy.

    Attributes:
        rmse: root mean squared error of held-out predictions, the trainings' own noise included.
        r2: 1 minus the error's part of the variance.
        rank_correlation: Spearman's.
    """

    rmse: float
    r2: float
    rank_correlation: float


@dataclass(frozen=True, eq=False)
class ReplaySurrogate:
    """Stands for training a network: accuracies and curves without noise, and the noise to add.

    Attributes:
        problem: the recordings' space, resolution and images.
        model: name of the regression: the one that won the cross-validation, unless another was asked for.
        errors: cross-validated error of each regression that was tried.
        noise: standard deviation of one training's accuracy.
        budget: training seconds of a trial.
        overhead: wall seconds of a trial beyond its training seconds, the median of the recordings.
        recordings: how many it was fitted to.
    """

    problem: Problem
    model: str
    errors: Mapping[str, SurrogateError]
    noise: float
    budget: float
    overhead: float
    recordings: int
    _final: Any
    _shape: Any

    def accuracies(self, rows: FloatArray) -> FloatArray:
        """Expected accuracy of vectors, rows of shape [n, parameters]. Shape [n], in [0, 1]."""
        return np.clip(np.asarray(self._final.predict(features(self.problem, rows)), dtype=np.float64), 0.0, 1.0)

    def training(self, row: FloatArray, share: float) -> tuple[float, float]:
        """What one vector (shape [1, parameters]) reaches in a part of the budget: accuracy, and its deviation.

        Raises:
            StudyError: only whole trainings were recorded.
        """
        if share != 1.0:
            raise StudyError(
                "A replay of parts of the budget needs recordings of them.",
                value=f"{share:g} of the budget",
                hint="See betanas.search.simulation.fidelities.",
            )
        return float(self.accuracies(row)[0]), self.noise

    def curve(self, row: FloatArray, final: float) -> tuple[tuple[float, float], ...]:
        """(training seconds, accuracy) of one vector's training that ends at a given accuracy."""
        shape = np.asarray(self._shape.predict(features(self.problem, row[None])), dtype=np.float64)[0]
        shape = np.clip(shape / max(float(shape[-1]), 1e-6), 0.0, 1.0)
        return tuple((share * self.budget, float(final * part)) for share, part in zip(SHARES, shape, strict=True))


def features(problem: Problem, rows: FloatArray) -> FloatArray:
    """What accuracy is predicted from: the vector, and what its network looks like. Shape [n, parameters + 9]."""
    return np.column_stack([rows, network_features(problem.blueprints(rows))])


def fit_surrogate(
    problem: Problem, recordings: Sequence[Recording], *, noise: float | None = None, model: str | None = None
) -> ReplaySurrogate:
    """Fit several regressions, keep the one with the least cross-validated error.

    Vectors recorded more than once are held out together, so that no regression sees the vector it is asked about.

    Args:
        problem: what the recordings are of; its limits do not matter here.
        recordings: of trials that share a budget.
        noise: standard deviation of one training; None where repeated vectors measure it.
        model: name of the regression to keep, whatever its error: what holds on one alone may be its own doing.

    Raises:
        StudyError: there are too few recordings, nothing measures the noise, or no regression has that name.
    """
    if len(recordings) < LEAST_RECORDINGS:
        raise StudyError(f"A surrogate needs at least {LEAST_RECORDINGS} recorded trials.", value=len(recordings))
    measured = training_noise(recordings) if noise is None else noise
    if measured is None:
        raise StudyError(
            "A surrogate needs the noise of one training.",
            value="no vector was recorded twice",
            hint="Record some vectors with several seeds, or give the noise.",
        )
    if model is not None and model not in _regressions():
        raise StudyError(f"The regressions are {', '.join(_regressions())}.", value=model)
    rows = problem.space.to_array(each.vector for each in recordings)
    inputs = features(problem, rows)
    finals = np.array([each.top1 for each in recordings])
    groups = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    budget = float(np.median([each.training_seconds for each in recordings]))
    errors = {name: _cross_validate(model, inputs, finals, groups) for name, model in _regressions().items()}
    best = model or min(errors, key=lambda name: errors[name].rmse)
    # Of a trial whose curve was not recorded, its end alone, the shape is unknown.
    drawn = np.array([len(each.curve) > 1 for each in recordings])
    shapes = np.array([_shape(each, budget) for each in recordings if len(each.curve) > 1])
    return ReplaySurrogate(
        problem=problem,
        model=best,
        errors=errors,
        noise=measured,
        budget=budget,
        overhead=float(np.median([each.wall_seconds - each.training_seconds for each in recordings])),
        recordings=len(recordings),
        _final=_regressions()[best].fit(inputs, finals),
        _shape=ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0).fit(inputs[drawn], shapes),
    )


def _regressions() -> dict[str, Any]:
    """Regressions to choose from, unfitted: two of trees, which know nothing of smoothness, and a smooth one."""
    kernel = ConstantKernel() * RBF(5.0) + WhiteKernel(0.1)
    return {
        "extra trees": ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=0),
        "gradient boosting": HistGradientBoostingRegressor(
            max_iter=300,
            learning_rate=0.05,
            max_leaf_nodes=8,
            min_samples_leaf=5,
            l2_regularization=1.0,
            random_state=0,
        ),
        "Gaussian process": make_pipeline(
            StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        ),
    }


def _cross_validate(model: Any, inputs: FloatArray, finals: FloatArray, groups: IntArray) -> SurrogateError:
    folds = min(FOLDS, len(np.unique(groups)))
    predicted = cross_val_predict(model, inputs, finals, groups=groups, cv=GroupKFold(folds))
    error = float(((predicted - finals) ** 2).mean())
    return SurrogateError(
        rmse=error**0.5,
        r2=1.0 - error / float(finals.var()),
        rank_correlation=float(stats.spearmanr(predicted, finals).statistic),
    )


def _shape(recording: Recording, budget: float) -> list[float]:
    """A curve's accuracies at `SHARES` as parts of its last."""
    curve = as_curve(recording.curve)
    last = max(accuracy_at(curve, budget), 1e-6)
    return [accuracy_at(curve, share * budget) / last for share in SHARES]
