"""Recorded trainings of parts of the budget, and a surrogate that stands for them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from betanas.blueprint import FloatArray
from betanas.cost import count_macs
from betanas.errors import StudyError
from betanas.search.feasibility import Problem
from betanas.search.simulation.surrogate import FOLDS, ReplaySurrogate

# Networks, each recorded at every share, below which nothing is learned of what short trainings say.
LEAST_NETWORKS = 8

# Stands for an accuracy of zero where a logarithm is taken: one image in five hundred.
_LEAST_ACCURACY = 0.002


@dataclass(frozen=True, slots=True)
class FidelityRecording:
    """What a training reached whose schedule was annealed to a share of the budget.

    Attributes:
        vector: the parameter vector.
        preset: whose range it was drawn from.
        resolution: side of the images, in pixels.
        share: part of the budget.
        seconds: of training.
        steps: of the optimiser.
        top1: validation accuracy in [0, 1].
        params: parameters.
        seed: of the training.
    """

    vector: Mapping[str, float]
    preset: str
    resolution: int
    share: float
    seconds: float
    steps: int
    top1: float
    params: int
    seed: int

    @property
    def network(self) -> tuple[float, ...]:
        """What tells vectors apart."""
        return tuple(self.vector.values())


def read_fidelities(path: Path) -> list[FidelityRecording]:
    """Read a file of JSON lines, one training each; other keys than those of `FidelityRecording` are left aside.

    Raises:
        StudyError: the file is missing, or a line is no training.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        hint = "Record it first with benchmarks/record_fidelities.py."
        raise StudyError("A file of recorded trainings must exist.", value=str(path), hint=hint) from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            if row.get("outcome", "completed") == "completed":
                found.append(FidelityRecording(**{name: row[name] for name in FidelityRecording.__slots__}))
        except (ValueError, TypeError, KeyError) as error:
            raise StudyError(f"Line {number} of {path.name} must be a recorded training.", value=line[:60]) from error
    return found


