"""Networks trained side by side: Tables 7 and 8, and the curves behind Figures 26 and 27.

A comparison is an attachment of kind `comparison` whose document is what `to_dict` of
`betanas.training.comparison.Comparison` gives, with optional words around it:

    {"title": str, "data": str, "recipe": str, "budget": str,                 all optional
     "table": [{
        "name": str, "resolution": int, "params": int, "macs": int,
        "top1": {"mean": float, "margin": float or null, "n": int} or null,   test accuracy; half a 95% interval
        "top5", "training_seconds", "images_per_second": the same,
        "peak_memory": bytes or null, "failed": int,
        "family": str, "role": "searched" or "benchmark"                      optional
     }, ...],
     "histories": [{"name": str, "resolution": int, "seed": int,
                    "curve": [{"epoch": float, "seconds": float, "accuracy": float}, ...]}, ...]}

Networks of one family are the same vector at several resolutions. Without `family` it is the name less a resolution at
its end (`BetaNet3-R224`); without `role` a network is a benchmark where its family is a published architecture's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray

_RESOLUTION_SUFFIX = re.compile(r"[\s_@-]+R?=?\d{2,4}$")
_BENCHMARKS = re.compile(
    r"(timm|torchvision)[:/.]|(resnet|mobilenet|efficientnet|regnet|convnext|vit|vgg|densenet|plain\d)", re.I
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over n seeds with half the width of its 95% interval; None with a single seed."""

    mean: float
    margin: float | None
    n: int


@dataclass(frozen=True, slots=True)
class HistoryCurve:
    """Validation accuracy during one training: epochs, training seconds and accuracies of equal length."""

    seed: int
    epochs: FloatArray
    seconds: FloatArray
    accuracies: FloatArray


@dataclass(frozen=True, slots=True)
class ComparedNetwork:
    """One network of a comparison; fields as in the document above, `curves` its histories."""

    name: str
    family: str
    role: str
    resolution: int
    params: int
    macs: int
    top1: Interval | None
    top5: Interval | None
    seconds: Interval | None
    images_per_second: Interval | None
    peak_memory: int | None
    failed: int
    curves: tuple[HistoryCurve, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as it was stored."""

    title: str
    data: str
    recipe: str
    budget: str
    networks: tuple[ComparedNetwork, ...]

    def label(self, network: ComparedNetwork) -> str:
        """A network's name, with its resolution where others of that name have another."""
        alone = {other.resolution for other in self.networks if other.name == network.name} == {network.resolution}
        return network.name if alone else f"{network.name} R={network.resolution}"

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions compared, small to large."""
        return tuple(sorted({network.resolution for network in self.networks}))


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A row of Table 7 or 8, with what the report leaves out: intervals, top-5, MACs, throughput and memory."""

    model: str
    resolution: int
    params_millions: float
    macs_millions: float
    top1_percent: float | None
    top1_margin: float | None
    top5_percent: float | None
    seeds: int
    failed: int
    training_hours: float | None
    images_per_second: float | None
    peak_memory_gib: float | None


def parse_comparison(document: Mapping[str, Any]) -> Comparison:
    """Read a comparison's document.

    Raises:
        AnalysisError: it is not one.
    """
    try:
        histories = [_history(entry) for entry in document.get("histories", ())]
        networks = tuple(_network(entry, histories) for entry in document["table"])
        words = {name: str(document.get(name, "")) for name in ("title", "data", "recipe", "budget")}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnalysisError("A comparison's document is damaged.", value=f"{type(error).__name__}: {error}") from error
    if not networks:
        raise AnalysisError("A comparison must hold at least one network.")
    return Comparison(networks=networks, **words)


def comparison_of(snapshot: StudySnapshot, name: str | None = None) -> Comparison:
    """A study's newest comparison.

    Raises:
        MissingDataError: there is none.
        AnalysisError: it is damaged.
    """
    found = snapshot.attachment("comparison", name)
    if found is None:
        raise MissingDataError(
            "This study holds no comparison with other networks.", hint="Make one: betanas compare ... --keep STUDY."
        )
    return parse_comparison(found.document)


def comparison_table(comparison: Comparison, resolution: int | None = None) -> Table[ComparisonRow]:
    """Table 7 or 8: the networks compared at one resolution, or at all of them."""
    rows = []
    for network in comparison.networks:
        if resolution not in (None, network.resolution):
            continue
        top1 = network.top1
        rows.append(
            ComparisonRow(
                model=network.name,
                resolution=network.resolution,
                params_millions=network.params / 1e6,
                macs_millions=network.macs / 1e6,
                top1_percent=None if top1 is None else top1.mean * 100,
                top1_margin=None if top1 is None or top1.margin is None else top1.margin * 100,
                top5_percent=None if network.top5 is None else network.top5.mean * 100,
                seeds=0 if top1 is None else top1.n,
                failed=network.failed,
                training_hours=None if network.seconds is None else network.seconds.mean / 3600,
                images_per_second=None if network.images_per_second is None else network.images_per_second.mean,
                peak_memory_gib=None if network.peak_memory is None else network.peak_memory / 2**30,
            )
        )
    return Table(tuple(rows))


def mean_curve(network: ComparedNetwork) -> HistoryCurve | None:
    """A network's curve averaged over its seeds, point by point as far as the shortest goes; None without curves."""
    if not network.curves:
        return None
    shortest = min(len(curve.epochs) for curve in network.curves)

    def mean(field: str) -> FloatArray:
        return np.asarray(np.mean([getattr(curve, field)[:shortest] for curve in network.curves], axis=0))

    return HistoryCurve(-1, mean("epochs"), mean("seconds"), mean("accuracies"))


def _interval(entry: Mapping[str, Any] | None) -> Interval | None:
    if entry is None:
        return None
    margin = None if entry.get("margin") is None else float(entry["margin"])
    return Interval(float(entry["mean"]), margin, int(entry["n"]))


def _history(entry: Mapping[str, Any]) -> tuple[tuple[str, int], HistoryCurve]:
    columns = (
        np.array([point[field] for point in entry["curve"]], dtype=np.float64)
        for field in ("epoch", "seconds", "accuracy")
    )
    return (str(entry["name"]), int(entry["resolution"])), HistoryCurve(int(entry["seed"]), *columns)


def _network(entry: Mapping[str, Any], histories: Sequence[tuple[tuple[str, int], HistoryCurve]]) -> ComparedNetwork:
    name, resolution = str(entry["name"]), int(entry["resolution"])
    family = str(entry.get("family") or _RESOLUTION_SUFFIX.sub("", name) or name)
    role = str(entry.get("role") or ("benchmark" if _BENCHMARKS.match(family) else "searched"))
    return ComparedNetwork(
        name=name,
        family=family,
        role=role,
        resolution=resolution,
        params=int(entry["params"]),
        macs=int(entry["macs"]),
        top1=_interval(entry["top1"]),
        top5=_interval(entry.get("top5")),
        seconds=_interval(entry["training_seconds"]),
        images_per_second=_interval(entry.get("images_per_second")),
        peak_memory=None if entry.get("peak_memory") is None else int(entry["peak_memory"]),
        failed=int(entry.get("failed", 0)),
        curves=tuple(curve for key, curve in histories if key == (name, resolution) and len(curve.epochs)),
    )
