"""Networks trained side by side: Tables 7 and 8, and the curves behind Figures 26 and 27.

A comparison is a study of its own, or an attachment of kind `comparison` of a search, whose document is what
`betanas.search.compared.comparison_document` gives:

    {"title": str, "data": str, "recipe": str, "budget": str,                 all optional
     "table": [{
        "name": str, "resolution": int, "params": int, "macs": int,
        "budget": str, "recipe": str, "judged_on": "test" or "validation",    optional: earlier versions say nothing
        "top1": {"mean": float, "margin": float or null, "n": int} or null,   accuracy; half a 95% interval
        "top5", "training_seconds", "images_per_second": the same,
        "peak_memory": bytes or null, "failed": int,
        "family": str, "role": "searched" or "benchmark"                      optional
     }, ...],
     "histories": [{"name": str, "resolution": int, "seed": int, "budget": str, "recipe": str,
                    "curve": [{"epoch": float, "seconds": float, "accuracy": float}, ...]}, ...]}

Networks of one family are the same vector at several resolutions; without `family` they have the same name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from betanas.analysis.errors import AnalysisError, MissingDataError
from betanas.analysis.snapshot import StudySnapshot
from betanas.analysis.tables.table import Table
from betanas.blueprint import FloatArray
from betanas.intervals import MeanInterval

# The benchmark networks of documents that do not say what is one.
_EARLIER_BENCHMARKS = ("resnet50", "mobilenet_v2", "efficientnet_b0", "efficientnet_v2_s")


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
    budget: str
    recipe: str
    judged_on: str
    top1: MeanInterval | None
    top5: MeanInterval | None
    seconds: MeanInterval | None
    images_per_second: MeanInterval | None
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
        """A network's name, with its resolution, budget and recipe where others of that name have another."""
        others = [other for other in self.networks if other.name == network.name]
        words = [f"R={network.resolution}" if len({other.resolution for other in others}) > 1 else ""]
        words += [network.budget or "earlier" if len({other.budget for other in others}) > 1 else ""]
        words += [network.recipe if len({other.recipe for other in others}) > 1 else ""]
        return " ".join(word for word in (network.name, *words) if word)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions compared, small to large."""
        return tuple(sorted({network.resolution for network in self.networks}))


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A row of Table 7 or 8, with what the report leaves out: intervals, top-5, MACs, throughput and memory."""

    model: str
    resolution: int
    budget: str
    recipe: str
    judged_on: str
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
    """A comparison's own, or a search's newest.

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
                budget=network.budget,
                recipe=network.recipe,
                judged_on=network.judged_on,
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


def _interval(entry: Mapping[str, Any] | None) -> MeanInterval | None:
    if entry is None:
        return None
    mean, n = float(entry["mean"]), int(entry["n"])
    margin = math.inf if entry.get("margin") is None else float(entry["margin"])
    return MeanInterval(n, mean, math.nan, mean - margin, mean + margin)


# What a document's rows and histories have in common.
_Key = tuple[str, int, str, str]


def _key(entry: Mapping[str, Any]) -> _Key:
    words = (str(entry.get(name) or "") for name in ("budget", "recipe"))
    return (str(entry["name"]), int(entry["resolution"]), *words)  # type: ignore[return-value]


def _history(entry: Mapping[str, Any]) -> tuple[_Key, HistoryCurve]:
    columns = (
        np.array([point[field] for point in entry["curve"]], dtype=np.float64)
        for field in ("epoch", "seconds", "accuracy")
    )
    return _key(entry), HistoryCurve(int(entry["seed"]), *columns)


def _network(entry: Mapping[str, Any], histories: Sequence[tuple[_Key, HistoryCurve]]) -> ComparedNetwork:
    key = _key(entry)
    name, resolution, budget, recipe = key
    return ComparedNetwork(
        name=name,
        family=str(entry.get("family") or name),
        role=str(entry.get("role") or ("benchmark" if name in _EARLIER_BENCHMARKS else "searched")),
        resolution=resolution,
        params=int(entry["params"]),
        macs=int(entry["macs"]),
        budget=budget,
        recipe=recipe,
        judged_on=str(entry.get("judged_on") or "test"),
        top1=_interval(entry["top1"]),
        top5=_interval(entry.get("top5")),
        seconds=_interval(entry["training_seconds"]),
        images_per_second=_interval(entry.get("images_per_second")),
        peak_memory=None if entry.get("peak_memory") is None else int(entry["peak_memory"]),
        failed=int(entry.get("failed", 0)),
        curves=tuple(curve for one, curve in histories if one == key and len(curve.epochs)),
    )