def by_network(recordings: Sequence[FidelityRecording]) -> dict[tuple[float, ...], dict[float, list[float]]]:
    """Accuracies by vector and share, in the order of seeds, of vectors that were recorded at every share."""
    found: dict[tuple[float, ...], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in sorted(recordings, key=lambda each: each.seed):
        found[each.network][each.share].append(each.top1)
    shares = {each.share for each in recordings}
    return {network: dict(known) for network, known in found.items() if known.keys() == shares}


@dataclass(frozen=True, slots=True)
class ShareAgreement:
    """What trainings of a share say of whole ones.

    Attributes:
        share: part of the budget.
        networks: recorded at both.
        overall: Spearman's rank correlation between the two.
        best: the same among the best 30% of the whole trainings.
        noise: standard deviation of one training, pooled over vectors with several seeds; None without any.
        repeats: degrees of freedom behind it.
    """

    share: float
    networks: int
    overall: float
    best: float
    noise: float | None
    repeats: int


# The part of the networks, the best after the whole budget, among which a search has to choose at its end.
BEST_PART = 0.3


def agreement(recordings: Sequence[FidelityRecording]) -> tuple[ShareAgreement, ...]:
    """What each share says of the whole budget, the smallest first; a vector with several seeds counts with its first.

    Raises:
        StudyError: too few vectors were recorded at every share.
    """
    known = _enough(recordings)
    whole = np.array([accuracies[1.0][0] for accuracies in known.values()])
    best = whole >= np.quantile(whole, 1.0 - BEST_PART)
    found = []
    for share in sorted(next(iter(known.values()))):
        short = np.array([accuracies[share][-1 if share == 1.0 else 0] for accuracies in known.values()])
        noise, repeats = _noise([accuracies[share] for accuracies in known.values()])
        found.append(
            ShareAgreement(share, len(known), _rank(short, whole), _rank(short[best], whole[best]), noise, repeats)
        )
    return tuple(found)


@dataclass(frozen=True, eq=False)
class FidelitySurrogate(ReplaySurrogate):
    """A replay's surrogate that also stands for trainings of parts of the budget.

    What a network reaches after the whole budget is the other surrogate's. What it reaches after less is a part of
    that, learned from the networks that were recorded at every share: from the share, the accuracy after the whole
    budget, and the work that an image is, which decides how many steps the time holds. Whatever that leaves unexplained
    in networks that the regression has not seen counts as noise of the shorter training, the whole training's own taken
    off: a short training says no more of a network here than it does in the recordings.

    Attributes:
        networks: how many were recorded at every share.
        deviations: standard deviation of that part around its prediction, by share, among the better half of the
            networks, where a search has to choose; of the whole budget the noise of one training.
        explained: part of the variance of those parts that is predicted in networks the regression has not seen.
    """

    networks: int
    deviations: Mapping[float, float]
    explained: float
    _part: Any

    def training(self, row: FloatArray, share: float) -> tuple[float, float]:
        """What one vector (shape [1, parameters]) reaches in a part of the budget: accuracy, and its deviation."""
        if share == 1.0:
            return super().training(row, share)
        whole = self.accuracies(row)
        part = float(self._part.predict(_inputs(self.problem, row, np.array([share]), whole))[0])
        shares = np.array(sorted(self.deviations))
        spread = np.interp(np.log(share), np.log(shares), [self.deviations[each] for each in shares.tolist()])
        return float(whole[0]) * min(max(part, 0.0), 1.0), float(whole[0] * spread)


def fit_fidelities(whole: ReplaySurrogate, recordings: Sequence[FidelityRecording]) -> FidelitySurrogate:
    """Add what short trainings reach to a surrogate of whole ones.

    Args:
        whole: of whole trainings.
        recordings: of its problem's images and resolution; vectors that lack a share are left aside.

    Raises:
        StudyError: too few vectors were recorded at every share.
    """
    known = _enough(recordings)
    vectors = {each.network: each.vector for each in recordings}
    rows = whole.problem.space.to_array(vectors[network] for network in known)
    shares = np.array(sorted(share for share in next(iter(known.values())) if share < 1.0))
    reached = np.array([[np.mean(each[share]) for share in (*shares.tolist(), 1.0)] for each in known.values()])
    ends = reached[:, -1]
    targets = (reached[:, :-1] / np.maximum(ends, _LEAST_ACCURACY)[:, None]).ravel()
    inputs = np.concatenate(
        [_inputs(whole.problem, row[None], shares, end) for row, end in zip(rows, ends[:, None], strict=True)]
    )
    groups, folds = np.repeat(np.arange(len(rows)), len(shares)), GroupKFold(min(FOLDS, len(rows)))
    left = targets - cross_val_predict(_regression(), inputs, targets, groups=groups, cv=folds)
    own = whole.noise / float(np.median(ends))
    better = left.reshape(len(rows), len(shares))[ends >= np.median(ends)]
    spread = np.sqrt(np.maximum((better**2).mean(axis=0) - own**2, own**2))
    return FidelitySurrogate(
        **{name: getattr(whole, name) for name in ReplaySurrogate.__dataclass_fields__},
        networks=len(rows),
        deviations={**dict(zip(shares.tolist(), spread.tolist(), strict=True)), 1.0: own},
        explained=1.0 - float((left**2).mean() / targets.var()),
        _part=_regression().fit(inputs, targets),
    )


def _enough(recordings: Sequence[FidelityRecording]) -> dict[tuple[float, ...], dict[float, list[float]]]:
    known = by_network(recordings)
    if len(known) < LEAST_NETWORKS:
        raise StudyError(
            f"At least {LEAST_NETWORKS} networks must be recorded at every share of the budget.", value=len(known)
        )
    return known


def _inputs(problem: Problem, row: FloatArray, shares: FloatArray, end: FloatArray) -> FloatArray:
    """What a network (shape [1, parameters]) is predicted by at some shares, shape [s, 3]; `end` has shape [1]."""
    macs = np.log(count_macs(problem.blueprints(row)))
    accuracy = np.log(np.maximum(end, _LEAST_ACCURACY))
    return np.column_stack([np.log(shares), np.repeat([accuracy, macs], len(shares), axis=1).T])


def _regression() -> Any:
    kernel = ConstantKernel() * RBF(2.0) + WhiteKernel(0.1)
    return make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=0))


def _noise(repeats: Sequence[Sequence[float]]) -> tuple[float | None, int]:
    several = [np.array(values) for values in repeats if len(values) > 1]
    freedom = sum(len(values) - 1 for values in several)
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in several)
    return (float(np.sqrt(squares / freedom)) if freedom else None), freedom


def _rank(one: FloatArray, other: FloatArray) -> float:
    return float(stats.spearmanr(one, other).statistic)
